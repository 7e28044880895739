"""The tables: for each, how it is made, the settings it takes, and how its columns are written."""

from __future__ import annotations

from argparse import Namespace
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from benchmarks import (
    campaign_fuzz,
    copy_lora,
    copy_quality,
    copy_safety,
    copy_scale,
    fair_objectives,
    gpu,
    large_campaigns,
    learned_plans,
    ledger,
    pacing,
    scoring,
    service_load,
    stopping,
    uplift,
    winners_curse,
)
from benchmarks.instances import CHANGES, COUPONS, KHAN_LIKE, KINDS
from benchmarks.measure import in_process, median_of
from benchmarks.ours import device_task, khan_task, pass_task, solve_task, sweep_task, warm_task
from benchmarks.peers import PEERS, WHOLE, peer_task
from benchmarks.record import Columns, Row

SWEEP_POINTS = 20
GRACE = 60.0  # seconds past its own time limit before a process is stopped
OPTIMA = {"I01": 173.0, "I02": 364.0, "I03": 1602.0, "I04": 3597.0, "I05": 3905.7, "I06": 4799.3}
"""Khan's instances that are solved to optimality."""


@dataclass(frozen=True)
class Table:
    """A benchmark: its rows from the settings of the command line, and how they are written."""

    about: str
    rows: Callable[[Namespace], Iterator[Row]]
    columns: Columns
    settings: dict[str, Any] = field(default_factory=dict)


def speed(settings: Namespace) -> Iterator[Row]:
    """Yield ours, then each peer, on one instance a size."""
    for n in settings.sizes:
        until = settings.limit + GRACE
        ours = median_of(settings.times, solve_task, "retail", n, settings.gap, settings.limit, limit=until)
        yield {"users": n, "method": "allocate", "answers": WHOLE} | ours.row()
        for key in settings.peers:
            peer = PEERS[key]
            found = median_of(settings.times, peer_task, key, "retail", n, settings.limit, limit=until)
            ratio = found.seconds / ours.seconds
            yield {"users": n, "method": peer.name, "answers": peer.answers, "ratio": ratio} | found.row()


def passes(settings: Namespace) -> Iterator[Row]:
    """Yield a whole solve in units of one pass, a size each."""
    for n in settings.sizes:
        found = in_process(pass_task, n, settings.gap, settings.limit, limit=settings.limit + GRACE)
        yield {"users": n} | found.row()


def warm(settings: Namespace) -> Iterator[Row]:
    """Yield a solve after each change, cold and from the plan before it, a size each."""
    for n in settings.sizes:
        for change in settings.changes:
            found = in_process(
                warm_task, n, change, settings.gap, settings.limit, limit=10 * settings.limit + GRACE
            )
            yield {"users": n, "change": change} | found.row()


def sweep(settings: Namespace) -> Iterator[Row]:
    """Yield a frontier of twenty budgets in units of one solve, a size each."""
    for n in settings.sizes:
        found = in_process(
            sweep_task, n, SWEEP_POINTS, settings.gap, settings.limit, limit=25 * settings.limit + GRACE
        )
        yield {"users": n} | found.row()


def growth(settings: Namespace) -> Iterator[Row]:
    """Yield time and peak memory, a size each."""
    for n in settings.sizes:
        found = in_process(
            solve_task, "retail", n, settings.gap, settings.limit, limit=settings.limit + GRACE
        ).row()
        if found.get("input_mb"):
            found["allowed_mb"] = 1.3 * found["input_mb"] + 500
        yield {"users": n} | found


def quality(settings: Namespace) -> Iterator[Row]:
    """Yield gap and seconds of every hard kind, a size each."""
    for n in settings.sizes:
        for kind in settings.kinds:
            found = in_process(
                solve_task, kind, n, settings.gap, settings.limit, limit=settings.limit + GRACE
            )
            yield {"users": n, "kind": kind} | found.row()


def many_rows(settings: Namespace) -> Iterator[Row]:
    """Yield hundreds of rows, in 30 seconds to 1e-4 and in 120 to 1e-5, a size each."""
    asked = (settings.gap, settings.limit) if settings.limit else None
    for n in settings.sizes:
        for gap, limit in [asked] if asked else [(1e-4, 30.0), (1e-5, 120.0)]:
            found = in_process(solve_task, "hundreds", n, gap, limit, limit=limit + GRACE).row()
            yield {"users": n, "asked": gap} | found


