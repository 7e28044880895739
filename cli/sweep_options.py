"""Sweeps on the command line: ``total.at_most=200:800:13``, or ``-50%:+50%:5`` of campaign.toml's number."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

import click

if TYPE_CHECKING:
    from allocator.whatif.frontier import Sweep

MOST = 200
USUAL = 13
Numbers = tuple[float, ...]


def _read_sweeps(ctx: click.Context, param: click.Parameter, values: Sequence[str]) -> tuple[Sweep, ...]:
    """Read each ``PATH=FROM:TO[:POINTS]`` or ``PATH=NUMBER,NUMBER,...``."""
    return tuple(parse_sweep(value, ctx, param) for value in values)


def sweep_options(about: str) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    """Add ``--sweep``, as often as wanted, and ``--floor``; the command gets `sweeps` and `floor`."""

    def add(function: Callable[..., Any]) -> Callable[..., Any]:
        floor = "With --sweep: find where one more unit earns less than this."
        metavar = "LABEL.KEY=FROM:TO[:POINTS]"
        function = click.option("--floor", type=float, help=floor)(function)
        return click.option(
            "--sweep", "sweeps", multiple=True, callback=_read_sweeps, metavar=metavar, help=about
        )(function)

    return add


def parse_sweep(value: str, ctx: click.Context | None = None, param: click.Parameter | None = None) -> Sweep:
    """Read one sweep."""
    from allocator.whatif.frontier import Sweep

    path, _, text = value.rpartition("=")
    problem = "write LABEL.KEY=FROM:TO[:POINTS] or LABEL.KEY=NUMBER,NUMBER,..."
    if path:
        try:
            relative = "%" in text
            numbers = _range(text, relative) if ":" in text else _list(text, relative)
            return Sweep(path, numbers, relative)
        except ValueError as error:
            problem = str(error)
    raise click.BadParameter(f"cannot read '{value}': {problem}", ctx, param)


def _list(text: str, relative: bool) -> Numbers:
    return tuple(_number(part, relative) for part in text.split(","))


def _number(text: str, relative: bool) -> float:
    """Read a number, or of relative ones the share that it is more or less."""
    from allocator.whatif.limit_changes import read_share

    if not relative:
        return float(text)
    share = read_share(text)
    if share is None:
        raise ValueError(f"'{text}' is no change in percent: write -50%, 0%, +20%")
    return share


def _range(text: str, relative: bool) -> Numbers:
    parts = text.split(":")
    if len(parts) not in (2, 3):
        raise ValueError("a range is FROM:TO or FROM:TO:POINTS")
    first, last = _number(parts[0], relative), _number(parts[1], relative)
    points = int(parts[2]) if len(parts) == 3 else USUAL
    if not 2 <= points <= MOST:
        raise ValueError(f"a sweep has 2 to {MOST} points")
    # Twelve digits: 0.1 to 0.3 in steps of 0.1 has 0.2 in it, not 0.20000000000000001.
    return tuple(float(f"{first + (last - first) * i / (points - 1):.12g}") for i in range(points))
