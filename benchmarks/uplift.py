"""Compare predictors on public experiments: fit on one half, judge on the other, the same halves for all."""

from __future__ import annotations

import time
from argparse import Namespace
from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor
from functools import cache
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from threadpoolctl import threadpool_limits

from allocator.plugins import registry
from benchmarks.experiments import EXPERIMENTS, Experiment
from benchmarks.record import Columns, Row, read
from benchmarks.worlds import WORLDS
from predictors.evaluation.calibration import calibration_bins, calibration_error
from predictors.evaluation.curves import auuc, qini, uplift_at
from predictors.evaluation.policy import corrected

Ints = NDArray[np.int64]

ALL = EXPERIMENTS | WORLDS
LIGHTGBM = {"estimator": "lightgbm"}
LEARNERS: dict[str, tuple[str, dict[str, Any]]] = {
    "S, logistic": ("s-learner", {}),
    "T, logistic": ("t-learner", {}),
    "X, logistic": ("x-learner", {}),
    "DR, logistic": ("dr-learner", {}),
    "S, LightGBM": ("s-learner", LIGHTGBM),
    "S, LightGBM tiny": ("s-learner", LIGHTGBM | {"leaves": 4, "trees": 60}),
    "T, LightGBM": ("t-learner", LIGHTGBM),
    "X, LightGBM": ("x-learner", LIGHTGBM),
    "DR, LightGBM": ("dr-learner", LIGHTGBM),
    "transformer": ("transformer", {}),
    "auto": ("auto", {}),
}
"""Each learner's plugin and options."""
SINGLE = [name for name in LEARNERS if name != "auto"]
HELD_OUT = 0.05
"""The least share of its rows that a single learner keeps for its own report; `auto` keeps none."""


def judge(key: str, folder: Path, learner: str, seed: int) -> dict[str, float]:
    """Fit a learner on one half of an experiment and return its figures on the other, and its CPU time."""
    experiment = _load(key, folder)
    assert experiment is not None
    name, options = LEARNERS[learner]
    if name != "auto":
        options = options | {"test_share": HELD_OUT}
    predictor = registry.create(registry.PREDICTORS, name, options)
    learn, test = experiment.halves(seed)
    began = time.process_time()
    predictor.fit(experiment.campaign(learn), seed=seed, device="cpu")
    seconds = time.process_time() - began
    uplift = predictor.predict(experiment.campaign(test)).uplift
    return figures(experiment, learn, test, uplift) | {"seconds": seconds}


def rows(settings: Namespace) -> Iterator[Row]:
    """Yield one row an experiment and learner; rows recorded earlier and not asked for are kept."""
    asked = {(key, learner) for key in settings.experiments for learner in settings.learners}
    recorded = read("uplift", settings.results) or {"rows": []}
    kept = {(row["key"], row["learner"]): row for row in recorded["rows"]}
    # A process each: forked ones hang in OpenMP, and one thread each keeps two fits out of each other's way.
    with ProcessPoolExecutor(mp_context=get_context("spawn"), initializer=_one_thread) as pool:
        for key in ALL:
            experiment = _load(key, settings.folder) if key in settings.experiments else None
            for learner in LEARNERS:
                if experiment is not None and (key, learner) in asked:
                    arguments = [(key, settings.folder, learner, seed) for seed in range(settings.seeds)]
                    found = list(pool.map(judge, *zip(*arguments, strict=True)))
                    by_seed = {name: [one[name] for one in found] for name in found[0]}
                    yield {"key": key, "experiment": experiment.name, "learner": learner} | by_seed
                elif (key, learner) in kept:
                    yield kept[key, learner]


def figures(experiment: Experiment, learn: Ints, test: Ints, uplift: NDArray[np.float64]) -> dict[str, float]:
    """Return how well `uplift`, (len(test), n_coupons), ranks, sizes and decides, averaged over the arms.

    The policy sends everyone the coupon of greatest positive uplift. Its value is doubly robust, with
    the mean outcome of each arm in the learning half as the model of outcomes, the same for all
    learners; it is given as the difference from the arm that did best there, sent to everyone.
    """
    arm, outcome = experiment.arm[test], experiment.outcome[test].astype(np.float64)
    ranked = []
    for coupon in range(uplift.shape[1]):
        rows = (arm == coupon) | (arm < 0)
        case = outcome[rows], arm[rows] == coupon, uplift[rows, coupon]
        ranked.append(
            [qini(*case), auuc(*case), uplift_at(*case), calibration_error(calibration_bins(*case))]
        )
    rates = np.array(
        [experiment.outcome[learn][experiment.arm[learn] == one].mean() for one in experiment.arms]
    )
    shares = np.array([np.mean(experiment.arm == one) for one in experiment.arms])
    best = int(np.argmax(rates)) - 1
    chosen = np.where(uplift.max(axis=1) > 0, uplift.argmax(axis=1), -1)
    gain = [
        corrected(outcome, arm == plan, 1.0 / shares[arm + 1], rates[plan + 1])
        for plan in (chosen, np.full(len(test), best))
    ]
    names = ("qini", "auuc", "uplift_30", "calibration")
    means = dict(zip(names, np.mean(ranked, axis=0).tolist(), strict=True))
    if experiment.truth is not None:
        means["miss"] = float(np.sqrt(np.mean((uplift - experiment.truth[test]) ** 2)))
    return means | {"policy": float(np.mean(gain[0])), "over_single": float(np.mean(gain[0] - gain[1]))}


