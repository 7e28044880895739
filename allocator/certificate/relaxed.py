"""Limits with other bounds for some of their rows, and the certificate of a plan that breaks limits least."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from allocator.certificate.certificate import Certificate, certify
from allocator.limits.rows import LimitLike, Row
from allocator.problem import Problem

Bounds = Mapping[str, tuple[float, float]]


@dataclass(frozen=True)
class RelaxedLimit:
    """A limit some of whose rows have other bounds.

    Parameters
    ----------
    limit
        The limit.
    bounds
        By row label, the bounds (at least, at most) instead of its own.
    """

    limit: LimitLike
    bounds: Bounds

    @property
    def label(self) -> str:
        """The limit's own label."""
        return self.limit.label

    def rows(self, problem: Problem) -> list[Row]:
        """State the limit for a problem."""
        return [self._relaxed(row) for row in self.limit.rows(problem)]

    def _relaxed(self, row: Row) -> Row:
        at_least, at_most = self.bounds.get(row.label, (row.at_least, row.at_most))
        return replace(row, at_least=at_least, at_most=at_most)


def relax(limits: Iterable[LimitLike], bounds: Bounds) -> tuple[LimitLike, ...]:
    """Return the limits with other bounds for some of their rows."""
    return tuple(RelaxedLimit(limit, bounds) for limit in limits)


def certify_relaxed(
    problem: Problem,
    limits: tuple[LimitLike, ...],
    bounds: Bounds,
    choice: NDArray[np.integer],
    prices: Mapping[str, float],
    claimed_objective: float | None = None,
    claimed_bound: float | None = None,
) -> Certificate:
    """Check a plan of least violation: its proof under the relaxed bounds, its rows under those asked for.

    Every limit that it breaks is among the certificate's problems, so that it is never valid.
    Parameters as in `certify`; `bounds` as in `LeastViolation`.
    """
    proof = certify(problem, relax(limits, bounds), choice, prices, claimed_objective, claimed_bound)
    rows = certify(problem, limits, choice, {}).rows
    broken = [
        f"limit '{row.label}' is broken by {row.violation:,.6g}: {row.used:,.6g} instead of at "
        + (f"most {row.at_most:,.6g}" if row.used > row.at_most else f"least {row.at_least:,.6g}")
        for row in rows
        if row.violation > 0 and not row.soft
    ]
    return replace(proof, rows=rows, problems=(*broken, *proof.problems))
