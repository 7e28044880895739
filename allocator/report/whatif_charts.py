"""Charts of what-ifs: scenarios against the base, what a range of a bound earns, what coupons may cost."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from allocator.report.drawing import (
    BLUE,
    GREY,
    INK,
    LINE,
    ORANGE,
    WIDTH,
    Bars,
    Data,
    Drawing,
    draw,
    draw_bars,
    heading,
    rows_of,
    short,
)
from allocator.whatif.frontier import Frontier, FrontierPoint
from allocator.whatif.verdict import Units
from allocator.wording import number, signed_number

Row = Mapping[str, Any]
MARGIN = 90  # left of a curve or map
ACROSS = WIDTH - MARGIN - 30
CURVE, MARGINAL, BETWEEN = 220, 110, 56  # heights
MAP_HEIGHT, MOST_CELL_WIDTH, MOST_CELL_HEIGHT = 420, 96, 30
MOST_LABELS = 8  # of an axis of a map
# From light to dark, so that they stay in order without colour.
SHADES = ("#e3eef8", "#bcd7ec", "#8dbbdd", "#5598c8", "#2271ad", "#0b4a83")
MOST_LIGHT = 3  # the last shade on which text is dark
# An axis in short: 1.5k, 20k, 3M, but 0.05.
SHORT, FULL = "replace(format(datum.value, '.3~s'), 'G', 'B')", "format(datum.value, ',.4~g')"
TICK = f"abs(datum.value) >= 10000 ? {SHORT} : {FULL}"


def scenario_chart(rows: Sequence[Row], units: Units) -> Drawing | None:
    """Show by how much each scenario's plan differs from the base's; None if no scenario has a plan."""
    solved = [row for row in rows[1:] if not row["error"]]
    if not solved:
        return None
    columns = (
        ("expected_value", f"value ({units.value})", True),
        ("spend", f"spend ({units.currency})", False),
        ("assigned", "users", True),
    )
    bars = []
    for name, title, good in columns:
        changes = [row["difference"][name] for row in solved]
        colours = [GREY if not good else BLUE if change >= 0 else ORANGE for change in changes]
        bars.append(Bars(title, changes, [signed_number(change) for change in changes], colours))
    names = [row["name"] for row in solved]
    return draw_bars("What each scenario changes against the base plan", names, bars)


def room_chart(rows: Sequence[Row], units: Units) -> Drawing | None:
    """Show what coupons in use earn over the next best, and by how much dearer they may become."""
    used = [row for row in rows if row["users"]]
    if not used:
        return None
    rooms = [
        row["break_even_cost"] / row["cost_each"] - 1
        if row["cost_each"] and row["break_even_cost"] is not None
        else None
        for row in used
    ]
    advantage = Bars(
        f"advantage ({units.value})",
        [row["advantage"] for row in used],
        [number(row["advantage"]) for row in used],
    )
    room = Bars(
        "may cost so much more",
        rooms,
        ["" if room is None else f"{room:+.0%}" for room in rooms],
        [GREY] * len(used),
    )
    return draw_bars(
        "What coupons bring, and may cost", [row["coupon_id"] for row in used], [advantage, room]
    )


def frontier_chart(frontier: Frontier, units: Units) -> Drawing | None:
    """Draw a curve, or over two bounds a map; None if there is no plan anywhere."""
    if not any(point.value is not None for point in frontier.points):
        return None
    return _map(frontier, units) if len(frontier.sweeps) == 2 else _curve(frontier, units)


def _curve(frontier: Frontier, units: Units) -> Drawing:
    import altair as alt

    known = [point for point in frontier.points if point.value is not None]
    path = frontier.sweeps[0].path
    first, last = known[0].at[0], known[-1].at[0]
    domain = [first, last if last > first else first + 1]
    scale = alt.Scale(domain=domain, range=[0, ACROSS], nice=False, zero=False)
    data: Data = {
        "one": [{}],
        "value": [{"x": point.at[0], "y": point.value} for point in known],
        "marginal": [
            {"x": point.at[0], "y": point.marginal} for point in known if point.marginal is not None
        ],
    }
    parts = [
        _panel(
            "value",
            f"value ({units.value}) by {short(path, 60)}",
            scale,
            CURVE,
            _marks(frontier, first, last),
        )
    ]
    height = CURVE
    if data["marginal"]:
        floor = [] if frontier.floor is None else [_rule(alt.YDatum(frontier.floor))]
        parts.append(_panel("marginal", f"what one more unit earns ({units.value})", scale, MARGINAL, floor))
        height += BETWEEN + MARGINAL
    figures = "; ".join(f"at {number(point.at[0])}: {number(point.value)}" for point in known)
    chart = alt.vconcat(*parts, spacing=BETWEEN, bounds="flush")
    return draw(chart, data, f"Value by {path}", figures, height=height, left=MARGIN, bottom=28)


def _panel(rows: str, title: str, scale: Any, height: int, marks: list[Any]) -> Any:
    """Return a line with its points under a heading."""
    import altair as alt

    base = rows_of(rows).encode(
        alt.X("x:Q", scale=scale, axis=_axis(tickCount=7)),
        alt.Y("y:Q", scale=alt.Scale(zero=rows == "marginal", nice=True), axis=_axis(tickCount=5)),
    )
    line, points = base.mark_line(color=BLUE), base.mark_point(color=BLUE, filled=True, size=36)
    return alt.layer(heading(title), line, points, *marks).properties(width=ACROSS, height=height)


def _axis(**options: Any) -> Any:
    import altair as alt

    return alt.Axis(
        title=None, labelExpr=TICK, labelColor=INK, labelFontSize=12, labelOverlap=False, labelFlush=False,
        labelBound=False, gridColor=LINE, domain=False, ticks=False, labelPadding=6, **options,
    )  # fmt: skip


def _marks(frontier: Frontier, first: float, last: float) -> list[Any]:
    """Return upright lines at the base, the knee and the floor, named one above another."""
    import altair as alt

    knee = None if frontier.knee is None else frontier.points[frontier.knee].at[0]
    named = (("base", frontier.base[0]), ("knee", knee), ("floor", frontier.floor_at))
    marks: list[Any] = []
    for name, place in named:
        if place is None or not first <= place <= last:
            continue
        late = place - first > 0.75 * (last - first)
        side = {"align": "right", "dx": -5} if late else {"align": "left", "dx": 5}
        text = rows_of("one").mark_text(color=INK, fontSize=12, baseline="bottom", **side)
        row = CURVE - 6 - 8 * len(marks)
        label = alt.TextValue(f"{name} {number(place)}")
        marks += [_rule(alt.XDatum(place)), text.encode(alt.XDatum(place), alt.YValue(row), label)]
    return marks


def _rule(place: Any) -> Any:
    return rows_of("one").mark_rule(color=ORANGE, strokeDash=[5, 3]).encode(place)


def _map(frontier: Frontier, units: Units) -> Drawing:
    import altair as alt

    across, up = (sweep.values for sweep in frontier.sweeps)
    width = min(ACROSS / len(across), MOST_CELL_WIDTH)
    height = min(MAP_HEIGHT / len(up), MOST_CELL_HEIGHT)
    known = [point.value for point in frontier.points if point.value is not None]
    low, high = min(known), max(known)
    data: Data = {
        "one": [{}],
        "cells": [_cell(point, frontier, low, high) for point in frontier.points],
        "across": [{"x": (i + 0.5) * width, "text": number(across[i])} for i in _some(across)],
        "up": [{"y": (len(up) - i - 0.5) * height, "text": number(up[i])} for i in _some(up)],
    }
    column = alt.X("x:O", scale=alt.Scale(domain=list(range(len(across))), padding=0), axis=None)
    row = alt.Y("y:O", scale=alt.Scale(domain=list(range(len(up)))[::-1], padding=0), axis=None)
    base = rows_of("cells").encode(column, row)
    fill = base.mark_rect(stroke=LINE, strokeWidth=1).encode(alt.Color("fill:N", scale=None))
    now = base.transform_filter("datum.now").mark_rect(fill=None, stroke=ORANGE, strokeWidth=3)
    first, second = (short(sweep.path, 40) for sweep in frontier.sweeps)
    cells = [fill, now]
    if width >= 8 * max(len(cell["text"]) for cell in data["cells"]) and height >= 16:
        cells.append(base.mark_text(fontSize=12).encode(alt.Text("text:N"), alt.Color("ink:N", scale=None)))
    below, beside = (
        rows_of(name).mark_text(fontSize=12, color=INK, align=align, baseline=baseline)
        for name, align, baseline in (("across", "center", "top"), ("up", "right", "middle"))
    )
    layers = [
        heading(f"value ({units.value}): {first} to the right, {second} upwards"),
        alt.layer(*cells),
        below.encode(alt.X("x:Q", scale=None), alt.YValue(len(up) * height + 8), alt.Text("text:N")),
        beside.encode(alt.XValue(-8), alt.Y("y:Q", scale=None), alt.Text("text:N")),
    ]
    chart = alt.layer(*layers).properties(width=width * len(across), height=height * len(up))
    figures = "; ".join(
        f"at {' and '.join(number(at) for at in point.at)}: "
        f"{'no plan' if point.value is None else number(point.value)}"
        for point in frontier.points
    )
    note = f"Darker is worth more: from {number(low)} to {number(high)}."
    note += " × has no plan." if len(known) < len(frontier.points) else ""
    note += " Framed: as it is." if any(cell["now"] for cell in data["cells"]) else ""
    title = "Value by " + " and ".join(sweep.path for sweep in frontier.sweeps)
    return draw(
        chart.resolve_scale(x="independent", y="independent"), data, title, figures,
        height=height * len(up), left=MARGIN, bottom=28, note=note,
    )  # fmt: skip


def _cell(point: FrontierPoint, frontier: Frontier, low: float, high: float) -> dict[str, Any]:
    """Return a cell's place, figure and colours, and whether it is the campaign as it is."""
    x, y = (sweep.values.index(at) for sweep, at in zip(frontier.sweeps, point.at, strict=True))
    cell = {"x": x, "y": y, "now": point.at == frontier.base}
    if point.value is None:
        return cell | {"text": "×", "fill": "transparent", "ink": INK}
    shade = round((point.value - low) / (high - low) * (len(SHADES) - 1)) if high > low else 0
    ink = "#fff" if shade > MOST_LIGHT else "#111"
    return cell | {"text": number(point.value), "fill": SHADES[shade], "ink": ink}


def _some(values: Sequence[float]) -> list[int]:
    """Return the places of at most `MOST_LABELS` numbers, the first and the last among them."""
    count = min(len(values), MOST_LABELS)
    return sorted({round(i * (len(values) - 1) / (count - 1)) for i in range(count)})
