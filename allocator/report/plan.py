"""The page of a plan: `report.html` of a run."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import TYPE_CHECKING, Any

from allocator.campaign.summary import cautions
from allocator.report.drawing import can_draw
from allocator.report.page import Document, plain, render
from allocator.report.plan_charts import coupon_chart, fairness_chart, group_chart, limit_chart, used_up
from allocator.whatif.verdict import Units

if TYPE_CHECKING:
    import polars as pl

    from allocator.whatif.frontier import Frontier
    from allocator.whatif.sensitivity import Sensitivity

SAMPLES = 6
NOTICEABLE = 1e-4  # share of the value from which a price of fairness is drawn


@dataclass(frozen=True)
class WhatIfs:
    """What a report may hold beside the plan.

    Parameters
    ----------
    scenarios
        Of `allocator.whatif.comparison.compare`, the base first.
    frontiers, sensitivity
        Of `allocator.whatif.frontier` and `allocator.whatif.sensitivity`.
    """

    scenarios: Sequence[Mapping[str, Any]] = ()
    frontiers: Sequence[Frontier] = field(default_factory=tuple)
    sensitivity: Sensitivity | None = None


def report_document(summary: Document, whatifs: WhatIfs | None = None) -> dict[str, Any]:
    """Return the figures of a report: those of the summary, then those of what-ifs."""
    more = whatifs or WhatIfs()
    document = dict(summary)
    if more.scenarios:
        document["scenarios"] = list(more.scenarios)
    if more.frontiers:
        document["frontiers"] = [asdict(frontier) for frontier in more.frontiers]
    if more.sensitivity is not None:
        document["sensitivity"] = asdict(more.sensitivity)
    return plain(document)


def render_plan(
    summary: Document, texts: pl.DataFrame | None, whatifs: WhatIfs | None = None, *, charts: bool = True
) -> str:
    """Return the page of a plan; every text is escaped.

    Parameters
    ----------
    summary
        Of `allocator.campaign.summary.summarise`.
    texts
        The messages' texts, of which those to most users are shown.
    whatifs
        What else to show.
    charts
        Draw charts, if the libraries for it are installed; they take about a second.
    """
    document = report_document(summary, whatifs)
    units = Units(document["currency"], document["maximize"])
    view = _view(document, units, charts and can_draw())
    return render(
        "plan.html.j2",
        document,
        view=view,
        units=units,
        whatif={} if whatifs is None else _whatif_views(document, whatifs, units),
        samples=[] if texts is None else _samples(texts),
    )


def _view(document: Document, units: Units, charts: bool) -> dict[str, Any]:
    """Return the plan's charts and in which order rows stand, by their places."""
    coupons, limits = document["by_coupon"], document["limits"]
    by_value = sorted(range(len(coupons)), key=lambda i: -coupons[i]["value"])
    by_use = sorted(
        range(len(limits)), key=lambda i: (not limits[i]["binding"], -(used_up(limits[i]) or 0.0))
    )
    given = "get a coupon" if document["assigned"] <= document["users"] else "coupons given"
    return {
        "aim": document["maximize"].replace("_", " "),
        "given": given,
        "cautions": cautions(document),
        "fairness": _fairness(document["fairness"]),
        "coupons": by_value,
        "limits": by_use,
        "skipped": sorted(document["skipped"], key=lambda reason: -document["skipped"][reason]),
        "charts": _charts(document, by_value, by_use, units)
        if charts
        else {
            "coupons": None,
            "limits": None,
            "groups": dict.fromkeys(document["by_group"]),
            "fairness": None,
        },
    }


def _charts(document: Document, by_value: list[int], by_use: list[int], units: Units) -> dict[str, Any]:
    limits = [document["limits"][i] for i in by_use]
    least = NOTICEABLE * abs(document["value"])
    costly = [row for row in document["price_of_fairness"] if row["lost_at_most"] > least]
    return {
        "coupons": coupon_chart([document["by_coupon"][i] for i in by_value], units.value, units.currency),
        "limits": limit_chart(limits) if limits else None,
        "groups": {
            column: group_chart(column, rows, units.value) for column, rows in document["by_group"].items()
        },
        "fairness": fairness_chart(costly, units.value) if costly else None,
    }


def _whatif_views(document: Document, whatifs: WhatIfs, units: Units) -> dict[str, Any]:
    from allocator.report.whatif import frontier_view, scenarios_view, sensitivity_view

    return {
        "scenarios": scenarios_view(document["scenarios"], units) if whatifs.scenarios else None,
        "frontiers": [frontier_view(frontier, units) for frontier in whatifs.frontiers],
        "sensitivity": sensitivity_view(document["sensitivity"], units)
        if whatifs.sensitivity is not None
        else None,
    }


def _fairness(fairness: Document | None) -> str:
    if fairness is None:
        return ""
    groups = " and ".join(fairness["by"])
    if fairness["kind"] == "max_min":
        return f"what the worst-off {groups} gets a head"
    return f"fair utility between {groups}: the geometric mean of the groups' values"


def _samples(texts: pl.DataFrame) -> list[dict[str, Any]]:
    """Return the texts that go to the most users, one of each coupon first."""
    ranked = texts.with_row_index("_place").sort("audience", descending=True, maintain_order=True)
    first = ranked.unique("coupon_id", keep="first", maintain_order=True)
    rest = ranked.join(first.select("_place"), on="_place", how="anti", maintain_order="left")
    return [*first.to_dicts(), *rest.to_dicts()][:SAMPLES]
