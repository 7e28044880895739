"""What `solve` returns: assignments, prices, usage and the certificate."""

from __future__ import annotations

import enum
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, overload

import numpy as np
from numpy.typing import NDArray

from allocator.limits.rows import LimitLike
from allocator.problem import Problem
from allocator.problem.frames import Kind
from allocator.solution.pricer import Pricer

if TYPE_CHECKING:
    import polars as pl

    from allocator.certificate import Certificate
    from allocator.solver.fairness_price import FairnessPrice


class Status(enum.StrEnum):
    """How good the plan is."""

    OPTIMAL = "optimal"
    """The gap is at most the one asked for."""
    FEASIBLE = "feasible"
    """Every hard limit holds; time or method ended before the gap was reached."""
    LEAST_VIOLATING = "least violating"
    """Not every hard limit can hold; those that are broken are broken as little as possible."""


@dataclass(frozen=True)
class LimitUsage:
    """One row of a limit in the plan.

    Parameters
    ----------
    used, at_least, at_most
        In the limit's unit; an open bound is infinite.
    slack
        Distance to the nearer bound; negative where it is violated: by a soft limit, or in a plan of
        least violation.
    price
        What one more unit of room at the bound that binds would earn, in objective units: never negative.
        `Solution.prices` holds the dual prices, which are negative where a row must be reached.
    binding
        Whether the limit holds the plan back (its price is not zero).
    """

    label: str
    used: float
    at_least: float
    at_most: float
    slack: float
    price: float
    binding: bool


@dataclass(frozen=True)
class Improvement:
    """One moment of a solve at which its proven bound fell or its best plan improved.

    Parameters
    ----------
    seconds
        Since the solve began.
    step
        What the solver was doing.
    bound
        No plan is worth more; infinite while nothing is proven.
    value
        Objective of the best plan so far; minus infinity while there is none.
    gap
        Relative optimality gap, infinite while bound or value is.
    passes
        Passes over all users that served to lower the bound so far.
    """

    seconds: float
    step: str
    bound: float
    value: float
    gap: float
    passes: int


