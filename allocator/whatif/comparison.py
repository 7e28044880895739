"""Plans side by side: what each scenario changes against the base plan, as data."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, TypeVar

import numpy as np
from numpy.typing import NDArray

from allocator.campaign.campaign import Campaign
from allocator.campaign.summary import amount, by_coupon, by_group, chosen_pairs, limit_row
from allocator.problem.labels import Grouping
from allocator.solution import Solution
from allocator.whatif.scenario import ScenarioResult
from allocator.whatif.verdict import Units, verdict

if TYPE_CHECKING:
    import polars as pl

Row = dict[str, Any]
Entry = TypeVar("Entry", bound=Mapping[str, Any])

PLAN = ("value", "expected_value", "spend", "return", "assigned", "gap", "utility")
LIMIT = ("used", "price")
COUPON = ("assigned", "value", "spend")
GROUP = ("assigned", "rate", "value", "value_per_user", "spend")
SPREAD = ("rate", "value_per_user")


def compare(campaign: Campaign, results: Sequence[ScenarioResult]) -> list[Row]:
    """Return what each scenario's plan comes to, the base first, beside the base plan.

    Parameters
    ----------
    campaign
        Whose scenarios they are.
    results
        Of `allocator.whatif.scenario.solve_scenarios`, the base first.

    Returns
    -------
    list
        For each scenario ``name``, ``error`` (why there is no plan) or: the figures of the plan, ``limits``,
        ``by_coupon``, ``by_group`` and ``spread`` (largest less smallest group, by column), ``moved`` and
        ``moves`` (users by the coupon they had and have; None for nothing), ``verdict`` (three lines), and
        in ``difference`` of the plan and of each entry what the scenario adds to the base, None for what
        the base does not have. ``limits_gone`` and ``coupons_gone`` are the base's entries without a
        counterpart. ``value_range`` holds what is proven of the best plans' difference, None where they
        maximise different things. ``value`` is what a plan maximises; ``expected_value`` is what every plan
        is worth on average by the campaign's own objective, and ``return`` is of that. ``notes`` say
        what to know of predictions that only the scenario rests on.
    """
    groups: dict[str, Grouping] = {}
    for result in results:
        groups |= {} if result.task is None else dict(result.task.problem.groups)
    units = Units(campaign.config.currency, campaign.config.objective.maximize)
    base = _figures(results[0], groups)
    rows = [base]
    for result in results[1:]:
        if result.solution is None:
            rows.append({"name": result.name, "error": result.error, "verdict": [result.error]})
            continue
        row = _figures(result, groups)
        _set_beside(row, base)
        row["moves"] = _moves(results[0].solution, result.solution)
        row["moved"] = sum(move["users"] for move in row["moves"])
        same = all(row[key] == base[key] for key in ("risk", "maximize", "margin"))
        row["notes"] = [note for note in row["notes"] if note not in base["notes"]]
        row["value_range"] = _proven_difference(results[0].solution, result.solution) if same else None
        row["verdict"] = verdict(row, base, units)
        rows.append(row)
    return rows


def comparison_table(rows: Sequence[Mapping[str, Any]]) -> pl.DataFrame:
    """Return the comparison as a table with one figure a row.

    Its columns are ``scenario, about, item, figure, base, value, difference``; `about` is plan, limit,
    coupon, ``by <column>``, spread, move or error.
    """
    import polars as pl

    lines: list[tuple[Any, ...]] = []

    def add(name: str, about: str, item: str, entry: Mapping[str, Any], figures: Sequence[str]) -> None:
        for figure in figures:
            value, change = entry[figure], (entry.get("difference") or {}).get(figure)
            before = None if change is None or value is None else value - change
            lines.append((name, about, item, figure, before, value, change))

    for row in rows:
        name = row["name"]
        if row["error"]:
            lines.append((name, "error", row["error"], None, None, None, None))
            continue
        add(name, "plan", "", row, PLAN)
        add(name, "plan", "", row, ("moved",))
        for about, key, figures in (("limit", "limits", LIMIT), ("coupon", "by_coupon", COUPON)):
            for entry in row[key]:
                add(name, about, entry["label"], entry, figures)
            for entry in row[f"{about}s_gone"]:
                lines += [(name, about, entry["label"], f, entry[f], None, None) for f in figures]
        for column, entries in row["by_group"].items():
            for entry in entries:
                add(name, f"by {column}", entry["label"], entry, GROUP)
            add(name, "spread", column, row["spread"][column], SPREAD)
        for move in row["moves"]:
            item = f"{move['from'] or 'nothing'} -> {move['to'] or 'nothing'}"
            add(name, "move", item, move, ("users",))
    text, numbers = ("scenario", "about", "item", "figure"), ("base", "value", "difference")
    schema = {**dict.fromkeys(text, pl.String), **dict.fromkeys(numbers, pl.Float64)}
    return pl.DataFrame(lines, schema, orient="row")


def changed_entries(entries: Sequence[Entry], size: Callable[[Mapping[str, float]], float]) -> list[Entry]:
    """Return the entries that differ from the base or are not in it, the largest difference first.

    Parameters
    ----------
    entries
        Limits, coupons or groups of a scenario.
    size
        Of a difference.
    """

    def key(entry: Entry) -> float:
        return size(entry["difference"]) if entry["difference"] else float("inf")

    return sorted((entry for entry in entries if key(entry) > 1e-9), key=key, reverse=True)


def _figures(result: ScenarioResult, groups: Mapping[str, Grouping]) -> Row:
    """Return what a plan comes to, by itself."""
    solution = result.solution
    assert solution is not None, "the base has a plan, or solving it raises"
    problem = solution.problem
    user, coupon = chosen_pairs(solution)
    value, spend = (float(amount(problem, name, user, coupon).sum()) for name in ("value", "cost"))
    apart = "expected_value" in problem.measures
    expected = float(amount(problem, "expected_value", user, coupon).sum()) if apart else value
    by_column = by_group(problem, groups, user, coupon)
    for entry in (entry for entries in by_column.values() for entry in entries):
        entry["value_per_user"] = entry["value"] / entry["users"] if entry["users"] else 0.0
    return {
        "name": result.name,
        "error": None,
        "status": str(solution.status),
        "risk": result.objective.risk,
        "maximize": result.objective.maximize,
        "margin": result.objective.margin,
        "notes": [] if result.task is None else list(result.task.notes),
        "value": value,
        "expected_value": expected,
        "spend": spend,
        "return": expected / spend if spend else None,
        "assigned": len(user),
        "users": problem.n_users,
        "objective": solution.objective,
        "bound": solution.bound,
        "gap": solution.gap,
        "utility": solution.utility,
        "moved": 0,
        "moves": [],
        "limits_gone": [],
        "coupons_gone": [],
        "limits": [limit_row(limit) for limit in solution.usage],
        "by_coupon": by_coupon(problem, user, coupon),
        "by_group": by_column,
        "spread": {column: _spread(entries) for column, entries in by_column.items()},
    }


def _spread(entries: Sequence[Row]) -> Row:
    """Return by how much the best-off group is better off than the worst-off."""
    counted = [entry for entry in entries if entry["users"]]
    return {
        name: max((e[name] for e in counted), default=0.0) - min((e[name] for e in counted), default=0.0)
        for name in SPREAD
    }


def _set_beside(row: Row, base: Row) -> None:
    """Add to a plan's figures, and to each limit, coupon and group, the difference to the base."""
    row["difference"] = _difference(row, base, PLAN)
    pairs = [(row["limits"], base["limits"], LIMIT), (row["by_coupon"], base["by_coupon"], COUPON)]
    pairs += [(entries, base["by_group"][column], GROUP) for column, entries in row["by_group"].items()]
    for entries, earlier, figures in pairs:
        known = {entry["label"]: entry for entry in earlier}
        for entry in entries:
            before = known.get(entry["label"])
            entry["difference"] = None if before is None else _difference(entry, before, figures)
    for limit in row["limits"]:
        earlier = next((e for e in base["limits"] if e["label"] == limit["label"]), None)
        limit["base_binding"] = None if earlier is None else earlier["binding"]
    row["limits_gone"] = _gone(row["limits"], base["limits"])
    row["coupons_gone"] = _gone(row["by_coupon"], base["by_coupon"])
    for column, spread in row["spread"].items():
        spread["difference"] = _difference(spread, base["spread"][column], SPREAD)


