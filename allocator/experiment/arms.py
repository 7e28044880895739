"""The arms of an experiment and their shares."""

from __future__ import annotations

import math
from dataclasses import dataclass

from allocator.errors import Finding, InputError

TURNS = 10_000
"""A circle is turned by one of so many equal steps: every share is a whole number of them."""
PLAN, EXPLORE, HOLDOUT, OUTSIDE = 0, 1, 2, -1
"""What chance decided for a user; `OUTSIDE` for those who may get no coupon anyway."""
NAMES = ("plan", "explore", "holdout")


@dataclass(frozen=True)
class Experiment:
    """How much of a wave chance decides.

    Parameters
    ----------
    holdout
        Share of users who get nothing, and are counted; 0 for none.
    explore
        Share of users who get one of the coupons that they may get, by lot; 0 for none.
    seed, wave
        The draw depends on nothing but these and the users' labels: another wave is another draw.

    Raises
    ------
    InputError
        If a share is no multiple of 0.0001 from 0 on, or nothing is left to the plan.
    """

    holdout: float = 0.0
    explore: float = 0.0
    seed: int = 7
    wave: str = "wave 1"

    def __post_init__(self) -> None:
        findings = [
            finding
            for name in ("holdout", "explore")
            if (finding := share_finding(name, getattr(self, name))) is not None
        ]
        if not findings and self.turns_held + self.turns_exploring >= TURNS:
            found = f"{self.holdout:g} and {self.explore:g}"
            message = "holdout and explore leave nobody to the plan; together they must be less than 1"
            findings.append(Finding(message, column="holdout", found=found))
        if isinstance(self.seed, bool) or not isinstance(self.seed, int) or not 0 <= self.seed < 2**32:
            expected = "a whole number of 0 or more, below 2^32"
            findings.append(Finding("this is no seed", None, None, "seed", repr(self.seed), expected))
        if findings:
            raise InputError(findings)

    @property
    def turns_held(self) -> int:
        """At how many of the `TURNS` turns a user is held out."""
        return round(self.holdout * TURNS)

    @property
    def turns_exploring(self) -> int:
        """At how many of the `TURNS` turns a user explores."""
        return round(self.explore * TURNS)

    @property
    def planned(self) -> float:
        """Share of users who get what the plan gives."""
        return (TURNS - self.turns_held - self.turns_exploring) / TURNS

    @property
    def decides(self) -> bool:
        """Whether chance decides anything."""
        return self.turns_held + self.turns_exploring > 0


def share_finding(name: str, share: object) -> Finding | None:
    """Return what is wrong with the share of an arm, None if nothing is."""
    expected = "0, or a share such as 0.05"
    if isinstance(share, bool) or not isinstance(share, int | float) or not math.isfinite(share):
        return Finding("this is no share of the users", None, None, name, repr(share), expected)
    if not 0 <= share < 1:
        return Finding("a share of the users lies between 0 and 1", None, None, name, f"{share:g}", expected)
    if abs(share * TURNS - round(share * TURNS)) > 1e-6:
        near = f"{round(share * TURNS) / TURNS:g}"
        message = f"shares are told in steps of {1 / TURNS:g}, so that every chance is exact"
        return Finding(message, None, None, name, f"{share:g}", f"such as {near}")
    return None
