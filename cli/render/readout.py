"""What a send did, as a marketing lead reads it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from rich.console import Group, RenderableType
from rich.panel import Panel
from rich.table import Table
from rich.text import Text

from cli.render.format import number, percent

if TYPE_CHECKING:
    import polars as pl

    from allocator.readout.readout import Readout
    from allocator.runs.readout import RunReadout


def readout_page(found: RunReadout) -> RenderableType:
    """Return the whole page: three sentences, then tables."""
    readout = found.readout
    parts: list[RenderableType] = [
        Panel(
            Text("\n\n".join(readout.words)), title=Text(f"{found.name}, {found.wave}", style="bold"),
            title_align="left", border_style="cyan",
        )
    ]  # fmt: skip
    parts += [Text(f"Not to be concluded: {why}.", style="bold yellow") for why in readout.refused]
    if readout.effects:
        parts += [_effects(readout), Text("")]
    if readout.promises:
        parts += [_promises(readout), Text("")]
    if readout.parts:
        parts += [_parts(readout), Text("")]
    parts.append(_coverage(readout))
    if readout.rates:
        shares = ", ".join(f"{name} {percent(rate)}" for name, rate in readout.rates.items())
        parts.append(Text(f"Messages: {shares}"))
    parts += [Text(f"Note: {note}.", style="dim") for note in readout.notes]
    return Group(*parts)


def effect_table(readout: Readout) -> pl.DataFrame:
    """Return effects a row each: of all by metric, then of parts in the main metric."""
    import polars as pl

    rows: list[tuple[object, ...]] = [
        ("all", name, name, one.sent, one.held_out, one.estimate, one.fixed.low, one.fixed.high,
         one.anytime.low, one.anytime.high)
        for name, one in readout.effects.items()
    ]  # fmt: skip
    rows += [
        (part.kind, part.label, readout.metric, part.sent, part.held_out, part.shrunk, part.low, part.high,
         None, None)
        for part in readout.parts
    ]  # fmt: skip
    names = (
        "kind",
        "label",
        "metric",
        "sent",
        "held_out",
        "effect",
        "low",
        "high",
        "daily_low",
        "daily_high",
    )
    types = [pl.String] * 3 + [pl.Int64] * 2 + [pl.Float64] * 5
    return pl.DataFrame(rows, schema=dict(zip(names, types, strict=True)), orient="row")


def _effects(readout: Readout) -> RenderableType:
    table = _table("Effect a user", "of", ">sent", ">held out", ">effect", ">one look", ">looking daily")
    for name, one in readout.effects.items():
        table.add_row(
            name, number(one.mean_sent), number(one.mean_held_out), number(one.estimate),
            _between(one.fixed.low, one.fixed.high), _between(one.anytime.low, one.anytime.high),
        )  # fmt: skip
    return table


def _promises(readout: Readout) -> RenderableType:
    table = _table("Promised and realised", "what", ">promised", ">realised", ">between")
    for one in readout.promises:
        between = "" if one.low is None or one.high is None else _between(one.low, one.high)
        table.add_row(one.what, number(one.promised), number(one.realised), between)
    return table


def _parts(readout: Readout) -> RenderableType:
    title = f"Effect a user on {readout.metric}, by part (shrunken)"
    table = _table(title, "part", ">sent", ">held out", ">observed", ">shrunken", ">between")
    for part in readout.parts:
        told = part.shrunk is not None and part.low is not None and part.high is not None
        table.add_row(
            f"{part.kind} {part.label}", number(part.sent), number(part.held_out),
            number(part.estimate) if told else "too few", number(part.shrunk) if told else "",
            _between(part.low or 0.0, part.high or 0.0) if told else "",
        )  # fmt: skip
    return table


def _coverage(readout: Readout) -> RenderableType:
    table = _table("Who is known of", "arm", ">drawn", ">known", ">share")
    for one in readout.coverage:
        share = percent(one.known / one.drawn) if one.drawn else ""
        table.add_row(one.arm, number(one.drawn), number(one.known), share)
    return table


def _between(low: float, high: float) -> str:
    return f"{number(low)} to {number(high)}"


def _table(title: str, *columns: str) -> Table:
    table = Table(
        title=title, title_justify="left", title_style="bold", box=None, padding=(0, 2, 0, 0),
        header_style="dim",
    )  # fmt: skip
    for name in columns:
        table.add_column(name.lstrip(">"), justify="right" if name.startswith(">") else "left")
    return table