def mmkp(settings: Namespace) -> Iterator[Row]:
    """Yield every instance of a folder, with its optimum where it is known."""
    for path in sorted(settings.folder.glob("I[0-9]*")):
        found = in_process(khan_task, str(path), 0.0, settings.limit, limit=settings.limit + GRACE)
        yield {"instance": path.name, "optimum": OPTIMA.get(path.name)} | found.row()


def mmkp_like(settings: Namespace) -> Iterator[Row]:
    """Yield ours and peers at equal time on generated instances, with their distance to the linear bound."""
    until = settings.limit + GRACE
    names = {n: f"as {name}: " for name, n in KHAN_LIKE.items()}
    for n in settings.sizes:
        linear = in_process(peer_task, "highs-simplex", "khan-like", n, settings.limit, limit=until).row()
        ours = in_process(solve_task, "khan-like", n, 0.0, settings.limit, limit=until).row()
        found = {"allocate": ours} | {
            PEERS[key].name: in_process(peer_task, key, "khan-like", n, settings.limit, limit=until).row()
            for key in settings.peers
        }
        for method, row in found.items():
            value = row.get("objective")
            below = None if value is None else linear["objective"] - value
            yield row | {"instance": f"{names.get(n, '')}{n} x 10, 10 rows", "method": method, "below": below}


def device(settings: Namespace) -> Iterator[Row]:
    """Yield a pass on a device against the CPU's, and a solve on each."""
    for n in settings.sizes:
        found = in_process(device_task, n, settings.device, limit=settings.limit + GRACE).row()
        for name, where in (("cpu", None), ("device", settings.device)):
            solved = in_process(
                solve_task, "retail", n, settings.gap, settings.limit, where, limit=settings.limit + GRACE
            )
            found |= {f"{name}_solve_seconds": solved.seconds, f"{name}_gap": solved.row().get("gap")}
            found["error"] = found.get("error") or solved.row().get("error")
        yield {"users": n} | found


def _users(row: Row) -> str:
    return f"{row['users']:,} x {COUPONS}"


def _number(key: str, form: str, otherwise: str = "") -> Callable[[Row], str]:
    return lambda row: otherwise if row.get(key) is None else format(row[key], form)


def _seconds(row: Row) -> str:
    more = "> " if row.get("error") == "stopped" else ""
    return f"{more}{row['seconds']:.2f}"


def _answer(row: Row) -> str:
    if row.get("error"):
        return str(row["error"])
    parts = [str(row["status"])]
    if row.get("objective") is not None:
        parts.append(f"{row['objective']:.9g}")
    if row.get("gap") is not None:
        parts.append(f"gap {row['gap']:.1e}")
    elif row.get("answers") == WHOLE and row.get("bound") is not None and row.get("objective"):
        parts.append(f"gap {abs(row['bound'] - row['objective']) / abs(row['objective']):.1e}")
    return ", ".join(parts)


def _status(row: Row) -> str:
    return str(row.get("error") or row["status"])


def _binding(row: Row) -> str:
    return "" if row.get("rows") is None else f"{row['binding']} of {row['rows']}"


_MEMORY = _number("peak_mb", ",.0f")
_GAP = _number("gap", ".1e")

