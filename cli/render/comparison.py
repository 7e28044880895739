"""Scenarios side by side with the base plan."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from rich.console import Group, RenderableType
from rich.rule import Rule
from rich.table import Table
from rich.text import Text

from allocator.whatif.comparison import changed_entries
from allocator.whatif.verdict import Units
from cli.render.format import bar, gap_text, number, percent, plain_table, signed

MOST_ROWS, FEW_ROWS = 10, 3
MORE = "Every limit, coupon, group and move: --details."
Row = Mapping[str, Any]


def answer_page(rows: Sequence[Row], units: Units, *, asked: bool) -> RenderableType:
    """Return the verdict first, then all plans in one table, and what changes most.

    `asked` says that someone asked for just these scenarios: then each has its whole verdict, and what it
    changes most; else the table comes first, and a line about each.
    """
    parts: list[RenderableType] = [Text(""), _overview(rows, units)]
    if not asked:
        lines = [Text.assemble((f"{row['name']}: ", "bold"), row["verdict"][0]) for row in rows[1:]]
        return Group(*parts[1:], Text(""), *lines, Text(MORE, style="dim"))
    titled = len(rows) > 2
    verdicts = [line for row in rows[1:] for line in _verdict(row, titled)]
    changes = [part for row in rows[1:] for part in _changes(row, titled)]
    return Group(*verdicts, *parts, *changes, Text(MORE, style="dim"))


def comparison_page(rows: Sequence[Row], units: Units) -> RenderableType:
    """Return all plans in one table, then for each scenario its verdict and all that it changes."""
    parts: list[RenderableType] = [_overview(rows, units)]
    for row in rows[1:]:
        parts += [Text(""), *_scenario(row)]
    return Group(*parts)


def short_page(rows: Sequence[Row], units: Units) -> RenderableType:
    """Return the verdict on the last plan, then all plans in one table."""
    verdict = [*_verdict(rows[-1], titled=False), Text("")] if len(rows) > 1 else []
    return Group(*verdict, _overview(rows, units))


def _verdict(row: Row, titled: bool) -> list[RenderableType]:
    """Return the verdict on a scenario, and what to know of it."""
    title = [_title(row)] if titled else []
    if row["error"]:
        return [*title, Text(row["error"], style="red")]
    notes = [Text(f"Note: {note}", style="yellow") for note in row["notes"]]
    return [*title, *(Text(line) for line in row["verdict"]), *notes]


def _title(row: Row) -> RenderableType:
    return Rule(Text(row["name"], style="bold"), align="left", style="dim")


def _changes(row: Row, titled: bool) -> list[RenderableType]:
    """Return the limits and the coupons that a scenario changes most."""
    if row["error"]:
        return []
    tables = [_limits(row, "", FEW_ROWS), _coupons(row, "", FEW_ROWS)]
    parts: list[RenderableType] = [Text(""), _title(row)] if titled else []
    for table in tables:
        if table is not None:
            parts += [Text(""), table] if not titled else [table]
    return parts


def _overview(rows: Sequence[Row], units: Units) -> RenderableType:
    """Return two lines a scenario: its figures, and under them the differences to the base."""
    title = units.currency
    if units.value != units.currency:
        title = f"value in {units.value}, spend in {units.currency}"
    hedged = any(row.get("risk") == "pessimistic" for row in rows)
    worth = (">expected", ">pessimistic") if hedged else (">value",)
    table = plain_table(
        f"Scenarios ({title})", "scenario", *worth, ">spend", ">return", ">users", ">moved", ">gap"
    )
    for row in rows:
        name = Text(row["name"], style="bold")
        if row["error"]:
            table.add_row(name, Text("no plan", style="bold red"))
            continue
        change = row.get("difference")
        cells = [_figure(row, "expected_value", change), *([_pessimistic(row, rows[0])] if hedged else [])]
        cells += [
            _figure(row, "spend", change, "cyan"),
            _return(row, change),
            _figure(row, "assigned", change),
        ]
        table.add_row(name, *cells, number(row["moved"]) if change else "", gap_text(row["gap"]))
    return table


def _figure(row: Row, name: str, change: Mapping[str, Any] | None, style: str | None = None) -> Text:
    """Return a figure, and under it the difference to the base."""
    figure = Text(number(row[name]))
    return Text.assemble(figure, "\n", signed(change[name], style)) if change else figure


def _pessimistic(row: Row, base: Row) -> Text:
    """Return what a pessimistic plan maximises, set beside that of the base if that is pessimistic too."""
    if row["risk"] == "mean":
        return Text("")
    return _figure(row, "value", row.get("difference") if base["risk"] == row["risk"] else None)


def _return(row: Row, change: Mapping[str, Any] | None) -> Text:
    if row["return"] is None:
        return Text("")
    earned = f"{row['return']:.2f}"
    if not change or change["return"] is None:
        return Text(earned)
    return Text.assemble(earned, "\n", signed(round(change["return"], 2)))


def _scenario(row: Row) -> list[RenderableType]:
    parts = _verdict(row, titled=True)
    if row["error"]:
        return parts
    tables = [_limits(row), _coupons(row)]
    tables += [_groups(column, row) for column in row["by_group"]]
    for table in (*tables, _moves(row)):
        if table is not None:
            parts += [Text(""), table]
    return parts


def _limits(row: Row, title: str = "Limits", most: int = MOST_ROWS) -> RenderableType | None:
    changed = changed_entries(row["limits"], lambda d: max(abs(d["used"]), abs(d["price"])))
    bound = [limit for limit in row["limits"] if limit["binding"] != limit["base_binding"]]
    shown = [limit for limit in row["limits"] if limit in changed or limit in bound]
    if not shown and not row["limits_gone"]:
        return None
    table = plain_table(title, "limit", ">used", ">±", ">bound", ">price", ">±", "binds")
    shown.sort(key=lambda limit: (not limit["binding"], not limit["base_binding"]))
    for limit in shown[:most]:
        change = limit["difference"]
        table.add_row(
            Text(limit["label"], style="bold" if limit["binding"] else ""),
            number(limit["used"]), signed(change["used"], "cyan") if change else "new",
            _bound(limit),
            number(limit["price"]) if limit["binding"] else "",
            _price_change(limit),
            _binding(limit),
        )  # fmt: skip
    if title:
        _rest(table, len(shown))
    for limit in row["limits_gone"]:
        table.add_row(Text(limit["label"], style="dim"), "gone")
    return table


def _bound(limit: Row) -> str:
    """Return the bound that usage is nearer to."""
    least, most = limit["at_least"], limit["at_most"]
    upper = most - limit["used"] <= limit["used"] - least
    return f"≤ {number(most)}" if upper else f"≥ {number(least)}"


def _price_change(limit: Row) -> Text:
    if not limit["difference"] or not (limit["binding"] or limit["base_binding"]):
        return Text("")
    return signed(limit["difference"]["price"], "cyan")


def _binding(limit: Row) -> Text:
    now, before = limit["binding"], limit["base_binding"]
    if now and not before:
        return Text("newly", style="yellow")
    return Text("yes" if now else "no longer" if before else "", style="dim")


def _coupons(row: Row, title: str = "Coupons", most: int = MOST_ROWS) -> RenderableType | None:
    shown = changed_entries(row["by_coupon"], lambda d: max(abs(d["assigned"]), abs(d["value"])))
    if not shown and not row["coupons_gone"]:
        return None
    table = plain_table(title, "coupon", ">users", ">±", ">value", ">±", ">spend", ">±")
    for entry in shown[:most]:
        change = entry["difference"] or {"assigned": None, "value": None, "spend": None}
        table.add_row(
            Text(entry["label"]),
            number(entry["assigned"]), _signed(change["assigned"]),
            number(entry["value"]), _signed(change["value"]),
            number(entry["spend"]), _signed(change["spend"], "cyan"),
        )  # fmt: skip
    if title:
        _rest(table, len(shown))
    for entry in row["coupons_gone"]:
        lost = (signed(-entry["assigned"]), "", signed(-entry["value"]), "", signed(-entry["spend"], "cyan"))
        table.add_row(Text(entry["label"], style="dim"), "gone", *lost)
    return table


def _groups(column: str, row: Row) -> RenderableType | None:
    shown = changed_entries(row["by_group"][column], lambda d: max(abs(d["rate"]), abs(d["value_per_user"])))
    if not shown:
        return None
    table = plain_table(f"By {column}", column, ">get a coupon", ">± points", ">value a head", ">±")
    for entry in shown[:MOST_ROWS]:
        table.add_row(Text(entry["label"]), *_fares(entry))
    _rest(table, len(shown))
    table.add_row(Text("best less worst", style="dim"), *_fares(row["spread"][column], "cyan"))
    return table


def _fares(entry: Row, style: str | None = None) -> list[Text | str]:
    change = entry["difference"]
    return [
        percent(entry["rate"]), signed(100 * change["rate"], style),
        number(entry["value_per_user"]), signed(change["value_per_user"], style),
    ]  # fmt: skip


def _moves(row: Row) -> RenderableType | None:
    if not row["moves"]:
        return None
    table = plain_table("Who moved", "from", "to", ">users", "")
    for move in row["moves"][:MOST_ROWS]:
        names = (Text(move[end] or "nothing", style="" if move[end] else "dim") for end in ("from", "to"))
        table.add_row(*names, number(move["users"]), bar(move["users"] / row["moves"][0]["users"]))
    _rest(table, len(row["moves"]))
    return table


def _signed(value: float | None, style: str | None = None) -> Text:
    return Text("new") if value is None else signed(value, style)


def _rest(table: Table, count: int) -> None:
    if count > MOST_ROWS:
        table.add_row(Text(f"and {count - MOST_ROWS} more", style="dim"))