def _gone(entries: Sequence[Row], earlier: Sequence[Row]) -> list[Row]:
    """Return the entries of the base that a scenario does not have."""
    kept = {entry["label"] for entry in entries}
    return [entry for entry in earlier if entry["label"] not in kept]


def _difference(row: Row, base: Row, names: Sequence[str]) -> dict[str, float | None]:
    return {
        name: None if row[name] is None or base[name] is None else row[name] - base[name] for name in names
    }


def _moves(base: Solution | None, other: Solution) -> list[Row]:
    """Return how many users went from which coupon to which, most first; None stands for nothing."""
    assert base is not None
    names: list[str | None] = [
        None,
        *dict.fromkeys(str(c) for s in (base, other) for c in s.problem.coupon_ids),
    ]
    place = {name: code for code, name in enumerate(names)}

    def codes(solution: Solution) -> NDArray[np.int64]:
        # The last entry is that of no coupon, whose index is -1.
        table = np.array([*(place[str(coupon)] for coupon in solution.problem.coupon_ids), 0], dtype=np.int64)
        return table[solution.choice]

    pairs, users = np.unique(codes(base) * len(names) + codes(other), return_counts=True)
    moves = [
        {"from": names[pair // len(names)], "to": names[pair % len(names)], "users": int(count)}
        for pair, count in zip(pairs.tolist(), users, strict=True)
        if pair // len(names) != pair % len(names)
    ]
    return sorted(moves, key=lambda move: -move["users"])


def _proven_difference(base: Solution | None, other: Solution) -> list[float] | None:
    """Return the least and most by which the best possible plan of a scenario can differ from the base's.

    Each best plan is worth at least the plan found and at most its bound. Nothing is proven of the sum of
    values under a fair objective.
    """
    assert base is not None
    if base.utility is not None or other.utility is not None:
        return None
    return [other.objective - base.bound, other.bound - base.objective]
