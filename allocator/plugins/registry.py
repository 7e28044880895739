"""Find plugins by entry point; a broken one is reported by name and stops nobody else."""

from __future__ import annotations

import inspect
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache
from importlib.metadata import EntryPoint, EntryPoints, entry_points
from typing import Any

from allocator.errors import AllocateError, PluginError
from allocator.progress import Progress, no_progress

PREDICTORS = "allocate.predictors.v1"
COPYWRITERS = "allocate.copywriters.v1"
EVALUATORS = "allocate.evaluators.v1"
LIMITS = "allocate.limits.v1"
GROUPS = (PREDICTORS, EVALUATORS, COPYWRITERS, LIMITS)

_KIND = {
    PREDICTORS: "predictor",
    EVALUATORS: "evaluator",
    COPYWRITERS: "copy writer",
    LIMITS: "limit kind",
}
_EXTRA = {PREDICTORS: "predict", EVALUATORS: "predict", COPYWRITERS: "copy"}


@dataclass(frozen=True)
class Plugin:
    """An installed plugin: where it comes from, what it does, and why it cannot be used if it cannot."""

    group: str
    name: str
    package: str
    version: str
    target: str
    error: str | None = None
    summary: str = ""


def names(group: str) -> list[str]:
    """Return the names of the installed plugins of a group."""
    return sorted({entry.name for entry in _entries(group)})


def _entries(group: str) -> EntryPoints:
    return _entries_on(group, tuple(sys.path))


@cache
def _entries_on(group: str, path: tuple[str, ...]) -> EntryPoints:
    """Look a group up once for a path: every installed package is opened, and limits ask often."""
    return entry_points(group=group)


def load(group: str, name: str) -> type[Any]:
    """Import the class that a plugin names.

    Raises
    ------
    PluginError
        If there is no such plugin, two packages offer it, or its import fails.
    """
    found = list(_entries(group).select(name=name))
    if not found:
        known = ", ".join(names(group)) or "none"
        raise PluginError(f"There is no {_KIND[group]} called '{name}'. Installed: {known}.")
    if len({entry.value for entry in found}) > 1:
        packages = " and ".join(sorted(_package(entry)[0] for entry in found))
        raise PluginError(f"Two packages offer the {_KIND[group]} '{name}': {packages}. Remove one of them.")
    try:
        loaded = found[0].load()
    except ImportError as error:
        raise PluginError(_import_message(group, found[0], error)) from error
    except Exception as error:
        raise PluginError(
            f"The {_KIND[group]} '{name}' of {_package(found[0])[0]} fails on import: {error!r}."
        ) from error
    if not inspect.isclass(loaded):
        raise PluginError(f"The {_KIND[group]} '{name}' of {_package(found[0])[0]} is not a class.")
    return loaded


def create(group: str, name: str, options: Mapping[str, Any]) -> Any:
    """Make an instance of a plugin with the options of its table in campaign.toml.

    Raises
    ------
    PluginError
        If the plugin cannot be loaded or does not know an option.
    """
    cls = load(group, name)
    try:
        inspect.signature(cls).bind(**options)
    except TypeError as error:
        raise PluginError(f"The {_KIND[group]} '{name}' does not take these options: {error}.") from error
    with blamed(group, name):
        return cls(**options)


@contextmanager
def blamed(group: str, name: str, progress: Progress = no_progress) -> Iterator[Progress]:
    """Name the plugin in any error that it did not raise on purpose.

    Gives `progress` back for the plugin to call: what the caller raises there to cancel passes through.
    """
    cancelled: list[BaseException] = []

    def report(step: str, done: int, total: int) -> None:
        try:
            progress(step, done, total)
        except BaseException as error:
            cancelled.append(error)
            raise

    try:
        yield report
    except AllocateError:
        raise
    except Exception as error:
        if error in cancelled:
            raise
        raise PluginError(f"The {_KIND[group]} '{name}' failed: {error!r}.") from error


def installed() -> list[Plugin]:
    """Return every installed plugin, each tried, the broken ones with their error."""
    result = []
    for group in GROUPS:
        for entry in sorted(entry_points(group=group), key=lambda e: e.name):
            package, version = _package(entry)
            error, summary = None, ""
            try:
                summary = _summary(load(group, entry.name))
            except PluginError as problem:
                error = str(problem)
            result.append(Plugin(group, entry.name, package, version, entry.value, error, summary))
    return result


def _summary(cls: type[Any]) -> str:
    """Return the first line of a class's own docstring."""
    return inspect.cleandoc(vars(cls).get("__doc__") or "").partition("\n")[0]


def _package(entry: EntryPoint) -> tuple[str, str]:
    return (entry.dist.name, entry.dist.version) if entry.dist else ("an unknown package", "")


def _import_message(group: str, entry: EntryPoint, error: ImportError) -> str:
    package, _ = _package(entry)
    message = f"The {_KIND[group]} '{entry.name}' of {package} cannot be imported: {error}."
    if package == "allocate" and group in _EXTRA:
        message += f" In a checkout of Allocate, pip install '.[{_EXTRA[group]}]' brings what it needs."
    return message
