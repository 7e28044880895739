"""What a fairness limit costs: the value lost against the same problem without it, within proven bounds.

No second solve: the dual function without the limit's rows, minimised from the plan's own prices in a few
passes, bounds what any plan could be worth; the choices at those prices, less what exceeds a limit, are
a plan that shows how much of that can be had.

Bertsimas, Farias and Trichakis 2011, "The price of fairness".
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from allocator.certificate import certify
from allocator.errors import Finding, InputError
from allocator.limits import Floor, Parity, Share
from allocator.limits.rows import LimitLike, is_risky
from allocator.solution import Solution
from allocator.solver.fallback import plan_without_programs
from allocator.solver.large.screening import screen
from allocator.solver.master import minimise_dual, natural_scale, oracle_of, price_box
from allocator.solver.model import compile_model
from allocator.solver.pricing import engine_for

PASSES = 60
CLOSE = 1e-6  # share of the value at stake
OBJECTIVE = "fair objective"


@dataclass(frozen=True)
class FairnessPrice:
    """What one limit, all its rows together, costs in objective units.

    Parameters
    ----------
    label
        Of the limit; ``fair objective`` for what the objective costs against the sum of values.
    lost_at_least
        Without the limit, a plan is known that is worth so much more than any plan with it can be.
    lost_at_most
        Without the limit, no plan is worth more than so much above this plan.
    """

    label: str
    lost_at_least: float
    lost_at_most: float


def price_of_fairness(
    solution: Solution, labels: Sequence[str] | None = None, threads: int | None = None
) -> tuple[FairnessPrice, ...]:
    """Return what each fairness limit costs; see `Solution.price_of_fairness`."""
    if is_risky(solution.problem, solution.limits):
        message = (
            "the price of a limit beside a budget with a confidence is not known; solve without the limit"
        )
        raise InputError(Finding(message, column="confidence"))
    if solution.utility is not None:
        return (_price(solution, OBJECTIVE, solution.limits, np.inf, threads),)
    by_label = {limit.label: limit for limit in solution.limits}
    if labels is None:
        fair = (Floor, Share, Parity)
        labels = [label for label, limit in by_label.items() if isinstance(limit, fair)]
    if unknown := [label for label in labels if label not in by_label]:
        expected = "one of " + ", ".join(by_label)
        raise InputError(
            Finding("no limit has this label", column="labels", found=repr(unknown[0]), expected=expected)
        )
    result = []
    for label in labels:
        rest = tuple(limit for limit in solution.limits if limit is not by_label[label])
        result.append(_price(solution, label, rest, solution.bound, threads))
    return tuple(result)


def _price(
    solution: Solution, label: str, rest: tuple[LimitLike, ...], bound: float, threads: int | None
) -> FairnessPrice:
    """Compare the plan with what is possible under the rest of its limits.

    `bound` is what no plan under all limits, or for the fair objective, is worth more than; infinite where
    the plan itself stands for them.
    """
    fitting = screen(compile_model(solution.problem, rest))
    model = fitting.model
    engine = engine_for(model, threads=threads)
    scale = natural_scale(engine)
    start = np.array([solution.prices.get(name, 0.0) for name in model.labels])
    found = minimise_dual(
        model, oracle_of(engine), start, price_box(model, scale), scale,
        step=0.05, tolerance=CLOSE, most_passes=PASSES,
    )  # fmt: skip
    prices = dict(zip(model.labels, found.prices.tolist(), strict=True))
    choice = plan_without_programs(engine, found.prices)
    # Whatever plan is counted, the bound comes from the prices; the plan itself keeps the rest, too.
    checked = certify(
        solution.problem, rest, solution.choice if choice is None else choice, prices, threads=threads,
        unfit_by=fitting.labels,
    )  # fmt: skip
    best = min(checked.dual_bound, solution.bound) if rest == solution.limits else checked.dual_bound
    with_it = min(bound, solution.bound) if np.isfinite(bound) else solution.objective
    return FairnessPrice(
        label,
        lost_at_least=max(checked.objective - with_it, 0.0) if checked.valid else 0.0,
        lost_at_most=max(best - solution.objective, 0.0),
    )
