"""One user's decision and what drives its uplift; what matters for all customers."""

from __future__ import annotations

from collections.abc import Sequence

from rich.console import Group, RenderableType
from rich.panel import Panel
from rich.table import Table
from rich.text import Text

from allocator.explain.segment import SegmentExplanation
from allocator.explain.user import Explanation
from allocator.plugins.attribution import Importance, UpliftView, points, shown
from cli.render.format import bar, number, percent, plain_table

DRIVERS = 5
"""Inputs that are shown by name; the others are added up."""
INPUTS = 12


def explanation_page(explanation: Explanation) -> RenderableType:
    """Return the decision in words, the coupons in numbers, and what drives the uplift."""
    table = _table(
        ("", "left"),
        ("coupon", "left"),
        ("value", "right"),
        ("cost", "right"),
        ("price of limits", "right"),
        ("left over", "right"),
    )
    for view in explanation.coupons:
        if not view.eligible:
            table.add_row("", Text(view.coupon_id, style="dim"), Text("not eligible", style="dim"))
            continue
        table.add_row(
            "→" if view.chosen else "",
            Text(view.coupon_id, style="bold" if view.chosen else ""),
            number(view.value), number(view.cost), number(view.price_paid), number(view.reduced_value),
        )  # fmt: skip
    groups = ", ".join(f"{name} {label}" for name, label in explanation.groups.items())
    words = [Text(word) for word in explanation.words]
    title = Text(f"user {explanation.user_id}", style="bold") + Text(f"  {groups}", style="dim")
    body: list[RenderableType] = [*words, Text(""), table]
    for uplift in explanation.uplift:
        body += [Text(""), Text(uplift.words), Text(""), _drivers(uplift)]
    if explanation.uplift_note:
        body += [Text(""), Text(explanation.uplift_note, style="dim")]
    return Panel(Group(*body), title=title, title_align="left", border_style="cyan", expand=False)


def segment_page(found: SegmentExplanation) -> RenderableType:
    """Return what a group of users gets, in words and in numbers."""
    coupons = plain_table(
        "Coupons", "coupon", ">users", ">share", ">others", ">value", ">cost", ">price of limits"
    )
    for row in found.coupons:
        coupons.add_row(
            Text(row.coupon_id), number(row.users), percent(row.share), percent(row.share_elsewhere),
            number(row.value), number(row.cost), number(row.price_paid),
        )  # fmt: skip
    prices = plain_table("Limits", "limit", ">takes from its value")
    for price in found.prices[:INPUTS]:
        prices.add_row(Text(price.label), number(price.paid))
    nothing = plain_table("Nothing", "reason", ">users")
    for reason, users in found.nothing.items():
        nothing.add_row(Text(reason), number(users))
    parts: list[RenderableType] = [
        Text(f"{found.column} {found.label}", style="bold"),
        *map(Text, found.words),
    ]
    for table in (coupons, prices, nothing):
        parts += [Text(""), table] if table.row_count else []
    return Group(*parts)


def importance_page(rows: Sequence[Importance], predictor: str) -> RenderableType:
    """Return how much each input moves the uplift: over all coupons, and the first three of each."""
    overall = _table(("what is known of a customer", "left"), ("points", "right"), ("", "left"))
    most = rows[0].effect if rows else 0.0
    for row in rows[:INPUTS]:
        share = row.effect / most if most > 0 else 0.0
        overall.add_row(Text(row.input), _size(row.effect), bar(share))
    if rest := rows[INPUTS:]:
        overall.add_row(Text(_others(len(rest), "each at most"), style="dim"), _size(rest[0].effect), "")
    coupons = _table(("coupon", "left"), ("moved most by (points)", "left"))
    for coupon in rows[0].coupons if rows else ():
        first = sorted(rows, key=lambda row: (-row.coupons[coupon], row.input))[:3]
        said = ", ".join(f"{row.input} {_size(row.coupons[coupon])}" for row in first)
        coupons.add_row(Text(coupon), Text(said))
    intro = Text(
        f"What the uplift of the predictor '{predictor}' rests on: by how many percentage points each thing "
        "known of a customer moves it, up or down, on average."
    )
    return Group(intro, Text(""), overall, Text(""), coupons)


def _drivers(uplift: UpliftView) -> Table:
    """Return the way from the usual customer's uplift to the user's, which adds up."""
    table = _table(
        ("what is known", "left"), ("this user", "right"), ("usual customer", "right"), ("points", "right")
    )
    table.add_row(
        Text("uplift of the usual customer", style="dim"),
        "",
        "",
        Text(points(uplift.usual_uplift), style="dim"),
    )
    for driver in uplift.drivers[:DRIVERS]:
        table.add_row(
            Text(driver.input),
            Text(shown(driver.value, driver.unit)),
            Text(shown(driver.usual, driver.unit), style="dim"),
            points(driver.effect),
        )
    if rest := uplift.drivers[DRIVERS:]:
        total = sum(driver.effect for driver in rest)
        table.add_row(Text(_others(len(rest), "together"), style="dim"), "", "", points(total))
    table.add_row(
        Text("uplift of this user", style="bold"), "", "", Text(points(uplift.uplift), style="bold")
    )
    return table


def _table(*columns: tuple[str, str]) -> Table:
    table = Table(box=None, padding=(0, 2, 0, 0), header_style="dim")
    for name, justify in columns:
        table.add_column(name, justify=justify, overflow="fold")  # type: ignore[arg-type]
    return table


def _others(count: int, how: str) -> str:
    return f"{count} other{'s' if count > 1 else ''}, {how}"


def _size(effect: float) -> str:
    return points(effect).removeprefix("+")
