"""How far a plan's prices hold, what its coupons may cost, and what its limits cost."""

from __future__ import annotations

import math

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from allocator.whatif.sensitivity import MOST_WITHOUT, STEP, CouponSensitivity, LimitSensitivity, Sensitivity
from allocator.whatif.verdict import Units
from allocator.wording import number
from cli.render.format import plain_table

MOST_ROWS = 25


def sensitivity_page(found: Sensitivity, units: Units) -> RenderableType:
    """Return the limits that bind first, then the coupons, then each limit as a whole."""
    notes = (
        "One more: what the plan gains or loses where the bound is one unit more. "
        f"A price holds within {STEP:.0%} while the bound is in this range and the other prices stay.",
        "Advantage: what the coupon's users would lose at once with their next best. Break-even: the mean "
        "cost at which all of it would be gone, or at which an unused coupon's first user would get it.",
        "Without a limit as a whole, the plan could earn so much more: at least, and at most (proven). "
        f"Only limits that bind, and of those the {MOST_WITHOUT} dearest.",
    )
    tables = (_limits(found, units), _coupons(found, units), _without(found, units))
    parts: list[RenderableType] = []
    for table, note in zip(tables, notes, strict=True):
        if table.row_count:
            parts += [table, Text(note, style="dim"), Text("")]
    return Group(*parts[:-1])


def _limits(found: Sensitivity, units: Units) -> Table:
    table = plain_table(
        "Limits", "limit", ">bound", ">used", f">one more of room ({units.value})", ">holds from", ">to"
    )
    rows = sorted(found.limits, key=lambda row: not row.binding)
    for row in rows[:MOST_ROWS]:
        table.add_row(
            Text(row.label, style="bold" if row.binding else ""), _bound(row), number(row.used),
            number(row.price) if row.binding else "0", _end(row.holds_from), _end(row.holds_to),
        )  # fmt: skip
    if len(rows) > MOST_ROWS:
        table.add_row(Text(f"and {len(rows) - MOST_ROWS} more", style="dim"))
    return table


def _bound(row: LimitSensitivity) -> str:
    upper = row.at_most - row.used <= row.used - row.at_least
    return f"≤ {number(row.at_most)}" if upper else f"≥ {number(row.at_least)}"


def _end(value: float) -> str:
    return "any" if math.isinf(value) else number(value)


def _coupons(found: Sensitivity, units: Units) -> Table:
    table = plain_table(
        "Coupons", "coupon", ">users", f">advantage ({units.value})", ">cost each", ">break-even", ">room"
    )
    for row in sorted(found.coupons, key=lambda row: (-row.advantage, row.coupon_id)):
        table.add_row(
            Text(row.coupon_id, style="" if row.users else "dim"), number(row.users), number(row.advantage),
            number(row.cost_each), number(row.break_even_cost), _room(row),
        )  # fmt: skip
    return table


def _room(row: CouponSensitivity) -> Text:
    if not row.cost_each or row.break_even_cost is None:
        return Text("")
    room = row.break_even_cost / row.cost_each - 1
    return Text(f"{room:+.0%}", style="green" if room > 0 else "red")


def _without(found: Sensitivity, units: Units) -> Table:
    table = plain_table("Without the limit", "limit", f">at least ({units.value})", ">at most")
    for row in sorted(found.without, key=lambda row: -row.lost_at_most):
        table.add_row(Text(row.label), f"+{number(row.lost_at_least)}", f"+{number(row.lost_at_most)}")
    return table