def ranks(settings: Namespace) -> Iterator[Row]:
    """Yield, from what `uplift` recorded, the mean rank of each learner's Qini.

    Over the experiments on which every learner was run.
    """
    recorded = read("uplift", settings.results) or {"rows": []}
    table = {(row["key"], row["learner"]): row["qini"] for row in recorded["rows"]}
    learners = [name for name in LEARNERS if any(name == found for _, found in table)]
    keys = [key for key in ALL if all((key, name) in table for name in learners)]
    means = np.array([[np.mean(table[key, name]) for name in learners] for key in keys])
    errors = np.array([[_error(table[key, name]) for name in learners] for key in keys])
    single = [name != "auto" for name in learners]
    best = np.where(single, means, -np.inf).argmax(axis=1)
    floor = (means - errors)[np.arange(len(means)), best]
    rank = (-means).argsort(axis=1).argsort(axis=1) + 1
    for i in np.argsort(rank.mean(axis=0), kind="stable"):
        yield {
            "learner": learners[i],
            "rank": float(rank[:, i].mean()),
            "first": int((rank[:, i] == 1).sum()),
            "near": int((means[:, i] >= floor).sum()),
            "experiments": len(keys),
        }


def paired(settings: Namespace) -> Iterator[Row]:
    """Yield, from what `uplift` recorded, by how much `auto` is ahead of each learner on the same splits."""
    recorded = read("uplift", settings.results) or {"rows": []}
    table = {(row["key"], row["learner"]): row for row in recorded["rows"]}
    for key in ALL:
        auto = table.get((key, "auto"))
        if auto is not None:
            ahead = {
                name: np.subtract(auto["qini"], table[key, name]["qini"]).tolist()
                for name in SINGLE
                if (key, name) in table
            }
            yield {"experiment": auto["experiment"], "ahead": ahead}


def _error(values: list[float]) -> float:
    """Return the standard error of a mean over seeds."""
    return float(np.std(values, ddof=1) / np.sqrt(len(values)))


def _one_thread() -> None:
    threadpool_limits(1)


@cache
def _load(key: str, folder: Path) -> Experiment | None:
    return ALL[key](folder)


def _mean(key: str, form: str, spread: bool = False) -> Callable[[Row], str]:
    def write(row: Row) -> str:
        text = format(np.mean(row[key]), form)
        return f"{text} ({np.std(row[key], ddof=1):.4f})" if spread else text

    return write


def _ahead(learner: str) -> Callable[[Row], str]:
    def write(row: Row) -> str:
        by = row["ahead"].get(learner)
        return "" if by is None else f"{np.mean(by):+.4f} ± {_error(by):.4f}"

    return write


def _miss(row: Row) -> str:
    return f"{np.mean(row['miss']):.4f}" if "miss" in row else ""


COLUMNS: Columns = {
    "experiment": lambda row: str(row["experiment"]),
    "learner": lambda row: str(row["learner"]),
    "Qini (sd)": _mean("qini", ".4f", spread=True),
    "AUUC": _mean("auuc", ".4f"),
    "uplift at 30 %": _mean("uplift_30", ".4f"),
    "policy value": _mean("policy", ".4f"),
    "over best single arm": _mean("over_single", "+.4f"),
    "calibration error": _mean("calibration", ".4f"),
    "distance from the truth": _miss,
    "CPU seconds to fit": _mean("seconds", ".1f"),
}
PAIRED_COLUMNS: Columns = {
    "experiment": lambda row: str(row["experiment"]),
    **{f"less {name}": _ahead(name) for name in SINGLE},
}
RANK_COLUMNS: Columns = {
    "learner": lambda row: str(row["learner"]),
    "mean rank": lambda row: f"{row['rank']:.1f}",
    "first": lambda row: f"{row['first']} of {row['experiments']}",
    "within one standard error of the best single learner": lambda row: (
        f"{row['near']} of {row['experiments']}"
    ),
}