TABLES: dict[str, Table] = {
    "speed": Table(
        "whole numbers against general solvers on the same instance",
        speed,
        {
            "users x coupons": _users,
            "method": lambda row: f"{row['method']}, {row['answers']}",
            "seconds": _seconds,
            "CPU seconds": _number("cpu_seconds", ",.1f", "-"),
            "times ours": _number("ratio", ",.1f", "1"),
            "peak MB": _MEMORY,
            "answer": _answer,
        },
        {"sizes": [100_000, 1_000_000], "peers": list(PEERS), "limit": 600.0, "times": 3},
    ),
    "passes": Table(
        "a whole solve in units of one pass over the data",
        passes,
        {
            "users x coupons": _users,
            "one pass, s": _number("pass_seconds", ".4f"),
            "whole solve, s": _number("solve_seconds", ".2f"),
            "passes": _number("passes", ".0f"),
            "gap": _GAP,
            "status": _status,
        },
        {"sizes": [1_000_000, 10_000_000], "limit": 600.0},
    ),
    "warm": Table(
        "a solve after a small change, from the plan before it",
        warm,
        {
            "users x coupons": _users,
            "change": lambda row: str(row["change"]),
            "cold, s": _number("cold_seconds", ".3f"),
            "warm, s": _number("warm_seconds", ".3f"),
            "warm over cold": _number("ratio", ".2f"),
            "pricing passes, cold": _number("cold_passes", "d"),
            "pricing passes, warm": _number("warm_passes", "d"),
            "gap, cold": _number("cold_gap", ".1e"),
            "gap, warm": _number("warm_gap", ".1e"),
        },
        {"sizes": [100_000, 1_000_000], "changes": list(CHANGES), "limit": 60.0},
    ),
    "sweep": Table(
        "a frontier of twenty budgets against single solves",
        sweep,
        {
            "users x coupons": _users,
            "points": _number("points", "d"),
            "first solve of the process, s": _number("first_seconds", ".2f"),
            "cold solve, kernels loaded, s": _number("cold_seconds", ".2f"),
            "sweep, s": _number("sweep_seconds", ".2f"),
            "sweep over first": _number("over_first", ".1f"),
            "sweep over cold": _number("over_cold", ".1f"),
            "gap": _GAP,
        },
        {"sizes": [100_000, 1_000_000], "limit": 60.0},
    ),
    "growth": Table(
        "time and memory by size",
        growth,
        {
            "users x coupons": _users,
            "seconds": _seconds,
            "arrays, MB": _number("input_mb", ",.0f"),
            "peak MB": _MEMORY,
            "1.3 x arrays + 500 MB": _number("allowed_mb", ",.0f"),
            "gap": _GAP,
        },
        {"sizes": [10_000, 100_000, 1_000_000, 10_000_000], "limit": 600.0},
    ),
    "quality": Table(
        "gap and time on hard kinds of instances",
        quality,
        {
            "users x coupons": _users,
            "kind": lambda row: str(row["kind"]),
            "rows binding": _binding,
            "gap": _GAP,
            "seconds": _seconds,
            "status": _status,
        },
        {"sizes": [10_000, 100_000, 1_000_000], "kinds": list(KINDS), "limit": 60.0},
    ),
    "many_rows": Table(
        "50 coupons under 500 rows, to 1e-4 and to 1e-5",
        many_rows,
        {
            "users x coupons": lambda row: f"{row['users']:,} x 50",
            "rows binding": _binding,
            "gap asked": lambda row: f"{row['asked']:.0e}",
            "gap": _GAP,
            "seconds": _seconds,
            "CPU seconds": _number("cpu_seconds", ",.1f", "-"),
            "peak MB": _MEMORY,
            "status": _status,
        },
        {"sizes": [3_000, 20_000, 100_000], "limit": None},
    ),
    "stopping": Table(stopping.ABOUT, stopping.rows, stopping.COLUMNS, stopping.SETTINGS),
    "mmkp": Table(
        "Khan's multi-dimensional multiple-choice knapsacks, from a folder",
        mmkp,
        {
            "instance": lambda row: str(row["instance"]),
            "value": _number("objective", ".7g"),
            "optimum": _number("optimum", ".7g"),
            "bound": _number("bound", ".9g"),
            "gap": _GAP,
            "seconds": _seconds,
            "method": lambda row: str(row.get("by", "")),
            "status": _status,
        },
        {"folder": Path("../shared/data/mmkp"), "limit": 60.0},
    ),
    "mmkp_like": Table(
        "knapsacks like Khan's largest, generated, in equal time",
        mmkp_like,
        {
            "instance": lambda row: str(row["instance"]),
            "method": lambda row: str(row["method"]),
            "value": _number("objective", ",.0f"),
            "below the linear bound": _number("below", ".2f"),
            "seconds": _seconds,
            "CPU seconds": _number("cpu_seconds", ",.1f", "-"),
        },
        {"sizes": list(KHAN_LIKE.values()), "peers": ["scip", "highs-mip"], "limit": 60.0},
    ),
    "fair": Table(
        fair_objectives.ABOUT, fair_objectives.rows, fair_objectives.COLUMNS, fair_objectives.SETTINGS
    ),
    "device": Table(
        "the pricing pass on a torch device",
        device,
        {
            "users x coupons": _users,
            "device": lambda row: str(row.get("device", row.get("error"))),
            "CPU pass, s": _number("cpu_seconds", ".4f"),
            "device pass, s": _number("device_seconds", ".4f"),
            "largest relative difference": _number("difference", ".1e"),
            "CPU solve, s": _number("cpu_solve_seconds", ".2f"),
            "device solve, s": _number("device_solve_seconds", ".2f"),
            "gap on the device": _number("device_gap", ".1e"),
        },
        {"sizes": [1_000_000, 10_000_000], "device": "cuda", "limit": 600.0},
    ),
    "uplift": Table(
        "predictors on public experiments, fitted on one half and judged on the other",
        uplift.rows,
        uplift.COLUMNS,
        {
            "experiments": list(uplift.ALL),
            "learners": list(uplift.LEARNERS),
            "seeds": 10,
            "folder": Path("../shared/data"),
        },
    ),
    "ranks": Table(
        "the mean rank of each predictor over the experiments, from what `uplift` recorded",
        uplift.ranks,
        uplift.RANK_COLUMNS,
    ),
    "paired": Table(
        "by how much `auto` is ahead of each predictor on the same splits, from what `uplift` recorded",
        uplift.paired,
        uplift.PAIRED_COLUMNS,
    ),
    "gpu": Table(gpu.ABOUT, gpu.rows, gpu.COLUMNS, gpu.SETTINGS),
    "winners_curse": Table(
        "what a plan promises and what it realises, by how it treats the error of its predictions",
        winners_curse.rows,
        winners_curse.COLUMNS,
        {"sizes": [5_000], "seeds": 12, "gap": 1e-4},
    ),
    "learned_plans": Table(
        "what plans on learnt predictions promise and realise, from a history whose truth is known",
        learned_plans.rows,
        learned_plans.COLUMNS,
        {
            "sizes": [8_000, 40_000],
            "seeds": 10,
            "learners": ["T, LightGBM", "DR, LightGBM", "T, logistic", "S, logistic", "auto"],
        },
    ),
    "scoring": Table(
        "scoring every user of a large campaign against ten coupons, into a Parquet file",
        scoring.scoring,
        scoring.COLUMNS,
        {
            "sizes": [100_000, 300_000, 1_000_000],
            "predictors": ["baseline", "transformer", "auto"],
            "device": "cpu",
            "limit": 3600.0,
        },
    ),
    "ledger": Table(ledger.ABOUT, ledger.rows, ledger.COLUMNS, ledger.SETTINGS),
    "pacing": Table(
        "online decisions against traffic that drifts from the forecast, in shares of the hindsight optimum",
        pacing.pacing,
        pacing.COLUMNS,
        {"sizes": [50_000, 20_000], "gap": 1e-4},
    ),
    "commands": Table(
        large_campaigns.ABOUT, large_campaigns.rows, large_campaigns.COLUMNS, large_campaigns.SETTINGS
    ),
    "service": Table(service_load.ABOUT, service_load.rows, service_load.COLUMNS, service_load.SETTINGS),
    campaign_fuzz.NAME: Table(
        campaign_fuzz.ABOUT, campaign_fuzz.rows, campaign_fuzz.COLUMNS, campaign_fuzz.SETTINGS
    ),
    campaign_fuzz.NONSENSE: Table(
        campaign_fuzz.ABOUT_NONSENSE,
        campaign_fuzz.nonsense_rows,
        campaign_fuzz.COLUMNS_NONSENSE,
        campaign_fuzz.SETTINGS_NONSENSE,
    ),
    "copy_safety": Table(copy_safety.ABOUT, copy_safety.rows, copy_safety.COLUMNS, copy_safety.SETTINGS),
    "copy_quality": Table(copy_quality.ABOUT, copy_quality.rows, copy_quality.COLUMNS, copy_quality.SETTINGS),
    "copy_lora": Table(copy_lora.ABOUT, copy_lora.rows, copy_lora.COLUMNS, copy_lora.SETTINGS),
    "copy_scale": Table(copy_scale.ABOUT, copy_scale.rows, copy_scale.COLUMNS, copy_scale.SETTINGS),
}
