"""One user's decision."""

from __future__ import annotations

from rich.console import Group, RenderableType
from rich.panel import Panel
from rich.table import Table
from rich.text import Text

from allocator.explain import Explanation
from cli.render.format import number


def explanation_page(explanation: Explanation) -> RenderableType:
    """Return the decision in words and the coupons in numbers."""
    table = Table(box=None, padding=(0, 2, 0, 0), header_style="dim")
    for name, justify in (
        ("", "left"),
        ("coupon", "left"),
        ("value", "right"),
        ("cost", "right"),
        ("price of limits", "right"),
        ("left over", "right"),
    ):
        table.add_column(name, justify=justify)  # type: ignore[arg-type]
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
    return Panel(
        Group(*words, Text(""), table), title=title, title_align="left", border_style="cyan", expand=False
    )
