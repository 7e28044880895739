"""`allocate explain`: why this coupon, and what the predicted uplift rests on."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from cli.console import Terminal, output_options

if TYPE_CHECKING:
    from rich.console import RenderableType

    from allocator.runs.opening import OpenRun

EPILOG = """\b
Examples:
  allocate explain result --user U17              why this coupon, and what drives its uplift
  allocate explain result --segment region=north  the same of a group of users
  allocate explain result --importance            what the uplift rests on, for all customers
  allocate explain model --importance --campaign shop
"""


@click.command("explain", epilog=EPILOG)
@click.argument("folder", metavar="RUN", type=click.Path(file_okay=False, path_type=Path))
@click.option("--user", help="The user_id.")
@click.option("--segment", metavar="COLUMN=LABEL", help="A group of users, by a column of users.csv.")
@click.option("--importance", is_flag=True, help="What the predicted uplift rests on, for all customers.")
@click.option(
    "--model",
    type=click.Path(file_okay=False, path_type=Path),
    help="Folder of `allocate train` [default: the predictor that RUN trained].",
)
@click.option(
    "--campaign",
    "source",
    type=click.Path(file_okay=False, path_type=Path),
    help="Campaign folder [default: the one RUN was made from].",
)
@output_options
def command(
    folder: Path,
    user: str | None,
    segment: str | None,
    importance: bool,
    model: Path | None,
    source: Path | None,
    terminal: Terminal,
) -> None:
    """Say why a user, or a group of users, gets this coupon and not another, or nothing, in a finished run.

    Where the run trained a predictor, say too what drives the uplift that it predicts. With
    --importance, RUN may also be a folder of `allocate train`; then name the --campaign.
    """
    if sum((user is not None, segment is not None, importance)) != 1:
        raise click.UsageError("Say whom to explain: --user or --segment, or --importance for all customers.")
    if user is not None:
        _explain_user(folder, user, model, source, terminal)
    elif segment is not None:
        _explain_segment(folder, segment, source, terminal)
    else:
        _explain_importance(folder, model, source, terminal)


def _explain_user(
    folder: Path, user: str, model: Path | None, source: Path | None, terminal: Terminal
) -> None:
    from allocator.explain.user import explain_user
    from allocator.runs.explain_uplift import explain_uplift
    from allocator.runs.opening import lot_of, open_run
    from cli.render.explanation import explanation_page

    opened = open_run(folder, source)
    explanation = explain_user(opened.task, opened.prices, opened.assigned, user, lot_of(opened, user))
    with terminal.progress() as progress:
        explanation = explain_uplift(explanation, opened.campaign, folder, model, progress)
    _answer(explanation_page(explanation), asdict(explanation), opened, terminal)


def _explain_segment(folder: Path, segment: str, source: Path | None, terminal: Terminal) -> None:
    from allocator.explain.segment import explain_segment
    from allocator.runs.opening import open_run
    from cli.render.explanation import segment_page

    column, equals, label = segment.partition("=")
    if not equals:
        raise click.BadParameter(f"'{segment}' is not COLUMN=LABEL", param_hint="--segment")
    run = open_run(folder, source)
    found = explain_segment(run.campaign, run.task, run.prices, run.assigned, column, label, run.held_out)
    _answer(segment_page(found), asdict(found), run, terminal)


def _answer(page: RenderableType, document: dict[str, Any], run: OpenRun, terminal: Terminal) -> None:
    """Show an explanation, and what to know before the plan is believed or sent."""
    from rich.console import Group

    from allocator.campaign.summary import cautions as cautions_of
    from cli.render.reach import caution_lines

    cautions = cautions_of(run.summary)
    terminal.show(Group(page, *caution_lines(cautions)))
    terminal.emit({**document, "cautions": cautions})


def _explain_importance(folder: Path, model: Path | None, source: Path | None, terminal: Terminal) -> None:
    from allocator.campaign import read_campaign
    from allocator.runs.explain_uplift import explain_importance
    from allocator.runs.models import is_model
    from allocator.runs.opening import open_run
    from cli.render.explanation import importance_page

    if not is_model(folder):
        campaign = open_run(folder, source).campaign
    elif source is not None:
        campaign = read_campaign(source)
    else:
        raise click.UsageError("A model is explained by a campaign's customers; name it with --campaign.")
    with terminal.progress() as progress:
        name, found = explain_importance(campaign, folder, model, progress)
    terminal.show(importance_page(found, name))
    terminal.emit({"predictor": name, "inputs": [asdict(row) for row in found]})
