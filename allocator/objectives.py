"""Concave objectives: what to maximise instead of the sum of values."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass


@dataclass(frozen=True)
class ProportionalFairness:
    """Maximise the sum over groups of weight x log(value of the group's assignments).

    Kelly 1997, "Charging and rate control for elastic traffic". A group that gains 1 % weighs as
    much as another that loses 1 %.

    Parameters
    ----------
    by
        The group column.
    weights
        Weight by group label; the number of its users over all users unless given.
    """

    by: str
    weights: Mapping[str, float] | None = None
