"""Who falls into which arm: places on a circle, and one turn of it drawn for all.

Every unit has a place on a circle of `TURNS` steps, by lot and evenly within its stratum. One turn of the
circle, each as likely as any other, decides: who then stands in the first part is held out, who stands in
the next explores. Turn by turn an exploring user goes through the coupons that may be sent to them. So every
chance is a whole number of turns, known exactly, and what must hold for every draw is looked up turn by turn.

Systematic sampling with a random start: Madow and Madow 1944, "On the theory of systematic sampling, I".
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property
from hashlib import blake2b

import numpy as np
from numpy.typing import ArrayLike, NDArray

from allocator.errors import Finding, InputError
from allocator.experiment.arms import EXPLORE, HOLDOUT, OUTSIDE, PLAN, TURNS, Experiment
from allocator.problem import Problem

Ints = NDArray[np.int64]


@dataclass(frozen=True)
class Draw:
    """A draw of arms, and the law that it came from.

    Parameters
    ----------
    experiment
        The shares.
    slot
        (n_users,) place on the circle, -1 for users who may get nothing.
    open
        (n_users, n_coupons) which pairs exploration may send.
    phase
        (n_users,) at which of their open coupons users begin to explore.
    turn
        The turn that was drawn, 0 to `TURNS` - 1.
    """

    experiment: Experiment
    slot: Ints
    open: NDArray[np.bool_]
    phase: Ints
    turn: int

    def arms(self, turn: int | None = None) -> NDArray[np.int8]:
        """Return each user's arm, (n_users,); `OUTSIDE` for those who may get nothing."""
        return self._arms(self._place(turn))

    def sent(self, plan: NDArray[np.integer], turn: int | None = None) -> NDArray[np.int16]:
        """Return what users get, (n_users,) coupon indices, -1 for nothing.

        Parameters
        ----------
        plan
            (n_users,) what the plan gives them.
        turn
            Of the circle; the one drawn unless given.
        """
        place = self._place(turn)
        arm = self._arms(place)
        choice = np.asarray(plan, np.int16).copy()
        choice[arm == HOLDOUT] = -1
        users = np.flatnonzero(arm == EXPLORE)
        step = place[users] - self.experiment.turns_held
        wanted = (self.phase[users] + step) % self.n_open[users]
        choice[users] = np.argmax(self.open[users] & (self.rank[users] == wanted[:, None]), axis=1)
        return choice

    def propensity(self, plan: NDArray[np.integer], got: NDArray[np.integer]) -> NDArray[np.float64]:
        """Return the probability with which users get what they `got`, whichever arm gives it, (n_users,)."""
        experiment, inside = self.experiment, self.slot >= 0
        turns = np.where(plan == got, TURNS - experiment.turns_held - experiment.turns_exploring, 0)
        turns[got < 0] += experiment.turns_held
        users = np.flatnonzero(inside & (np.asarray(got) >= 0))
        turns[users] += self.turns_of(users, np.asarray(got)[users].astype(np.int64))
        return np.where(inside, turns / TURNS, 1.0)

    def turns_of(self, users: Ints, coupons: Ints) -> Ints:
        """Return at how many turns exploration gives each user a coupon, (n_pairs,)."""
        n = np.maximum(self.n_open[users], 1)
        begins = (self.rank[users, coupons] - self.phase[users]) % n
        turns = np.maximum((self.experiment.turns_exploring - begins + n - 1) // n, 0)
        return np.where(self.open[users, coupons], turns, 0)

    @cached_property
    def rank(self) -> Ints:
        """Which of a user's open coupons each is, (n_users, n_coupons), from 0 on."""
        return np.cumsum(self.open, axis=1, dtype=np.int64) - 1

    @cached_property
    def n_open(self) -> Ints:
        """How many coupons exploration may give each user, (n_users,)."""
        return np.asarray(self.open.sum(axis=1, dtype=np.int64))

    def _place(self, turn: int | None) -> Ints:
        return (self.slot + (self.turn if turn is None else turn)) % TURNS

    def _arms(self, place: Ints) -> NDArray[np.int8]:
        held, exploring = self.experiment.turns_held, self.experiment.turns_exploring
        arm = np.full(len(place), PLAN, np.int8)
        arm[place < held + exploring] = EXPLORE
        arm[place < held] = HOLDOUT
        arm[self.slot < 0] = OUTSIDE
        return arm


def draw_arms(
    problem: Problem,
    allowed: NDArray[np.bool_],
    experiment: Experiment,
    units: ArrayLike | None = None,
    strata: Sequence[ArrayLike] = (),
) -> Draw:
    """Draw the arms of a wave; the draw knows nothing of values or plans.

    Parameters
    ----------
    problem
        Its users' labels are what lots are drawn of.
    allowed
        (n_users, n_coupons) which coupons may be sent to whom.
    experiment
        The shares.
    units
        (n_users,) labels of what is drawn as one, such as households; each user unless given, as is a user
        with an empty label.
    strata
        (n_users,) labels each: every combination of them is drawn by itself, so that its arms have their
        shares to within one unit.

    Raises
    ------
    InputError
        If a unit lies in several strata, or explores too little for each coupon to have a chance.
    """
    inside = np.asarray(allowed.any(axis=1))
    most = int(allowed.sum(axis=1).max(initial=0))
    if 0 < experiment.turns_exploring < most:
        expected = f"{most / TURNS:g} or more, or 0"
        message = f"too small a share to give each of {most} coupons a chance"
        raise InputError(Finding(message, None, None, "explore", f"{experiment.explore:g}", expected))
    users = np.flatnonzero(inside)
    ids = problem.ids_of(users)
    names, unit = (ids, np.arange(len(users))) if units is None else _units(units, users, ids)
    layer, layers = _layers(strata, users, unit, len(names), names)
    slot = np.full(problem.n_users, -1, np.int64)
    slot[users] = _slots(_lots(names, experiment, "unit"), layer, layers, experiment)[unit]
    phase = np.zeros(problem.n_users, np.int64)
    n_open = allowed[users].sum(axis=1)
    phase[users] = (_lots(ids, experiment, "coupon") % n_open.astype(np.uint64)).astype(np.int64)
    turn = int(_lots(["turn"], experiment, "turn")[0] % TURNS)
    return Draw(experiment, slot, allowed, phase, turn)


def _units(labels: ArrayLike, users: Ints, ids: NDArray[np.str_]) -> tuple[NDArray[np.str_], Ints]:
    """Return the distinct units of some users, and which of them each user is of."""
    text = np.asarray(labels)[users].astype(np.str_)
    # A user without a label is a unit of their own, told apart from labels by a mark that none has.
    own = np.char.add("\0", ids)
    names, unit = np.unique(np.where(text == "", own, np.char.add("\1", text)), return_inverse=True)
    return names, unit.astype(np.int64)


def _layers(
    strata: Sequence[ArrayLike], users: Ints, unit: Ints, n_units: int, names: NDArray[np.str_]
) -> tuple[Ints, list[str]]:
    """Return the stratum of each unit, and the strata's names."""
    if not strata:
        return np.zeros(n_units, np.int64), [""]
    text = np.asarray(strata[0])[users].astype(np.str_)
    for other in strata[1:]:
        text = np.char.add(np.char.add(text, "\0"), np.asarray(other)[users].astype(np.str_))
    layers, of_user = np.unique(text, return_inverse=True)
    of_unit = np.zeros(n_units, np.int64)
    of_unit[unit] = of_user
    torn = np.flatnonzero(of_unit[unit] != of_user)
    if len(torn):
        found = repr(str(names[unit[torn[0]]]).lstrip("\0\1"))
        message = "users of one unit lie in different strata; name strata that all of a unit share"
        raise InputError(Finding(message, None, None, "strata", found))
    return of_unit, [str(layer) for layer in layers]


def _slots(lots: NDArray[np.uint64], layer: Ints, layers: Sequence[str], experiment: Experiment) -> Ints:
    """Return each unit's place: spread evenly over the circle in the order of lots, stratum by stratum."""
    order = np.lexsort((lots, layer))
    sizes = np.bincount(layer, minlength=len(layers))
    first = np.cumsum(sizes) - sizes
    rank = np.empty(len(lots), np.int64)
    rank[order] = np.arange(len(lots)) - first[layer[order]]
    start = _lots(layers, experiment, "stratum").astype(np.float64) / 2.0**64
    place = (rank / sizes[layer] + start[layer]) % 1.0
    return np.minimum((place * TURNS).astype(np.int64), TURNS - 1)


def _lots(labels: Iterable[str], experiment: Experiment, what: str) -> NDArray[np.uint64]:
    """Return a lot for each label: a digest that depends on seed, wave, purpose and label alone."""
    key = experiment.seed.to_bytes(8, "big")
    head = f"{experiment.wave}\0{what}\0".encode()
    labels = labels.tolist() if isinstance(labels, np.ndarray) else labels
    text = b"".join(blake2b(head + label.encode(), key=key, digest_size=8).digest() for label in labels)
    return np.frombuffer(text, "<u8")
