"""Options that several commands share."""

from __future__ import annotations

import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import click

Command = Callable[..., Any]

FOLDER = click.Path(file_okay=False, path_type=Path)
campaign_argument = click.argument("folder", metavar="DIR", type=FOLDER)


class NumberRange(click.FloatRange):
    """A range of numbers, which NaN is in for click but not for us."""

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> float:
        """Refuse what is no number."""
        number = float(super().convert(value, param, ctx))
        if math.isnan(number):
            self.fail(f"{value!r} is not a number.", param, ctx)
        return number


def solve_options(function: Command) -> Command:
    """Add the settings that override campaign.toml's ``[solve]`` table and seed."""
    for option in (
        click.option(
            "--threads", type=click.IntRange(min=1), help="Worker threads; the plan does not depend on it."
        ),
        click.option("--seed", type=click.IntRange(0, 2**32 - 1), help="Seed of everything random."),
        click.option("--time-limit", type=NumberRange(min=0, min_open=True), help="Seconds for the solver."),
        click.option("--gap", type=NumberRange(min=0), help="Relative optimality gap to reach."),
        click.option(
            "--method",
            type=click.Choice(["auto", "decomposition", "exact", "convex"]),
            help="Solution method.",
        ),
    ):
        function = option(function)
    return function


def folder_options(function: Command) -> Command:
    """Add the settings of the files in a run folder: ``--format`` and ``--charts``."""
    for option in (
        click.option(
            "--charts/--no-charts",
            default=True,
            help="Draw charts into report.html; they take about a second.  [default: charts]",
        ),
        click.option(
            "--format",
            "format",
            type=click.Choice(["csv", "parquet"]),
            default="csv",
            show_default=True,
            help="Of the tables.",
        ),
    ):
        function = option(function)
    return function


def plugin_options(function: Command) -> Command:
    """Add what a run asks of its plugins: which ones, and whether to predict and to write messages."""
    for option in (
        click.option("--copy/--no-copy", default=True, help="Write messages.  [default: copy]"),
        click.option(
            "--predict/--no-predict",
            default=None,
            help="Train on history.csv, or use scores.csv.  [default: predict, unless history.csv is too "
            "short and there is a scores.csv]",
        ),
        click.option("--device", help="cpu, cuda or auto."),
        click.option("--writer", help="Copy writer plugin; see `allocate plugins`."),
        click.option("--predictor", help="Predictor plugin; see `allocate plugins`."),
    ):
        function = option(function)
    return function
