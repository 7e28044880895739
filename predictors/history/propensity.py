"""How likely each user was to get each coupon, and where that leaves users to compare."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.ensemble import HistGradientBoostingClassifier
from sklearn.linear_model import LogisticRegression

from predictors.history.history import WEIGHT_LIMIT, History

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]
Bools = NDArray[np.bool_]

ITERATIONS = 200
PENALTY = 0.1
LEAST = 1e-4
"""Least chance that is believed of an arm."""


@dataclass(frozen=True)
class Propensity:
    """Weights and comparable pairs of n history rows and c coupons.

    Parameters
    ----------
    weight
        (n,) one over the chance of what the row got.
    usable
        (n, c) whether the row says something about the coupon: it is about that coupon or its
        control, and a similar user may well have got the coupon, or nothing.
    notes
        What a planner should know about overlap.
    """

    weight: Floats
    usable: Bools
    notes: tuple[str, ...]

    def take(self, rows: Ints) -> Propensity:
        """Return some of the rows."""
        return Propensity(self.weight[rows], self.usable[rows], self.notes)


def draw_folds(user: Ints, folds: int, rng: np.random.Generator) -> Ints:
    """Return a fold for each row, (n,); all rows of a user are in the same one."""
    users, position = np.unique(user, return_inverse=True)
    return np.asarray((rng.permutation(len(users)) % folds)[position])


def find_propensity(history: History, x: Floats, fold: Ints, trim: float, trees: bool = False) -> Propensity:
    """Take the recorded propensities, or estimate them by cross-fitting.

    Estimated ones are trimmed (Crump, Hotz, Imbens and Mitnik, "Dealing with Limited Overlap in
    Estimation of Average Treatment Effects", Biometrika 2009). As an arm of many is rare for everyone,
    the bound is relative to the arm's share of rows.

    Parameters
    ----------
    history
        n rows.
    x
        (n, n_features) what is known of their users.
    fold
        (n,) the fold of each row; a fold's propensities come from the others.
    trim
        Pairs where the coupon, or nothing, is less likely than `trim` times its share are left out.
    trees
        Estimate with boosted trees; else with multinomial logistic regression.
    """
    about = _about(history)
    if history.randomised:
        capped = float(np.mean(history.weight >= WEIGHT_LIMIT))
        note = (
            f"{capped:.0%} of the past sends had a propensity of {1 / WEIGHT_LIMIT:g} or less; "
            f"they count as if it were {1 / WEIGHT_LIMIT:g}."
        )
        return Propensity(history.weight, about, (note,) if capped >= 0.005 else ())
    rows = np.arange(len(history))
    nothing, chance = _estimate(history, x, fold, about, trees)
    control = (~history.treated) @ about / np.maximum(about.sum(axis=0), 1)
    sent = np.array([(history.treated & (history.coupon == c)).sum() for c in range(about.shape[1])])
    share = sent / np.maximum(about.sum(axis=0), 1)
    usable = about & (nothing[:, None] >= trim * control) & (chance >= trim * share)
    coupon = np.maximum(history.coupon, 0)
    got = np.where(history.treated, chance[rows, coupon], nothing)
    weight = np.minimum(1.0 / np.maximum(got, LEAST), 1.0 / np.maximum(trim * got.mean(), LEAST))
    low, high = np.quantile(got, [0.05, 0.95])
    left_out = 1.0 - usable.sum() / max(about.sum(), 1)
    note = (
        f"Propensities were estimated from user features: most past sends had a chance of {low:.2f} to "
        f"{high:.2f}. {left_out:.1%} of the user-coupon pairs had no comparable users and were left out."
    )
    return Propensity(weight, usable, (note,))


def _about(history: History) -> Bools:
    """Return which coupons each row is about, (n, c).

    A row that names a coupon with control rows of its own is about that one; any other is about all
    coupons that share the control rows without a name.
    """
    own = history.own_control
    named = (history.coupon >= 0) & own[history.coupon]
    return np.where(named[:, None], np.arange(len(own)) == history.coupon[:, None], ~own)


def _estimate(history: History, x: Floats, fold: Ints, about: Bools, trees: bool) -> tuple[Floats, Floats]:
    """Return the chance of nothing, (n,), and of each coupon that a row is about, (n, c)."""
    n, n_coupons = about.shape
    nothing, chance = np.zeros(n), np.zeros((n, n_coupons))
    named = (history.coupon >= 0) & history.own_control[history.coupon]
    arm = np.where(history.treated, history.coupon, -1)
    rest = np.flatnonzero(~named)
    arms = np.unique(arm[rest])
    values = _cross_fit(x[rest], arm[rest], arms, fold[rest], trees)
    for column, code in zip(values.T, arms, strict=True):
        if code < 0:
            nothing[rest] = column
        else:
            chance[rest, code] = column
    rows = np.flatnonzero(named)
    design = np.concatenate([x[rows], history.coupon[rows, None] == np.arange(n_coupons)], axis=1)
    values = _cross_fit(design, history.treated[rows], np.array([False, True]), fold[rows], trees)
    nothing[rows], chance[rows, history.coupon[rows]] = values.T
    return nothing, chance


def _cross_fit(
    x: Floats, arm: NDArray[np.generic], arms: NDArray[np.generic], fold: Ints, trees: bool
) -> Floats:
    """Return the chance of each arm, (n, n_arms)."""
    out = np.full((len(x), len(arms)), LEAST)
    for part in np.unique(fold):
        rows, others = fold == part, fold != part
        seen = np.unique(arm[others])
        if len(seen) < 2:
            out[rows] = (arm[others, None] == arms).mean(axis=0) if others.any() else 1.0 / len(arms)
            continue
        model = _classifier(trees).fit(x[others], arm[others])
        out[np.ix_(rows, np.isin(arms, seen))] = model.predict_proba(x[rows])
    return out


def _classifier(trees: bool) -> Any:
    if not trees:
        return LogisticRegression(C=PENALTY, max_iter=ITERATIONS)
    return HistGradientBoostingClassifier(
        max_iter=50, max_leaf_nodes=8, learning_rate=0.1, max_bins=64, early_stopping=False, random_state=0
    )
