"""Altair charts drawn as SVG that stands in a page: no script, and the colours of the page's own style.

Texts stand at fixed places rather than where a renderer measures them, so that a drawing does not depend on
the fonts of the machine that makes it: same figures, same bytes.
"""

from __future__ import annotations

import html
import importlib.util
import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

# Of the page's style, which has them for light, dark and paper.
BLUE, ORANGE, GREY, LINE = "var(--blue)", "var(--orange)", "var(--grey)", "var(--line)"
INK = "currentColor"
WIDTH = 720
LEFT, TOP, ROW = 190, 26, 22
LABEL_CELLS = 28  # that fit to the left; a Chinese character takes two
FIGURE_ROOM = 84  # for the figure at the end of a bar
GUTTER = 24
MOST_BARS = 20
CONFIG = {
    "aria": False,  # the drawing as a whole is described
    "background": "transparent",
    "font": "inherit",
    "view": {"stroke": None, "fill": None},
}
Data = dict[str, list[dict[str, Any]]]
_HEAD = re.compile(r'<svg [^>]*>(<g fill="none" stroke-miterlimit="10") transform="[^"]*">')


@dataclass(frozen=True)
class Drawing:
    """A chart in a page.

    Parameters
    ----------
    title
        What it shows.
    svg
        The drawing.
    note
        What to know to read it.
    """

    title: str
    svg: str
    note: str = ""


@dataclass(frozen=True)
class Bars:
    """One column of bars with a figure at the end of each.

    Parameters
    ----------
    title
        Above it.
    values, texts
        Length of each bar, None for no bar, and the figure beside it.
    colours
        Of each bar; blue unless given.
    mark
        Where an upright line stands, such as a mean.
    """

    title: str
    values: Sequence[float | None]
    texts: Sequence[str]
    colours: Sequence[str] | None = None
    mark: float | None = None


def can_draw() -> bool:
    """Return whether the libraries that draw are installed."""
    return all(importlib.util.find_spec(name) is not None for name in ("altair", "vl_convert"))


def draw_bars(title: str, labels: Sequence[str], columns: Sequence[Bars], note: str = "") -> Drawing:
    """Draw bars in one column or several beside each other, a row for each label, `MOST_BARS` at most."""
    import altair as alt

    names = labels[:MOST_BARS]
    room = (WIDTH - LEFT - GUTTER * (len(columns) - 1)) // len(columns)
    data: Data = {"names": [{"row": i, "text": short(name)} for i, name in enumerate(names)]}
    parts = [_column(f"bars{k}", column, len(names), room, data) for k, column in enumerate(columns)]
    parts[0] = alt.layer(_names(len(names)), parts[0])
    if len(labels) > MOST_BARS:
        note = f"{note} The {MOST_BARS} first of {len(labels)}; the table has all.".strip()
    figures = "; ".join(
        f"{name}: " + ", ".join(f"{column.title} {column.texts[i]}" for column in columns if column.texts[i])
        for i, name in enumerate(names)
    )
    chart = alt.hconcat(*parts, spacing=GUTTER, bounds="flush")
    return draw(chart, data, title, figures, height=ROW * len(names), note=note)


def draw(
    chart: Any,
    data: Data,
    title: str,
    figures: str,
    *,
    height: float,
    left: float = LEFT,
    bottom: float = 8,
    note: str = "",
) -> Drawing:
    """Draw a chart whose contents begin `left` and `TOP` from the corner of the picture.

    Parameters
    ----------
    chart
        An Altair chart.
    data
        Its rows by name.
    title, figures, note
        What it shows, in words for who does not see it.
    height, left, bottom
        Of the contents, and of what stands to their left and below them.
    """
    import vl_convert

    spec = chart.to_dict(validate=False) | {"datasets": data, "padding": 0, "config": CONFIG}
    svg = vl_convert.vegalite_to_svg(spec)
    box = f"0 0 {WIDTH} {TOP + height + bottom:g}"
    words = html.escape(f"{title}. {figures}", quote=True)
    head = (
        f'<svg viewBox="{box}" role="img" aria-label="{words}"><g fill="none" stroke-miterlimit="10" '
        f'transform="translate({left:g},{TOP})">'
    )
    svg, heads = _HEAD.subn(lambda _: head, svg, count=1)
    assert heads == 1, "the head of a drawing is as this version of vl-convert writes it"
    return Drawing(title, svg, note)


def short(text: str, cells: int = LABEL_CELLS) -> str:
    """Return a text's beginning and end if it needs more cells; a Chinese character takes two."""
    from rich.cells import cell_len

    text = " ".join(text.split())
    if cell_len(text) <= cells:
        return text
    room, cut = cells // 2, len(text)
    while cell_len(text[:cut]) > cells - room - 1:
        cut -= 1
    end = cut
    while cell_len(text[end:]) > room:
        end += 1
    return f"{text[:cut].rstrip()}…{text[end:].lstrip()}"


def rows_of(name: str) -> Any:
    """Return a chart of the rows of this name among those given to `draw`."""
    import altair as alt

    return alt.Chart(alt.NamedData(name))


def heading(text: str) -> Any:
    """Return a layer with a heading above a part of a chart."""
    import altair as alt

    mark = rows_of("one").mark_text(
        align="left", baseline="bottom", fontWeight="bold", fontSize=12, color=INK
    )
    return mark.encode(alt.XValue(0), alt.YValue(-8), alt.TextValue(text))


def _names(count: int) -> Any:
    import altair as alt

    mark = rows_of("names").mark_text(align="right", baseline="middle", fontSize=12, color=INK)
    return mark.encode(alt.XValue(-8), _rows(count), alt.Text("text:N"))


def _column(name: str, column: Bars, count: int, room: int, data: Data) -> Any:
    """Return one column in `room` pixels, with its figures beside the bars; put its rows into the data."""
    import altair as alt

    data["one"] = [{}]
    data[name] = [
        {"row": i, "value": value, "text": text, "colour": colour, "zero": 0.0}
        for i, (value, text, colour) in enumerate(
            zip(column.values, column.texts, column.colours or [BLUE] * len(column.values), strict=True)
        )
        if value is not None and i < count
    ]
    marked = [] if column.mark is None else [column.mark]
    values = [0.0, *marked, *(row["value"] for row in data[name])]
    low, high = min(values), max(values)
    domain = [low, high if high > low else low + 1.0]
    scale = alt.Scale(domain=domain, range=[0, room - FIGURE_ROOM], nice=False, zero=False)
    x, y = alt.X("value:Q", scale=scale, axis=None), _rows(count)
    base = rows_of(name)
    bars = base.mark_bar().encode(x, alt.X2("zero:Q"), y, alt.Color("colour:N", scale=None))
    figures = base.mark_text(align="left", baseline="middle", fontSize=12, color=INK, dx=5)
    # At the ends of the bars; all in one line where there a bar or a line would cross them.
    ends = x if low == 0.0 and column.mark is None else alt.XValue(room - FIGURE_ROOM)
    layers = [heading(column.title), bars, figures.encode(ends, y, alt.Text("text:N"))]
    if column.mark is not None:
        rule = rows_of("one").mark_rule(color=INK, strokeDash=[3, 3])
        layers.append(rule.encode(alt.XDatum(column.mark)))
    return alt.layer(*layers).properties(width=room, height=ROW * count)


def _rows(count: int) -> Any:
    import altair as alt

    scale = alt.Scale(domain=list(range(count)), paddingInner=0.25, paddingOuter=0.125)
    return alt.Y("row:O", scale=scale, axis=None)
