"""A plan as a marketing lead reads it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from rich.console import Group, RenderableType
from rich.panel import Panel
from rich.table import Table
from rich.text import Text

from allocator.campaign.summary import cautions
from cli.render.format import bar, gap_text, number, percent
from cli.render.reach import reach_page

if TYPE_CHECKING:
    import polars as pl

MOST_LIMITS = 16
MOST_GROUPS = 8
MOST_SAMPLES = 4
MOST_LINES = 6  # of a sample message
NOTICEABLE = 1e-4  # share of the value from which a price of fairness is shown
NARROW_BAR = 8  # so that limits with labels of usual length fit into 80 columns


def summary_page(summary: Mapping[str, Any], texts: pl.DataFrame | None) -> RenderableType:
    """Return the whole page: headline, limits, coupons, groups, sample messages."""
    tables = [_limits(summary), _coupons(summary)]
    tables += [_groups(column, rows) for column, rows in summary["by_group"].items()]
    if summary["skipped"]:
        tables.append(_skipped(summary["skipped"]))
    tables.append(reach_page(summary["reach"], reasons=False))
    parts: list[RenderableType] = [_headline(summary)]
    for table in tables:
        parts += [table, Text("")]
    if texts is not None and texts.height:
        parts.append(_written(summary["copy"]))
        parts.append(samples_panel(texts))
    parts += [Text(f"Note: {note}", style="dim") for note in summary["notes"]]
    return Group(*parts)


def _headline(summary: Mapping[str, Any]) -> RenderableType:
    currency = summary["currency"]
    money = summary["maximize"] != "incremental_conversions"
    what = summary["maximize"].replace("_", " ")
    lines = Table.grid(padding=(0, 2))
    lines.add_column(style="dim")
    lines.add_column(style="bold")
    risk, unit = summary["risk"], f" {currency}" if money else ""
    expected = summary["value"] if risk is None else risk["expected_value"]
    lines.add_row("expected " + what, f"{number(expected)}{unit}")
    if risk is not None:
        lines.add_row("pessimistic", _pessimistic(summary["value"], risk, unit))
    lines.add_row("expected spend", _spend(summary))
    if money and summary["spend"] > 0:
        lines.add_row("return", f"{expected / summary['spend']:,.2f} {currency} for each {currency} spent")
    reach = f"{summary['assigned']:,} of {summary['users']:,} users get a coupon"
    lines.add_row("reach", f"{reach} ({summary['eligible_users']:,} were eligible)")
    if summary["fairness"]:
        lines.add_row("fairness", _fairness(summary["fairness"]))
    lines.add_row("how good", _quality(summary))
    for i, words in enumerate((summary.get("experiment") or {}).get("words", ())):
        lines.add_row("" if i else "experiment", words)
    if costly := [
        row for row in summary["price_of_fairness"] if row["lost_at_most"] > NOTICEABLE * summary["value"]
    ]:
        lines.add_row("price of fairness", _price_of_fairness(costly))
    if summary["broken_limits"]:
        broken = "; ".join(f"{label} by {number(by)}" for label, by in summary["broken_limits"].items())
        lines.add_row("breaks limits", Text(broken, style="bold red"))
    for warning in cautions(summary):
        lines.add_row("caution", Text(warning, style="bold yellow"))
    return Panel(
        lines,
        title=Text(summary["name"], style="bold"),
        title_align="left",
        border_style="cyan",
        expand=False,
    )


def _spend(summary: Mapping[str, Any]) -> str:
    text = f"{number(summary['spend'])} {summary['currency']}"
    return text if summary["budget"] is None else f"{text} of {number(summary['budget'])}"


def _pessimistic(value: float, risk: Mapping[str, Any], unit: str) -> str:
    sure = f"each coupon at the value that it exceeds with probability {risk['confidence']:g}"
    return f"{number(value)}{unit}: {sure}, which is what this plan maximises"


def _fairness(fairness: Mapping[str, Any]) -> str:
    groups = " and ".join(fairness["by"])
    if fairness["kind"] == "max_min":
        return f"the worst-off {groups} gets {number(fairness['utility'])} a head"
    return f"between {groups}: {number(fairness['utility'])}, the geometric mean of the groups' values"


def _price_of_fairness(prices: Sequence[Mapping[str, Any]]) -> str:
    """Say what each limit costs: a range where its ends differ visibly."""

    def amount(row: Mapping[str, Any]) -> str:
        least, most = number(row["lost_at_least"]), number(row["lost_at_most"])
        return f"{row['label']} costs " + (most if least == most else f"{least} to {most}")

    return "; ".join(amount(row) for row in prices)


def _quality(summary: Mapping[str, Any]) -> str:
    if (experiment := summary.get("experiment")) is not None:
        gap = experiment["plan"]["gap"]
        near = "the best" if gap == 0 else f"at most {gap_text(gap)} below the best"
        chance = gap_text(summary["gap"])
        sent = f"as sent: at most {chance} below any"
        return f"before chance: {near} plan that leaves room for it; {sent} (proven)"
    others = " that breaks limits no further" if summary["broken_limits"] else ""
    if summary["gap"] == 0:
        return f"no plan{others} can be better (proven)"
    return f"at most {gap_text(summary['gap'])} below the best possible plan{others} (proven)"


def _limits(summary: Mapping[str, Any]) -> RenderableType:
    limits = summary["limits"]
    table = _table("Limits", "limit", ">used", ">at least", ">at most", "", ">one more of room")
    binding_first = sorted(limits, key=lambda row: not row["binding"])
    shown = max(MOST_LIMITS, sum(row["binding"] for row in limits))
    for row in binding_first[:shown]:
        style = "bold" if row["binding"] else ""
        share = _share_used(row)
        table.add_row(
            Text(row["label"], style=style),
            number(row["used"]),
            number(row["at_least"]),
            number(row["at_most"]),
            Text("") if share is None else bar(share, "yellow" if row["binding"] else "cyan", NARROW_BAR),
            number(row["price"]) if row["binding"] else "",
        )
    if len(limits) > shown:
        table.add_row(Text(f"and {len(limits) - shown} more that do not bind", style="dim"))
    return table


def _share_used(row: Mapping[str, Any]) -> float | None:
    bound = row["at_most"] if row["at_most"] not in (None, float("inf")) else None
    if bound is None or bound <= 0:
        return None
    return float(abs(row["used"]) / bound)


def _coupons(summary: Mapping[str, Any]) -> RenderableType:
    table = _table("Coupons", "coupon", ">users", ">value", ">spend", "")
    most = max((row["value"] for row in summary["by_coupon"]), default=0.0) or 1.0
    for row in sorted(summary["by_coupon"], key=lambda row: -row["value"]):
        table.add_row(
            Text(row["label"]),
            number(row["assigned"]),
            number(row["value"]),
            number(row["spend"]),
            bar(row["value"] / most),
        )
    return table


def _groups(column: str, rows: Sequence[Mapping[str, Any]]) -> RenderableType:
    table = _table(f"By {column}", column, ">users", ">get a coupon", ">share", ">value", ">spend")
    shown = sorted(rows, key=lambda row: -row["value"])[:MOST_GROUPS]
    for row in shown:
        table.add_row(
            Text(row["label"]), number(row["users"]), number(row["assigned"]), percent(row["rate"]),
            number(row["value"]), number(row["spend"]),
        )  # fmt: skip
    if len(rows) > MOST_GROUPS:
        table.add_row(Text(f"and {len(rows) - MOST_GROUPS} more", style="dim"))
    return table


def _skipped(skipped: Mapping[str, int]) -> RenderableType:
    table = _table("Left out", "reason", ">users")
    for reason, count in sorted(skipped.items(), key=lambda item: -item[1]):
        table.add_row(Text(reason), number(count))
    return table


def _written(copy: Mapping[str, Any]) -> RenderableType:
    by = ", ".join(f"{count} by {who}" for who, count in copy["written_by"].items())
    return Text(f"{copy['texts']} message texts: {by}", style="bold")


def samples_panel(texts: pl.DataFrame) -> RenderableType:
    """Return a few messages, each with who gets it and who wrote it: the largest of each coupon first."""
    largest = texts.sort("audience", descending=True, maintain_order=True).unique(
        "coupon_id", keep="first", maintain_order=True
    )
    panels: list[RenderableType] = []
    for row in largest.head(MOST_SAMPLES).iter_rows(named=True):
        body = Text()
        for name in ("subject", "preheader", "title"):
            if row[name]:
                body.append(f"{row[name]}\n", style="bold" if name != "preheader" else "dim")
        body.append(_shortened(row["body"]))
        key = " · ".join(row[name] for name in ("coupon_id", "segment", "channel", "language"))
        about = f"{key} · {row['audience']:,} users · by {row['written_by']}"
        panels.append(
            Panel(body, title=Text(about, style="dim"), title_align="left", border_style="dim", width=76)
        )
    return Group(*panels)


def _shortened(body: str) -> str:
    lines = [line for line in body.splitlines() if line.strip()]
    return "\n".join(lines[:MOST_LINES]) + ("\n..." if len(lines) > MOST_LINES else "")


def _table(title: str, *columns: str) -> Table:
    """Return a table without frames; a column name that starts with > is aligned right."""
    table = Table(
        title=title,
        title_justify="left",
        title_style="bold",
        box=None,
        padding=(0, 2, 0, 0),
        header_style="dim",
    )
    for i, name in enumerate(columns):
        right = name.startswith(">")
        table.add_column(
            name.lstrip(">"),
            justify="right" if right else "left",
            overflow="ellipsis" if i else "fold",
            no_wrap=right,
            min_width=8 if i == 0 else None,  # a narrow terminal keeps what a row is about
        )
    return table
