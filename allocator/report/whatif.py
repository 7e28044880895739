"""What-ifs as pages: scenarios side by side, what a range of a bound earns, how far prices hold."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import Any

from allocator.report.drawing import can_draw
from allocator.report.page import Document, plain, render
from allocator.report.whatif_charts import frontier_chart, room_chart, scenario_chart
from allocator.whatif.comparison import changed_entries
from allocator.whatif.frontier import Frontier
from allocator.whatif.frontier_words import frontier_words
from allocator.whatif.sensitivity import STEP, Sensitivity
from allocator.whatif.verdict import Units
from allocator.wording import number

View = dict[str, Any]
MOST_ROWS, MOST_MOVES = 30, 10  # of tables of what a scenario changes


def render_scenarios(
    rows: Sequence[Mapping[str, Any]], name: str, units: Units, *, cautions: Sequence[str] = ()
) -> str:
    """Return the page of plans side by side.

    Parameters
    ----------
    rows
        Of `allocator.whatif.comparison.compare`.
    name, units
        Of the campaign.
    cautions
        What to know before anything is sent: `allocator.campaign.reach.cautions_of`.
    """
    document = plain({"name": name, "currency": units.currency, "cautions": cautions, "scenarios": rows})
    view = _titled(scenarios_view(document["scenarios"], units), "Plans side by side")
    return render("whatif.html.j2", document, view=view, units=units)


def render_frontier(
    frontier: Frontier, name: str, units: Units, under: str | None = None, *, cautions: Sequence[str] = ()
) -> str:
    """Return the page of what a range of one bound earns, or of two, under a scenario if one is named."""
    document = plain({"name": name, "currency": units.currency, "cautions": cautions, **asdict(frontier)})
    view = frontier_view(frontier, units)
    return render("whatif.html.j2", document, view=_titled(view, view["title"], under), units=units)


def render_sensitivity(
    found: Sensitivity, name: str, units: Units, under: str | None = None, *, cautions: Sequence[str] = ()
) -> str:
    """Return the page of how far a plan's prices hold and what its coupons may cost."""
    document = plain({"name": name, "currency": units.currency, "cautions": cautions, **asdict(found)})
    view = _titled(sensitivity_view(document, units), "How far prices hold, and what coupons may cost", under)
    return render("whatif.html.j2", document, view=view, units=units)


def scenarios_view(rows: Sequence[Mapping[str, Any]], units: Units) -> View:
    """Return the chart of scenarios, and which entries of each changed, by their places."""
    scenarios = [_changes(row) if row.get("difference") else {} for row in rows]
    chart = scenario_chart(rows, units) if can_draw() else None
    return {
        "kind": "scenarios",
        "chart": chart,
        "scenarios": scenarios,
        "most": MOST_ROWS,
        "moves": MOST_MOVES,
    }


def frontier_view(frontier: Frontier, units: Units) -> View:
    """Return the chart of a frontier, what it says in words, and the head of its table."""
    paths = [sweep.path for sweep in frontier.sweeps]
    known = any(point.value is not None for point in frontier.points)
    words = [] if len(paths) == 2 else frontier_words(frontier, units) if known else []
    if not known:
        words = ["There is no plan anywhere in the range."]
    now = [f"{path} is {number(at)}" for path, at in zip(paths, frontier.base, strict=True) if at is not None]
    if now:
        words.append(f"In the campaign as it is, {' and '.join(now)}.")
    figures = (f">Value ({units.value})", f">Spend ({units.currency})", ">Users", ">One more earns", ">Gap")
    return {
        "kind": "frontier",
        "title": f"What {' and '.join(paths)} {'earn' if len(paths) == 2 else 'earns'}",
        "words": words,
        "chart": frontier_chart(frontier, units) if can_draw() else None,
        "columns": [*(f">{path}" for path in paths), *figures],
    }


def sensitivity_view(document: Document, units: Units) -> View:
    """Return the chart of the coupons, and in which order rows stand, by their places."""
    coupons = document["coupons"]
    order = _order(coupons, lambda row: (-row["advantage"], row["coupon_id"]))
    chart = room_chart([coupons[i] for i in order], units) if can_draw() else None
    return {
        "kind": "sensitivity",
        "chart": chart,
        "limits": _order(document["limits"], lambda row: not row["binding"]),
        "coupons": order,
        "without": _order(document["without"], lambda row: -row["lost_at_most"]),
        "step": f"{STEP:.0%}",
    }


def _changes(row: Mapping[str, Any]) -> View:
    """Return the places of the limits, coupons and groups that a scenario changes, largest first."""
    limits = row["limits"]
    changed = changed_entries(limits, lambda d: max(abs(d["used"]), abs(d["price"])))
    changed += [e for e in limits if e["binding"] != e["base_binding"] and e not in changed]
    changed.sort(key=lambda e: (not e["binding"], not e["base_binding"]))
    coupons = changed_entries(row["by_coupon"], lambda d: max(abs(d["assigned"]), abs(d["value"])))
    groups = {
        column: _places(
            entries, changed_entries(entries, lambda d: max(abs(d["rate"]), abs(d["value_per_user"])))
        )
        for column, entries in row["by_group"].items()
    }
    return {
        "limits": _places(limits, changed),
        "coupons": _places(row["by_coupon"], coupons),
        "groups": groups,
    }


def _places(entries: Sequence[Any], some: Sequence[Any]) -> list[int]:
    place = {id(entry): i for i, entry in enumerate(entries)}
    return [place[id(entry)] for entry in some]


def _order(rows: Sequence[Any], key: Any) -> list[int]:
    return sorted(range(len(rows)), key=lambda i: key(rows[i]))


def _titled(view: View, title: str, under: str | None = None) -> View:
    return view | {"title": f"{title}, under the scenario '{under}'." if under else f"{title}."}
