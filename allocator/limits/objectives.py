"""Fair objectives: what to maximise instead of the sum of values."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from allocator.limits.fields import read_fields
from allocator.limits.groups import By


@dataclass(frozen=True)
class ProportionalFairness:
    """Maximise the sum over groups of weight x log(value of the group's assignments).

    Kelly 1997, "Charging and rate control for elastic traffic". A group that gains 1 % weighs as
    much as another that loses 1 %.

    A soft limit's penalty is taken off the *equivalent total*: the sum of values that, shared out by
    weight, would have the same weighted geometric mean. So ``Solution.utility`` is that mean of the groups'
    values less the product of w^w (weights that sum to 1) x what penalties come to.

    Parameters
    ----------
    by
        The group column, or several: then each combination of labels among the users is a group.
    weights
        Weight by group label (``"east"``, or ``"east, 18-24"`` for several columns); the number of its
        users over all users unless given.
    """

    by: By
    weights: Mapping[str, float] | None = None

    def __post_init__(self) -> None:
        read_fields(self)


@dataclass(frozen=True)
class MaxMin:
    """Maximise the smallest group's value a head; among such plans, the sum of values.

    Rawls 1971, "A theory of justice": no group can be made better off than in this plan without the worst
    off losing. The second step wastes nothing on groups that are above the smallest already.

    A soft limit's penalty is taken off the *equivalent total*: the sum of values of which every group has its
    share at the smallest. So ``Solution.utility`` is the smallest value a head over weight, less what
    penalties come to over the sum of heads x weight.

    Parameters
    ----------
    by
        As in `ProportionalFairness`.
    weights
        What each group is owed, relative to the others: the smallest of (value a head / weight) is
        maximised, so a group of weight 2 is owed twice the value a head. 1 for each unless given.
    """

    by: By
    weights: Mapping[str, float] | None = None

    def __post_init__(self) -> None:
        read_fields(self)


Fairness = ProportionalFairness | MaxMin
