"""What is said of a predictor or a plan after comparing it with past sends."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field, is_dataclass
from typing import Any, get_args, get_origin, get_type_hints


@dataclass(frozen=True)
class Estimate:
    """A figure with its 95 % interval; NaN where unknown."""

    value: float
    low: float
    high: float


NOT_KNOWN = Estimate(math.nan, math.nan, math.nan)
CONVERSIONS = "conversions"
NO_BETTER = "on held-out sends the predictor ranks users no better than chance: the value is a guess"
NOTHING, AS_SENT = "send nothing", "as it was sent"
"""Plans that every comparison has."""


@dataclass(frozen=True)
class OffPolicy:
    """Mean outcome a head under a plan: by inverse propensity, self-normalised, and doubly robust."""

    ips: Estimate
    snips: Estimate
    dr: Estimate


@dataclass(frozen=True)
class Stakes:
    """What a campaign maximises, and what it may spend on it.

    Parameters
    ----------
    objective
        As in ``[objective] maximize``.
    unit
        The currency, or ``conversions``: also of an objective in currency where past sends record no
        revenue.
    users
        Users of the campaign.
    budget
        What may be spent on all of them, in currency; NaN where no limit says so.
    """

    objective: str
    unit: str
    users: int
    budget: float = math.nan

    @property
    def in_currency(self) -> bool:
        """Whether values are money, from which costs can be taken off."""
        return self.unit != CONVERSIONS

    @property
    def of_values(self) -> str:
        """What the values are, in words: ``net_profit after costs, in EUR``."""
        if not self.in_currency:
            return CONVERSIONS
        return f"{self.objective.replace('_', ' ')} after costs, in {self.unit}"

    def budget_used(self, spend: float) -> float:
        """Return the share of the budget that a spend a head takes; NaN where there is no budget."""
        return spend * self.users / self.budget if self.budget > 0 else math.nan


@dataclass(frozen=True)
class PolicyValue:
    """What a plan would have earned on past sends, a head.

    Parameters
    ----------
    plan
        What the plan is called.
    rows, followed
        Past sends it is judged on, and how many of them got what it says.
    effective_rows
        How many equally likely rows carry as much information as those that follow it.
    sent
        Share of the rows that it sends something.
    conversions, revenue
        Of everyone, in conversions and in currency a head.
    gain, revenue_gain
        Doubly robust: what it earns above sending nothing.
    over_single
        Doubly robust conversions a head above sending everyone the best single coupon.
    value, value_gain, value_over_single
        The same in what the campaign maximises, after costs: see `Stakes`.
    spend
        Doubly robust: discounts and sending, in currency a head.
    """

    plan: str
    rows: int
    followed: int
    effective_rows: float
    sent: float
    conversions: OffPolicy
    revenue: OffPolicy
    gain: Estimate
    revenue_gain: Estimate
    over_single: Estimate
    value: OffPolicy = OffPolicy(NOT_KNOWN, NOT_KNOWN, NOT_KNOWN)
    value_gain: Estimate = NOT_KNOWN
    value_over_single: Estimate = NOT_KNOWN
    spend: Estimate = NOT_KNOWN


@dataclass(frozen=True)
class Curve:
    """Points of a curve from (0, 0); the random line goes straight to its last point.

    Parameters
    ----------
    name
        ``qini`` (incremental conversions against the share of rows), ``uplift`` (uplift of the best
        times their share against it), ``cost`` (what the campaign maximises, before costs, against spend,
        both a head) or ``value`` (the same after costs, against the share of users served).
    unit
        Of `y`: ``conversions``, or the currency.
    x, y
        The points.
    area
        Qini coefficient, AUUC, AUCC, or what the order of the users adds a head to a random one.
    """

    name: str
    unit: str
    x: tuple[float, ...]
    y: tuple[float, ...]
    area: float


@dataclass(frozen=True)
class Subgroup:
    """Uplift of the users with one value of a column.

    Parameters
    ----------
    column, value
        Which users.
    treated, control
        Rows with and without a coupon.
    predicted
        Mean predicted uplift.
    observed
        Treated less control.
    p_value
        That it differs from the uplift of all other users by chance; adjusted for how many subgroups
        were looked at (Holm, "A Simple Sequentially Rejective Multiple Test Procedure", 1979).
    """

    column: str
    value: str
    treated: int
    control: int
    predicted: float
    observed: Estimate
    p_value: float


@dataclass(frozen=True)
class OutcomeUplift:
    """What a coupon was seen to do to one outcome.

    Parameters
    ----------
    outcome
        ``clicked``, ``converted``, ``redeemed`` or ``revenue``.
    coupon_id
        The coupon ("all coupons" for all of them together).
    unit
        The currency of revenue; ``conversions`` of what happens or not.
    alone, sent
        Mean without and with it, weighted by inverse propensity.
    uplift
        Their difference.
    """

    outcome: str
    coupon_id: str
    unit: str
    alone: float
    sent: float
    uplift: Estimate


@dataclass(frozen=True)
class ArmOverlap:
    """How likely the rows of one arm were to get what they got.

    Parameters
    ----------
    arm
        The coupon, or "nothing".
    rows
        How many got it.
    quantiles
        Of their propensity: least, 5, 25, 50, 75, 95 %, largest.
    comparable
        Share of the rows about this arm for which it was likely enough to be compared.
    """

    arm: str
    rows: int
    quantiles: tuple[float, ...]
    comparable: float


@dataclass(frozen=True)
class Balance:
    """How a feature differs between treated and control rows, in standard deviations.

    `difference` is as they are, `weighted` after weighting by inverse propensity; above 0.1 in size
    counts as imbalance.
    """

    feature: str
    difference: float
    weighted: float


@dataclass(frozen=True)
class Power:
    """How many sends would show the uplift of one coupon.

    Parameters
    ----------
    coupon_id
        The coupon.
    control_rate, uplift
        The conversion without it, and the difference to show: the observed one.
    treated, control
        Rows there are.
    treated_needed, control_needed
        Rows needed to show it with 80 % power at the 5 % level, in the same proportion; NaN where the
        observed uplift is 0.
    detectable
        The least uplift that the rows there are would show with 80 % power.
    """

    coupon_id: str
    control_rate: float
    uplift: float
    treated: int
    control: int
    treated_needed: float
    control_needed: float
    detectable: float


@dataclass(frozen=True)
class ArmEvaluation:
    """How well one coupon's uplift is ranked and sized, on rows held out from training.

    Parameters
    ----------
    coupon_id
        The coupon ("all coupons" for the pooled row).
    treated, control
        Held-out rows with and without the coupon.
    qini
        Qini coefficient (area between the Qini curve and the random line over that of a perfect
        ranking), 0 for a random ranking.
    uplift_predicted, uplift_observed
        Mean predicted uplift, and the observed difference treated less control.
    observed_low, observed_high
        95 % interval of the observed uplift.
    auuc
        Area under the uplift curve, normalised as Qini is.
    uplift_at_30
        Observed uplift among the 30 % of rows with the highest predicted one.
    """

    coupon_id: str
    treated: int
    control: int
    qini: float
    uplift_predicted: float
    uplift_observed: float
    observed_low: float = math.nan
    observed_high: float = math.nan
    auuc: float = math.nan
    uplift_at_30: float = math.nan


@dataclass(frozen=True)
class CandidateScore:
    """What one candidate of a blend was worth on rows that it did not see.

    Parameters
    ----------
    candidate
        Its name.
    gain, gain_error
        By how much its mean squared error against doubly robust scores is below that of the same
        uplift for everyone, as a share of the latter, and the standard error.
    weight
        Its part of the blend.
    """

    candidate: str
    gain: float
    gain_error: float
    weight: float


@dataclass(frozen=True)
class Evaluation:
    """A report of a fitted predictor, on rows held out from training unless it says otherwise.

    A predictor's `fit` fills in the first part; `allocate evaluate` also what follows `notes`.

    Parameters
    ----------
    predictor
        Name of the plugin.
    rows_train, rows_test
        History rows used to train (0 if unknown) and judged on.
    arms
        One entry a coupon, the pooled row first.
    calibration
        (predicted, observed, rows) of uplift by quantile of predicted uplift, lowest first.
    metrics
        Further figures by name, for example ``{"conversion_auc": 0.71}``.
    notes
        Sentences a planner should read before trusting the numbers.
    held_out
        Whether the rows judged on are known to be unseen by the model.
    curves
        Qini, uplift, cost and, for an objective in currency, value curve of all coupons together.
    policies
        What plans would have earned.
    subgroups, overlap, balance, power
        One entry a value of a column, an arm, a feature and a coupon.
    candidates
        What the predictor chose from, where it is a blend.
    stakes
        What the values of `policies` are; None where there are none.
    verdicts
        Whether each plan is worth its trouble, as sentences.
    outcomes
        What each coupon was seen to do to each outcome that is recorded.
    doubts
        Those of the notes that say why the predictions may be wrong; `cautions` has them, too.
    """

    predictor: str
    rows_train: int
    rows_test: int
    arms: tuple[ArmEvaluation, ...]
    calibration: tuple[tuple[float, float, int], ...]
    metrics: Mapping[str, float] = field(default_factory=dict)
    notes: tuple[str, ...] = ()
    held_out: bool = True
    curves: tuple[Curve, ...] = ()
    policies: tuple[PolicyValue, ...] = ()
    subgroups: tuple[Subgroup, ...] = ()
    overlap: tuple[ArmOverlap, ...] = ()
    balance: tuple[Balance, ...] = ()
    power: tuple[Power, ...] = ()
    candidates: tuple[CandidateScore, ...] = ()
    stakes: Stakes | None = None
    verdicts: tuple[str, ...] = ()
    outcomes: tuple[OutcomeUplift, ...] = ()
    doubts: tuple[str, ...] = ()

    @property
    def cautions(self) -> tuple[str, ...]:
        """What a planner must know before the predictions are believed, wherever they go."""
        doubts = tuple(doubt.removesuffix(".") for doubt in self.doubts)
        noise = self.metrics.get("qini_noise")
        pooled = self.arms[0].qini if self.arms else None
        if noise is not None and pooled is not None and pooled <= 2 * noise:  # NaN tells nothing
            return (NO_BETTER, *doubts)
        return doubts


def restore(cls: Any, data: Any) -> Any:
    """Rebuild a dataclass of this file from plain JSON data, in which NaN is null and tuples are lists."""
    hints = get_type_hints(cls)
    return cls(**{name: _restored(hints[name], value) for name, value in data.items()})


def _restored(hint: Any, value: Any) -> Any:
    parts = get_args(hint)
    if hint is float:
        return math.nan if value is None else float(value)
    if value is None:
        return None
    if type(None) in parts:
        return _restored(next(part for part in parts if part is not type(None)), value)
    if is_dataclass(hint):
        return restore(hint, value)
    if get_origin(hint) is tuple:
        kinds = [parts[0]] * len(value) if parts[-1] is Ellipsis else parts
        return tuple(_restored(kind, entry) for kind, entry in zip(kinds, value, strict=True))
    if get_origin(hint) is Mapping:
        return {key: _restored(parts[1], entry) for key, entry in value.items()}
    return value
