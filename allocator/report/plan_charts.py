"""Charts of a plan: its coupons, how groups fare, how full limits are, what fairness costs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from allocator.report.drawing import BLUE, GREY, ORANGE, Bars, Drawing, draw_bars
from allocator.wording import number

Row = Mapping[str, Any]
MOST_SHOWN = 1.2  # share of a limit at which its bar ends


def coupon_chart(rows: Sequence[Row], value_unit: str, currency: str) -> Drawing:
    """Set the coupons' value, spend and users beside each other, in the order given."""
    columns = (("value", f"value ({value_unit})"), ("spend", f"spend ({currency})"), ("assigned", "users"))
    bars = [
        Bars(title, [row[name] for row in rows], [number(row[name]) for row in rows])
        for name, title in columns
    ]
    return draw_bars("What each coupon does", [row["label"] for row in rows], bars)


def group_chart(column: str, rows: Sequence[Row], value_unit: str) -> Drawing:
    """Show which share of each group gets a coupon, and its value a head, beside those of all users."""
    users = sum(row["users"] for row in rows)
    heads = [row["value"] / row["users"] if row["users"] else None for row in rows]
    shares = Bars(
        "share who get a coupon",
        [row["rate"] for row in rows],
        [f"{row['rate']:.1%}" for row in rows],
        mark=sum(row["assigned"] for row in rows) / users if users else None,
    )
    worth = Bars(
        f"value a head ({value_unit})",
        heads,
        [number(head) for head in heads],
        mark=sum(row["value"] for row in rows) / users if users else None,
    )
    labels = [row["label"] for row in rows]
    return draw_bars(f"How groups by {column} fare", labels, [shares, worth], "Dashed: all users.")


def limit_chart(rows: Sequence[Row]) -> Drawing:
    """Show how much of each limit is used up, in the order given."""
    shares = [used_up(row) for row in rows]
    bars = Bars(
        "share of the limit that is used up",
        [None if share is None else min(share, MOST_SHOWN) for share in shares],
        [_state(row, share) for row, share in zip(rows, shares, strict=True)],
        [ORANGE if row["binding"] else BLUE for row in rows],
        mark=1.0,
    )
    note = "At 100 % (dashed) a bound is met exactly; a floor asks for so much of what is used."
    return draw_bars("How full the limits are", [row["label"] for row in rows], [bars], note)


def fairness_chart(rows: Sequence[Row], value_unit: str) -> Drawing:
    """Show what each fairness limit costs at most."""
    most = [row["lost_at_most"] for row in rows]
    bars = Bars(f"costs at most ({value_unit})", most, [number(each) for each in most], [GREY] * len(most))
    return draw_bars("What fairness costs", [row["label"] for row in rows], [bars])


def used_up(row: Row) -> float | None:
    """Return how near a limit is to its nearest bound: 1 where it meets it; None where there is no share."""
    used, least, most = row["used"], row["at_least"], row["at_most"]
    shares = []
    if most is not None and most > 0:
        shares.append(used / most)
    if least is not None and least < 0:
        shares.append(used / least)
    if least is not None and least > 0:
        shares.append(least / used if used > 0 else MOST_SHOWN)
    return max(0.0, *shares) if shares else None


def _state(row: Row, share: float | None) -> str:
    text = "" if share is None else f"{share:.0%}"
    return f"{text} binds".strip() if row["binding"] else text
