"""The plugins of a run, made and asked whether they can do their part before any work."""

from __future__ import annotations

from typing import Any

from allocator.campaign import Campaign, Config
from allocator.campaign.config import FILE
from allocator.campaign.languages import language_of
from allocator.errors import Finding, PluginError
from allocator.plugins import registry
from allocator.plugins.protocols import CopyWriter, Predictor, PreparedCopyWriter, PreparedPredictor
from allocator.runs.options import Options
from allocator.runs.problems import Problems


def ready_predictor(campaign: Campaign) -> Predictor:
    """Return the campaign's predictor, untrained.

    Raises
    ------
    InputError
        If its options are wrong, or nothing can be learnt from the history.
    PluginError
        If it cannot be loaded.
    """
    settings = campaign.config.predict
    predictor: Predictor = registry.create(registry.PREDICTORS, settings.predictor, settings.options)
    if isinstance(predictor, PreparedPredictor):
        with registry.blamed(registry.PREDICTORS, settings.predictor):
            predictor.prepare(campaign, device=settings.device)
    return predictor


def ready_writer(config: Config) -> CopyWriter:
    """Return the campaign's copy writer.

    Raises
    ------
    InputError
        If its options are wrong.
    PluginError
        If it cannot be loaded, or what it needs is missing.
    """
    settings = config.copy_
    writer: CopyWriter = registry.create(registry.COPYWRITERS, settings.writer, settings.options)
    if isinstance(writer, PreparedCopyWriter):
        with registry.blamed(registry.COPYWRITERS, settings.writer):
            writer.prepare(sorted(set(map(language_of, settings.languages))))
    return writer


def check_names(
    config: Config, options: Options, problems: Problems, *, predictor: bool, writer: bool
) -> tuple[bool, bool]:
    """Return whether predictor and copy writer are installed, where asked; none is imported."""
    named: tuple[tuple[bool, str, str, str, Any], ...] = (
        (predictor, "predict.predictor", registry.PREDICTORS, config.predict.predictor, options.predictor),
        (writer, "copy.writer", registry.COPYWRITERS, config.copy_.writer, options.writer),
    )
    installed = []
    for asked, key, group, name, option in named:
        there = not asked or name in (known := registry.names(group))
        installed.append(there)
        if there:
            continue
        file, column = (FILE, key) if option is None else (None, f"--{key.partition('.')[2]}")
        expected = "one of " + ", ".join(known)
        finding = Finding("no plugin of this name is installed", file, None, column, repr(name), expected)
        try:
            registry.load(group, name)
        except PluginError as error:
            problems.plugin(error, finding)
    return installed[0], installed[1]
