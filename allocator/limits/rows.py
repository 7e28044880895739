"""What limits are made of: rows over (measure x users x coupons), and the pieces that state them.

The solver and the certificate read rows independently of each other; a plugin's limit makes them
with the same pieces as the built-in ones.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Protocol, runtime_checkable

import numpy as np
from numpy.typing import NDArray

from allocator.errors import Finding, InputError
from allocator.problem import Problem
from allocator.problem.arrays import entries_of, shown

NEAR = 1e-9  # relative: a bound this close to a whole number is one


@dataclass(frozen=True)
class Term:
    """`weight` x `measure` of the assignments of `users` x `coupons`.

    `users` maps group columns to label codes (empty: all users); `coupons` is (n_coupons,) bool. `labels`
    has, of columns that hold sets of labels, those that were asked for: codes are of the sets of these users,
    and users who come later may have others.
    """

    measure: str
    weight: float
    users: Mapping[str, frozenset[int]]
    coupons: NDArray[np.bool_]
    labels: Mapping[str, tuple[str, ...]] = field(default_factory=dict)


@dataclass(frozen=True)
class Risk:
    """What makes a row's usage random, as labels of rows without bounds that count it.

    Parameters
    ----------
    times
        How many standard deviations of the usage must fit under the row's bound, too.
    variance
        The row that counts the variance of what is independent between users.
    shared
        Rows that count one standard deviation each of what all users share; independent of each other.
    """

    times: float
    variance: str
    shared: tuple[str, ...] = ()

    def deviation(self, used: Mapping[str, float]) -> float:
        """Return the standard deviation of the usage, from what the rows count."""
        return math.sqrt(max(used[self.variance], 0.0) + sum(used[label] ** 2 for label in self.shared))


@dataclass(frozen=True)
class Row:
    """The sum of `terms` stays within [`at_least`, `at_most`].

    A finite `penalty` makes the row soft: objective units lost for each unit of violation. With `risk`,
    the sum is an expectation, and so many standard deviations more must stay within `at_most`.
    """

    label: str
    terms: tuple[Term, ...]
    at_least: float
    at_most: float
    penalty: float = math.inf
    risk: Risk | None = None

    @property
    def is_open(self) -> bool:
        """Whether the row has no bounds: it only counts, and its price bounds nothing."""
        return math.isinf(self.at_least) and math.isinf(self.at_most)

    @property
    def whole_bounds(self) -> tuple[float, float]:
        """The bounds, moved in to whole numbers where a hard row counts assignments: no plan comes nearer."""
        counts = all(term.measure == "count" and float(term.weight).is_integer() for term in self.terms)
        if not counts or math.isfinite(self.penalty):
            return self.at_least, self.at_most
        least = _whole(math.ceil, self.at_least, -NEAR)
        most = _whole(math.floor, self.at_most, NEAR)
        return (least, most) if least <= most else (self.at_least, self.at_most)

    @property
    def is_exclusion(self) -> bool:
        """Whether the row says that some assignments never happen: a hard count of at most 0.

        Such a row has no price; its assignments are forbidden.
        """
        counts = all(term.measure == "count" and term.weight > 0 for term in self.terms)
        return counts and self.at_most == 0 and self.at_least <= 0 and math.isinf(self.penalty)


def _whole(rounded: Callable[[float], int], bound: float, near: float) -> float:
    return float(rounded(bound + near * max(abs(bound), 1.0))) if math.isfinite(bound) else bound


@runtime_checkable
class LimitLike(Protocol):
    """What the solver asks of a limit; a plugin's class need not inherit from `Limit`."""

    @property
    def label(self) -> str:
        """The name that every message, price and table uses."""
        ...

    def rows(self, problem: Problem) -> list[Row]:
        """State the limit for a problem."""
        ...


def checked_limits(limits: Iterable[LimitLike]) -> tuple[LimitLike, ...]:
    """Return the limits, or raise InputError if one of them is none."""
    if isinstance(limits, LimitLike):
        raise InputError(Finding("limits must be a list, even if there is only one", column="limits"))
    entries = entries_of(limits)
    if entries is None:
        raise InputError(Finding("limits must be a list of limits", column="limits", found=shown(limits)))
    checked = tuple(entries)
    for limit in checked:
        if not isinstance(limit, LimitLike):
            raise InputError(Finding("this is not a limit", column="limits", found=shown(limit)))
    return checked


def is_risky(problem: Problem, limits: Iterable[LimitLike]) -> bool:
    """Return whether the usage of some limit's row is random."""
    return any(row.risk is not None for limit in limits for row in limit.rows(problem))


def row(
    label: str, terms: Sequence[Term], at_least: float | None, at_most: float | None, penalty: float | None
) -> Row:
    """Return a row with open bounds as infinities."""
    return Row(
        label,
        tuple(terms),
        -math.inf if at_least is None else float(at_least),
        math.inf if at_most is None else float(at_most),
        math.inf if penalty is None else float(penalty),
    )


def check_bounds(label: str, at_least: float | None, at_most: float | None, penalty: float | None) -> None:
    """Raise InputError unless the bounds make sense."""
    findings = []
    for key, bound in (("at_least", at_least), ("at_most", at_most), ("penalty", penalty)):
        if bound is not None and not math.isfinite(bound):
            findings.append(
                Finding(f"limit '{label}': the bound must be a finite number", column=key, found=str(bound))
            )
    if not label.strip():
        findings.append(Finding("a limit needs a label", column="label"))
    if at_least is None and at_most is None:
        findings.append(Finding(f"limit '{label}' has neither at_least nor at_most", column="at_most"))
    if at_least is not None and at_most is not None and at_least > at_most:
        findings.append(
            Finding(
                f"limit '{label}': at_least is more than at_most",
                column="at_least",
                found=f"{at_least:g}",
                expected=f"at most {at_most:g}",
            )
        )
    if penalty is not None and penalty < 0:
        findings.append(
            Finding(f"limit '{label}': the penalty is negative", column="penalty", found=f"{penalty:g}")
        )
    if findings:
        raise InputError(findings)