@dataclass(frozen=True)
class Solution:
    """A plan with its proof.

    Parameters
    ----------
    problem, limits
        What was solved.
    status
        `Status.OPTIMAL` or `Status.FEASIBLE`; `Status.LEAST_VIOLATING` only where that was asked for.
    choice
        (n_users,) int16 coupon index, -1 for none; (n_users, k) if `per_user` allows k > 1.
    objective
        Value of the plan less penalties of soft limits.
    bound
        No plan is worth more (of those that keep `relaxed`, for a plan of least violation).
    bound_source
        ``dual prices`` (recomputed by the certificate), ``blocks`` or ``branch and bound`` (as the solver
        states them).
    prices
        Dual price by row label, in objective units per unit of the row; an exclusion has none.
    certificate
        The independent check.
    method, seconds, seed
        How it was solved.
    utility, utility_bound
        Value and upper bound of a concave objective, where one was asked for: for proportional
        fairness the weighted geometric mean of the groups' values.
    interrupted
        Whether Ctrl-C ended the solve.
    trace
        Bound and value over time, as `on_improvement` was told.
    relaxed
        By label of each row that a plan of least violation breaks, the bounds (at least, at most) that it
        keeps instead.
    unfit_by
        Labels of rows that rule some pairs out: alone, such a pair uses more than all other users can leave.
        The bound does not count them.
    """

    problem: Problem = field(repr=False)
    limits: tuple[LimitLike, ...] = field(repr=False)
    status: Status
    choice: NDArray[np.int16] = field(repr=False)
    objective: float
    bound: float
    bound_source: str
    prices: Mapping[str, float] = field(repr=False)
    certificate: Certificate = field(repr=False)
    method: str
    seconds: float
    seed: int
    utility: float | None = None
    utility_bound: float | None = None
    interrupted: bool = False
    trace: tuple[Improvement, ...] = field(default=(), repr=False)
    relaxed: Mapping[str, tuple[float, float]] = field(default_factory=dict, repr=False)
    unfit_by: tuple[str, ...] = ()

    @property
    def gap(self) -> float:
        """Relative optimality gap, ``(bound - objective) / |bound|``; of the utility where there is one."""
        if self.utility is not None and self.utility_bound is not None:
            return relative_gap(self.utility, self.utility_bound)
        return relative_gap(self.objective, self.bound)

    @property
    def usage(self) -> tuple[LimitUsage, ...]:
        """One row for each row of each limit."""
        stake = abs(self.objective)
        result = []
        for row in self.certificate.rows:
            if np.isinf(row.at_least) and np.isinf(row.at_most):
                continue  # counts what another row's risk needs
            price = self.prices.get(row.label, 0.0)
            slack = min(row.at_most - row.used, row.used - row.at_least)
            side = row.at_most if price > 0 else row.at_least
            worth = abs(price) * max(abs(side), 1.0) if np.isfinite(side) else 0.0
            result.append(
                LimitUsage(
                    row.label, row.used, row.at_least, row.at_most, slack, abs(price), worth > 1e-9 * stake
                )
            )
        return tuple(result)

    def verify(self) -> Certificate:
        """Check the plan again as it stands now, against the objective and bound stated."""
        # The check is compiled: a plain import of the package must not load a compiler.
        from allocator.certificate import certify
        from allocator.certificate.relaxed import certify_relaxed

        if self.relaxed:
            return certify_relaxed(
                self.problem,
                self.limits,
                self.relaxed,
                self.choice,
                self.prices,
                self.objective,
                self.bound,
            )
        return certify(
            self.problem, self.limits, self.choice, self.prices, self.objective, self.bound,
            unfit_by=self.unfit_by,
        )  # fmt: skip

    def price_of_fairness(
        self, labels: Sequence[str] | None = None, threads: int | None = None
    ) -> tuple[FairnessPrice, ...]:
        """Return what each fairness limit costs: the value lost against the same problem without it.

        Takes a few passes over the data for each limit, from the plan's prices, and no second solve.

        Parameters
        ----------
        labels
            Of limits of any kind; every `Floor`, `Share` and `Parity` unless given. A plan for a fair
            objective has one entry instead: what the objective costs against the sum of values.
        threads
            Worker threads; all cores unless given.

        Returns
        -------
        tuple
            For each limit a proven range of the loss, in objective units.

        Raises
        ------
        InputError
            If no limit has a label, or a budget of the plan has a confidence.
        """
        # A solution offers what the solver works out of it, so this alone looks up to the solver.
        from allocator.solver.fairness_price import price_of_fairness

        return price_of_fairness(self, labels, threads)

    @overload
    def assignments(self, to: Literal["polars"] = "polars") -> pl.DataFrame: ...
    @overload
    def assignments(self, to: Literal["numpy"]) -> dict[str, NDArray[Any]]: ...
    @overload
    def assignments(self, to: Literal["pandas", "arrow"]) -> Any: ...
    def assignments(self, to: Kind = "polars") -> Any:
        """Return one row an assignment: ``user_id, coupon_id, value`` and every measure.

        Parameters
        ----------
        to
            ``polars`` or ``pandas`` for a DataFrame, ``arrow`` for a pyarrow.Table, ``numpy`` for a dict of
            arrays. Ids have the type they came in.

        Raises
        ------
        InputError
            If there is no such kind of table.
        PluginError
            If the library for it is not installed.
        """
        import polars as pl

        from allocator.problem.frames import table_as

        return table_as(lambda: pl.concat(self._assignments()), to)

    def write_assignments(self, path: str | Path) -> None:
        """Write `assignments` to a Parquet file, batch by batch: for more users than memory holds."""
        from polars.io.plugins import register_io_source

        parts = self._assignments()
        first = next(parts)

        def source(
            columns: object, predicate: object, n_rows: object, size: object
        ) -> Iterator[pl.DataFrame]:
            yield first
            yield from parts

        register_io_source(source, schema=first.schema).sink_parquet(path)

    def _assignments(self) -> Iterator[pl.DataFrame]:
        import polars as pl

        choice = self.choice.reshape(self.problem.n_users, -1)
        for batch in self.problem.batches():
            of_batch = choice[batch.users]
            user, slot = np.nonzero(of_batch >= 0)
            coupon = of_batch[user, slot]
            ids = self.problem.ids_as_given(batch.indices()[user], coupon)
            numbers = {"value": batch.value, **batch.measures}
            yield pl.DataFrame(ids | {name: array[user, coupon] for name, array in numbers.items()})

    def pricer(self) -> Pricer:
        """Return what decides for a user that the plan has not seen."""
        return Pricer(self.problem, self.limits, self.prices)


def relative_gap(objective: float, bound: float) -> float:
    """Return (bound - objective) / the larger of both sizes, 0 where they agree to rounding."""
    size = max(abs(bound), abs(objective))
    difference = bound - objective
    return 0.0 if difference <= 1e-12 * size else difference / size
