"""A frontier as a curve and a table, or over two bounds as a map."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from allocator.whatif.frontier import Frontier, FrontierPoint
from allocator.whatif.frontier_words import frontier_words
from allocator.whatif.verdict import Units
from allocator.wording import number
from cli.render.canvas import Canvas, braille
from cli.render.format import bar, gap_text, plain_table

WIDTH, HEIGHT = 56, 12
SHADES = " ░▒▓█"
MOST_FAILURES = 3
MOST_COLUMNS = 9  # of a map with figures at 80 characters
PLAIN_STYLES = ("dim", "blue", "cyan", "green", "bold green")


def frontier_page(frontier: Frontier, units: Units) -> RenderableType:
    """Return what the plans are worth along one bound, or over two."""
    if not any(point.value is not None for point in frontier.points):
        return Group(
            *_failures(frontier.points), Text("There is no plan anywhere in the range.", style="red")
        )
    if len(frontier.sweeps) == 2:
        return Group(*_map(frontier, units), *_failures(frontier.points))
    return Group(
        _curve(frontier, units), Text(""), _table(frontier, units), *_failures(frontier.points), Text(""),
        *(Text(line) for line in frontier_words(frontier, units)),
    )  # fmt: skip


def _curve(frontier: Frontier, units: Units) -> Text:
    known = [point for point in frontier.points if point.value is not None]
    x, y = [point.at[0] for point in known], [_of(point) for point in known]
    ends = (x[0], x[-1] if x[-1] > x[0] else x[0] + 1), (min(y), max(y) if max(y) > min(y) else min(y) + 1)
    canvas = Canvas(*ends, WIDTH, HEIGHT)
    canvas.line(x, y)
    top, bottom = number(max(y)), number(min(y))
    margin = max(len(top), len(bottom)) + 1
    marks = _marks(frontier)
    text = Text()
    text.append(f"Value ({units.value}) by {frontier.sweeps[0].path}\n", style="bold")
    for row in range(HEIGHT):
        label = top if row == 0 else bottom if row == HEIGHT - 1 else ""
        text.append(label.rjust(margin - 1) + " ", style="dim")
        text.append("".join(braille(dots) for dots in canvas.cells[row]).rstrip(braille(0)), style="cyan")
        text.append("\n")
    first, last = number(x[0]), number(x[-1])
    if marks:
        line = [" "] * WIDTH
        for place, (letter, _) in marks.items():
            at = round((place - x[0]) / (ends[0][1] - x[0]) * (WIDTH - 1))
            line[at] = letter if line[at] == " " else "*"
        text.append(" " * margin + "".join(line).rstrip() + "\n", style="bold yellow")
    text.append(" " * margin + first + last.rjust(WIDTH - len(first)), style="dim")
    legend = ", ".join(f"{letter} {meaning}" for letter, meaning in marks.values())
    return text.append(f"\n{' ' * margin}{legend}" if marks else "", style="dim")


def _marks(frontier: Frontier) -> dict[float, tuple[str, str]]:
    """Return the letters under the curve and what they mean, by place."""
    known = [point.at[0] for point in frontier.points if point.value is not None]
    knee = None if frontier.knee is None else frontier.points[frontier.knee].at[0]
    named = (("base", frontier.base[0]), ("knee", knee), ("floor", frontier.floor_at))
    at: dict[float, list[str]] = {}
    for name, place in named:
        if place is not None and known[0] <= place <= known[-1]:
            at.setdefault(place, []).append(name)
    return {
        place: (names[0][0] if len(names) == 1 else "*", " and ".join(names)) for place, names in at.items()
    }


def _table(frontier: Frontier, units: Units) -> Table:
    marginal = any(point.marginal is not None for point in frontier.points)
    table = plain_table(
        f"Plans ({units.value})",
        f">{frontier.sweeps[0].path}", ">value", ">± a unit", ">spend", ">users", ">gap",
        *([">one more earns", ""] if marginal else []),
    )  # fmt: skip
    table.columns[0].no_wrap = True
    largest = max(
        (abs(point.marginal) for point in frontier.points if point.marginal is not None), default=0.0
    )
    slopes = [None, *(_slope(a, b) for a, b in pairwise(frontier.points))]
    for i, (point, slope) in enumerate(zip(frontier.points, slopes, strict=True)):
        at = Text(number(point.at[0]), style="bold yellow" if i == frontier.knee else "")
        if point.value is None:
            table.add_row(at, Text("no plan", style="red"))
            continue
        cells = [
            number(point.value),
            "" if slope is None else number(slope),
            number(point.spend),
            number(point.users),
        ]
        row: list[Text | str] = [at, *cells, gap_text(point.gap or 0.0)]
        if marginal and point.marginal is not None:
            row += [number(point.marginal), bar(abs(point.marginal) / largest if largest else 0.0, width=10)]
        table.add_row(*row)
    return table


def _slope(before: FrontierPoint, point: FrontierPoint) -> float | None:
    """Return what a unit earned on the way from one point to the next."""
    if before.value is None or point.value is None:
        return None
    return (point.value - before.value) / (point.at[0] - before.at[0])


def _map(frontier: Frontier, units: Units) -> list[RenderableType]:
    """Return the values over two bounds: the first across, the second down, the greatest on top."""
    across, down = frontier.sweeps
    values = [point.value for point in frontier.points if point.value is not None]
    low, high = min(values), max(values)
    figures = len(across.values) <= MOST_COLUMNS
    title = f"Value ({units.value}) by {across.path} (across) and {down.path} (down)"
    table = plain_table("", ">", *([f">{number(at)}" for at in across.values] if figures else [""]))
    n = len(down.values)
    for j in reversed(range(n)):
        row = [frontier.points[i * n + j] for i in range(len(across.values))]
        cells = [_cell(point, low, high, figures) for point in row]
        label = Text(number(down.values[j]), style="dim")
        table.add_row(label, *cells) if figures else table.add_row(label, Text.assemble(*cells))
    table.title = None
    parts: list[RenderableType] = [Text(title, style="bold"), table]
    if not figures:
        ends = f"{number(across.values[0])} to {number(across.values[-1])} across"
        parts.append(Text(f"{ends}; from {number(low)} (light) to {number(high)} (dark)", style="dim"))
    best = max((point for point in frontier.points if point.value is not None), key=_of)
    where = ", ".join(
        f"{sweep.path} = {number(at)}" for sweep, at in zip(frontier.sweeps, best.at, strict=True)
    )
    return [*parts, Text(""), Text(f"Most at {where}: {number(best.value)} {units.value}.")]


def _cell(point: FrontierPoint, low: float, high: float, figures: bool) -> Text:
    if point.value is None:
        return Text("no plan" if figures else "××", style="red")
    shade = round((point.value - low) / (high - low) * (len(SHADES) - 1)) if high > low else 0
    return Text(number(point.value) if figures else 2 * SHADES[shade], style=PLAIN_STYLES[shade])


def _failures(points: Sequence[FrontierPoint]) -> list[RenderableType]:
    """Return why there is no plan, each reason once."""
    found: dict[str, list[str]] = {}
    for point in points:
        if point.error is not None:
            found.setdefault(point.error, []).append(" / ".join(number(at) for at in point.at))
    lines: list[RenderableType] = [
        Text(f"No plan at {', '.join(at)}: {error}", style="red")
        for error, at in list(found.items())[:MOST_FAILURES]
    ]
    if len(found) > MOST_FAILURES:
        lines.append(Text(f"and {len(found) - MOST_FAILURES} more points without a plan", style="red"))
    return lines


def _of(point: FrontierPoint) -> float:
    return 0.0 if point.value is None else point.value
