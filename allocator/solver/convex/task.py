"""What a fair objective asks: groups, their utility, and the model in which each group's value is a row."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from allocator.certificate import Certificate, certify
from allocator.limits.groups import Group
from allocator.limits.rows import LimitLike, Row, Term
from allocator.limits.scope import select
from allocator.problem import Problem
from allocator.solver.convex.run import Run
from allocator.solver.convex.utility import Utility
from allocator.solver.fair_groups import name_of
from allocator.solver.model import VALUE, Model, compile_model
from allocator.solver.pricing import Engine

Array = NDArray[np.float64]
Choice = NDArray[np.int16]


def _value_of(problem: Problem, group: Group) -> Term:
    return select(problem, "fairness", "value", group.users, None)


@dataclass(frozen=True)
class Values:
    """Rows without bounds that count each group's value."""

    groups: Sequence[Group]
    label: str = "value of group"

    def rows(self, problem: Problem) -> list[Row]:
        """State one row a group."""
        return [
            Row(f"{self.label} {name_of(group)}", (_value_of(problem, group),), -np.inf, np.inf)
            for group in self.groups
        ]


@dataclass(frozen=True)
class Slopes:
    """Rows whose price makes a unit of a group's value count `slope` instead of 1 in the dual bound.

    Their bounds are 0 and their penalty keeps them from being violated, so they add nothing themselves.
    """

    groups: Sequence[Group]
    slopes: Array
    label: str = "slope of group"

    def rows(self, problem: Problem) -> list[Row]:
        """State one row a group."""
        return [
            Row(f"{self.label} {name_of(group)}", (_value_of(problem, group),), 0.0, 0.0, 2.0 + slope)
            for group, slope in zip(self.groups, self.slopes, strict=True)
        ]

    def prices(self) -> dict[str, float]:
        """Return the price of each row."""
        names = (f"{self.label} {name_of(group)}" for group in self.groups)
        return {name: 1.0 - float(slope) for name, slope in zip(names, self.slopes, strict=True)}


@dataclass(frozen=True)
class Judged:
    """A plan that keeps every hard limit, recounted from raw data.

    Parameters
    ----------
    choice
        (n_users, most) int16.
    earned
        (n_groups,) the groups' values.
    lost
        Penalties of soft limits.
    total
        Equivalent total of the groups' values, less what is lost: the objective in units of value.
    """

    choice: Choice
    earned: Array
    lost: float
    total: float

    @property
    def objective(self) -> float:
        """Sum of values, less penalties."""
        return float(self.earned.sum()) - self.lost


@dataclass(frozen=True)
class Task:
    """A fair objective over a problem.

    Parameters
    ----------
    problem, limits
        As given.
    fitting, unfit_by
        The problem without pairs that fit no plan, and the labels of the rows that rule them out.
    groups, utility
        The groups, and what their values are worth together.
    model, engine
        The rows of all limits, then one for each group that counts its value; nothing else earns anything.
    run
        Target and time.
    """

    problem: Problem
    limits: tuple[LimitLike, ...]
    fitting: Problem
    unfit_by: tuple[str, ...]
    groups: tuple[Group, ...]
    utility: Utility
    model: Model
    engine: Engine
    run: Run

    @property
    def n_limits(self) -> int:
        """Number of priced rows of limits."""
        return self.model.n_rows - len(self.groups)

    @property
    def soft(self) -> bool:
        """Whether some limit may be broken at a price."""
        return bool(np.isfinite(self.model.penalty).any())

    def compiled(self, extra: Sequence[LimitLike], slopes: Array, unit: float = 1.0) -> Model:
        """Return a linear model: limits, then `extra` rows, and values that count `slopes` by group.

        `unit` is how many units of value one unit of its objective is worth.
        """
        model = compile_model(self.fitting, [*self.limits, *extra, Values(self.groups)])
        n_rows = model.n_rows - len(self.groups)
        counts = model.weights[np.arange(n_rows, model.n_rows)]
        worth = np.asarray(counts.T @ (slopes / unit)).reshape(model.shape)[VALUE]
        penalty = model.penalty.copy()
        penalty[: self.n_limits] /= unit
        return replace(model, worth=worth, penalty=penalty).with_rows(np.arange(model.n_rows) < n_rows)

    def dual(self, prices: Array, slopes: Array) -> tuple[float, Array, Array]:
        """Return what no plan's total exceeds at given prices and slopes, and both as they count."""
        slopes, factor = self.utility.fit(slopes)
        lowest, highest = self.model.price_range()
        prices = np.clip(factor * prices, lowest[: self.n_limits], highest[: self.n_limits])
        every = np.concatenate([prices, -slopes])
        return self.engine.price(every).reduced + self.model.bound_cost(every), prices, slopes

    def certificate(self, choice: Choice, prices: Array, slopes: Array) -> Certificate:
        """Let the certificate recount a plan, and recompute the dual bound; the last rows are the groups'."""
        slope_rows = Slopes(self.groups, slopes)
        named = zip(self.model.labels[: self.n_limits], prices.tolist(), strict=True)
        return certify(
            self.problem, [*self.limits, slope_rows], choice, dict(named) | slope_rows.prices(),
            unfit_by=self.unfit_by,
        )  # fmt: skip

    def judge(self, choice: Choice) -> Judged | None:
        """Recount a plan; None if it breaks a hard limit."""
        checked = certify(self.problem, [*self.limits, Values(self.groups)], choice, {})
        if not checked.valid:
            return None
        earned = np.array([row.used for row in checked.rows[-len(self.groups) :]])
        penalty = dict(zip(self.model.labels, self.model.penalty.tolist(), strict=True))
        lost = sum(penalty[row.label] * row.violation for row in checked.rows if row.soft)
        return Judged(choice, earned, lost, self.utility.equivalent(earned) - lost)
