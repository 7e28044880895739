"""Random costs: from redemption probabilities to measures, and a simulation of what a plan will spend.

>>> from allocator.solution.risk import redemption_cost
>>> {name: table.tolist() for name, table in redemption_cost([[0.5]], [[4.0]]).items()}
{'cost': [[2.0]], 'cost_variance': [[4.0]]}
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from numpy.typing import ArrayLike, NDArray

from allocator.errors import Finding, InputError
from allocator.limits.fields import read_number_or_numbers
from allocator.problem.alignment import Axis
from allocator.problem.frames import Matrix
from allocator.solution import Solution

Array = NDArray[np.float64]


def redemption_cost(probability: ArrayLike, amount: ArrayLike) -> dict[str, Array]:
    """Return the measures of a cost that arises only if the coupon is redeemed.

    Parameters
    ----------
    probability
        (n_users, n_coupons), or broadcastable to it: of redemption, independent between users.
    amount
        Likewise: what a redeemed coupon costs.

    Returns
    -------
    dict
        ``cost``, the expectation p a, and ``cost_variance``, p (1 - p) a^2: measures of a `Problem` whose
        `Budget` has a confidence.

    Raises
    ------
    InputError
        If a probability is outside 0 to 1, or an amount negative.
    """
    chance, size = _tables(probability, amount)
    return {"cost": chance * size, "cost_variance": chance * (1 - chance) * size**2}


def simulate_spend(
    solution: Solution,
    probability: ArrayLike,
    amount: ArrayLike,
    *,
    coupon_error: float | Mapping[str, float] | None = None,
    draws: int = 1_000,
    seed: int = 7,
) -> Array:
    """Draw who redeems, again and again, and return what the plan spends each time.

    Parameters
    ----------
    solution
        The plan.
    probability, amount
        As in `redemption_cost`.
    coupon_error
        As in `Budget`: each draw multiplies a coupon's redemption probabilities by one normal number with
        mean 1 and this standard deviation, kept between 0 and 1.
    draws, seed
        How many times, and of the random numbers.

    Returns
    -------
    NDArray
        (draws,) total spend. The share that is at most the budget estimates the probability that it holds.
    """
    shape = solution.problem.n_users, solution.problem.n_coupons
    chance, size = _tables(probability, amount, shape, solution.problem.coupon_ids)
    choice = solution.choice.reshape(shape[0], -1)
    user, slot = np.nonzero(choice >= 0)
    coupon = choice[user, slot].astype(np.int64)
    chance, size = chance[user, coupon], size[user, coupon]
    errors = _errors(solution, coupon_error)
    generator = np.random.default_rng(seed)
    spend = np.empty(draws)
    for k in range(draws):
        factor = 1.0 + errors * generator.standard_normal(len(errors))
        redeemed = generator.random(len(user)) < chance * factor[coupon]
        spend[k] = size[redeemed].sum()
    return spend


def _errors(solution: Solution, given: float | Mapping[str, float] | None) -> Array:
    coupons, findings = solution.problem.coupon_ids.tolist(), list[Finding]()
    errors = 0.0 if given is None else read_number_or_numbers("coupon_error", given, findings)
    if isinstance(errors, Mapping) and (unknown := sorted(set(errors) - set(coupons))):
        findings.append(Finding("unknown coupon", column="coupon_error", found=repr(unknown[0])))
    if findings:
        raise InputError(findings)
    if isinstance(errors, Mapping):
        return np.array([float(errors.get(coupon, 0.0)) for coupon in coupons])
    return np.full(len(coupons), float(errors))


def _tables(
    probability: object, amount: object, shape: tuple[int, int] | None = None, coupon_ids: object = None
) -> tuple[Array, Array]:
    """Return both of one shape; names that they come with must agree."""
    findings: list[Finding] = []
    rows, columns = Axis("rows", "users"), Axis.of("columns", "coupons", coupon_ids)
    tables = []
    for name, given in (("probability", probability), ("amount", amount)):
        table = Matrix.of(given, name, "these are no numbers", findings)
        rows.check(table.rows, name, findings)
        columns.check(table.columns, name, findings)
        tables.append(table.array.astype(np.float64, copy=False))
    if findings:
        raise InputError(findings)
    try:
        wide = np.broadcast_shapes(*(table.shape for table in tables), *([] if shape is None else [shape]))
        if shape is not None and wide != shape:
            raise ValueError(wide)
    except ValueError as error:
        found = " and ".join(str(table.shape) for table in tables)
        expected = "users x coupons" if shape is None else str(shape)
        message = "the shapes do not go together"
        raise InputError(Finding(message, None, None, "probability, amount", found, expected)) from error
    chance, size = (np.broadcast_to(table, wide) for table in tables)
    _check(chance, size)
    return chance, size


def _check(probability: Array, amount: Array) -> None:
    findings = []
    if not ((probability >= 0) & (probability <= 1)).all():
        findings.append(Finding("must lie between 0 and 1", column="probability"))
    if not ((amount >= 0) & (amount < np.inf)).all():
        findings.append(Finding("must be 0 or more", column="amount"))
    if findings:
        raise InputError(findings)
