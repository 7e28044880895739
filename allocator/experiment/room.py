"""Limits for the plan that leave room for whatever chance decides."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from allocator.errors import Finding, InputError
from allocator.experiment.turns import Turns
from allocator.limits.rows import LimitLike, Row
from allocator.problem import Problem

Array = NDArray[np.float64]
EXACT = 1e-10  # relative: a sum that is over a bound by less is within it, and the certificate agrees
MORE = (1.02, 1.5, 2.0, 3.0)  # of what a bound was exceeded by, set aside at the next try


@dataclass
class Room:
    """What is set aside in each row, on top of what exploration uses on average.

    Parameters
    ----------
    rows
        Of all limits, in order.
    turns
        What they use.
    below_most, above_least
        (n_rows,) set aside for how the draw may fall, in the rows' own units.
    """

    rows: Sequence[Row]
    turns: Turns
    below_most: Array
    above_least: Array

    @classmethod
    def of(cls, problem: Problem, limits: Sequence[LimitLike], turns: Turns) -> Room:
        """Return room for what exploration uses on average."""
        rows = [row for limit in limits for row in limit.rows(problem)]
        return cls(rows, turns, np.zeros(len(rows)), np.zeros(len(rows)))

    def bounds(self) -> dict[str, tuple[float, float]]:
        """Return the bounds (at least, at most) of the plan for everyone, by row.

        What is sent uses on average the plan's share of what the plan uses, and what exploration does.

        Raises
        ------
        InputError
            With every row that exploration alone may exceed.
        """
        share, mean = self.turns.draw.experiment.planned, self.turns.explored.mean(axis=1)
        findings, bounds = [], {}
        for row, explored, below, above in zip(
            self.rows, mean.tolist(), self.below_most.tolist(), self.above_least.tolist(), strict=True
        ):
            least = (row.at_least - explored + above) / share
            most = (row.at_most - explored - below) / share
            if row.is_exclusion:
                least, most = row.at_least, row.at_most
            if least > most or (most < 0 and self._only_adds(row)):
                findings.append(_no_room(row, explored, below, above))
            bounds[row.label] = least, most
        if findings:
            raise InputError(findings)
        return bounds

    def widen(self, used: Array, tries: int) -> list[str]:
        """Set aside more where some draw breaks a hard bound; return the labels of such rows.

        Parameters
        ----------
        used
            (n_rows, TURNS) what is sent uses.
        tries
            How often that was done before.
        """
        broken = []
        for r, row in enumerate(self.rows):
            if np.isfinite(row.penalty):
                continue
            most, least = float(used[r].max()), float(used[r].min())
            near = EXACT * max([abs(most), abs(least), *(abs(b) for b in _bounds(row))])
            over, under = most - row.at_most, row.at_least - least
            if max(over, under) <= near:
                continue
            broken.append(row.label)
            more = MORE[min(tries, len(MORE) - 1)]
            self.below_most[r] += more * max(over, 0.0)
            self.above_least[r] += more * max(under, 0.0)
        return broken

    def _only_adds(self, row: Row) -> bool:
        problem = self.turns.problem
        return all(
            term.weight >= 0
            and (
                term.measure == "count"
                or (term.measure != "value" and float(problem.measure(term.measure).min()) >= 0)
            )
            for term in row.terms
        )


def _bounds(row: Row) -> list[float]:
    return [bound for bound in (row.at_least, row.at_most) if np.isfinite(bound)]


def _no_room(row: Row, explored: float, below: float, above: float) -> Finding:
    message = (
        f"limit '{row.label}' leaves no room for chance: exploring uses {explored:,.6g} of it on average, "
        f"and how the lots fall up to {max(below, above):,.6g}; lower the shares, name strata, or loosen it"
    )
    bounds = " and ".join(
        f"at {name} {bound:,.6g}"
        for name, bound in (("least", row.at_least), ("most", row.at_most))
        if np.isfinite(bound)
    )
    return Finding(message, None, None, "explore", bounds)
