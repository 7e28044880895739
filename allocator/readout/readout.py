"""The readout of a send: checks first, then what it did, for whom, and whether it is what was promised."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
import polars as pl
from numpy.typing import NDArray

from allocator.readout.effects import FEWEST, LEVEL, Effect, Interval, effect, ratio, shrunk

Array = NDArray[np.float64]
METRICS = ("conversion", "revenue", "margin", "discount", "profit")
"""What effects are told of: conversions, revenue, its margin, discounts, and margin less discounts."""
OF_OBJECTIVE = {
    "incremental_conversions": "conversion",
    "incremental_revenue": "revenue",
    "incremental_margin": "margin",
    "net_profit": "profit",
}
RATES = ("delivered", "opened", "clicked", "unsubscribed")
UNLIKELY = 0.001
"""Probability below which arms that are not covered alike are called so."""


@dataclass(frozen=True)
class Part:
    """The effect on some of the users: those of a coupon, a channel or a group.

    `shrunk` is drawn towards the mean of all parts of its kind, as far as its own error asks for; `low` and
    `high` are its interval. None where an arm has too few users.
    """

    kind: str
    label: str
    sent: int
    held_out: int
    estimate: float | None
    shrunk: float | None
    low: float | None
    high: float | None


@dataclass(frozen=True)
class Promise:
    """What was promised of those who were sent the plan's coupon, and what came of it.

    `low` and `high` are the realised figure's interval; None where it is counted, not estimated.
    """

    what: str
    promised: float
    realised: float
    low: float | None = None
    high: float | None = None


@dataclass(frozen=True)
class Coverage:
    """Whether outcomes are known of both arms alike.

    `probability` is that of a difference as large, if nothing but chance kept outcomes from being known.
    """

    arm: str
    drawn: int
    known: int
    probability: float


@dataclass(frozen=True)
class Readout:
    """What a send did.

    Parameters
    ----------
    words
        Three sentences.
    refused
        What cannot be concluded, and why.
    effects
        By metric, a user who was to get a coupon.
    totals
        By metric, of all who were sent the plan's coupon; intervals for one look.
    return_on_spend
        Incremental margin for each unit of discount; None where spend is not surely known.
    parts
        By coupon, channel and group.
    promises, coverage, rates
        Promised against realised; who is known of; what became of messages, as shares of those told of.
    elapsed
        Share of the time of observation that is over.
    notes
        What a reader should know.
    """

    words: tuple[str, ...]
    refused: tuple[str, ...]
    metric: str
    effects: Mapping[str, Effect]
    totals: Mapping[str, Interval]
    return_on_spend: Interval | None
    parts: tuple[Part, ...]
    promises: tuple[Promise, ...]
    coverage: tuple[Coverage, ...]
    rates: Mapping[str, float]
    elapsed: float
    level: float
    notes: tuple[str, ...] = field(default=())


def read_out(
    rows: pl.DataFrame,
    *,
    objective: str,
    margin: float,
    currency: str,
    covariates: Array | None = None,
    units: NDArray[np.integer] | None = None,
    groups: Sequence[str] = (),
    elapsed: float = 1.0,
    level: float = LEVEL,
    notes: Sequence[str] = (),
) -> Readout:
    """Return what a send did, from a row each user to whom the plan gave a coupon.

    Parameters
    ----------
    rows
        ``arm`` (plan or holdout), ``planned_coupon_id, channel``, what was promised of the plan's coupon
        (``promised_value, promised_cost, promised_redemptions``, null where not known), columns of `groups`,
        and ``converted, redeemed, revenue, discount, delivered, opened, clicked, unsubscribed``, null where
        not known.
    objective, margin, currency
        As in ``[objective]`` of the campaign, and its currency.
    covariates, units
        As for `effect`, a row each of `rows`.
    groups
        Columns to tell effects by.
    elapsed, level
        As for `effect`.
    notes
        What a reader should know of the files.
    """
    coverage = _coverage(rows)
    known = rows["converted"].is_not_null().to_numpy()
    whole = rows
    rows = rows.filter(pl.Series(known, dtype=pl.Boolean))
    covariates = None if covariates is None else covariates[known]
    units = None if units is None else units[known]
    sent = (rows["arm"] == "plan").to_numpy()
    refused = _refusals(rows, whole, sent, coverage)
    metrics = _metrics(rows, margin)
    effects: dict[str, Effect] = {}
    if min(int(sent.sum()), int((~sent).sum())) >= FEWEST and not _blocked(rows):
        effects = {
            name: effect(values, sent, covariates, units, level=level, elapsed=elapsed)
            for name, values in metrics.items()
        }
    metric = OF_OBJECTIVE[objective]
    if effects and metric not in effects:
        lacking = f"the outcomes do not tell all that {metric} needs; the effect is told in conversions"
        notes = [*notes, lacking]
        metric = "conversion"
    totals = {name: _times(found.fixed, found.sent) for name, found in effects.items()}
    back = None
    if {"margin", "discount"} <= set(effects):
        back = ratio(metrics["margin"], metrics["discount"], sent, level)
    parts = _parts(rows, metrics[metric], sent, groups, level) if effects else ()
    promises = _promises(rows, sent, totals, objective)
    found = effects.get(metric)
    words = _words(found, totals.get(metric), metric, currency, back, promises, refused, level)
    return Readout(
        words, tuple(refused), metric, effects, totals, back, parts, promises, coverage, _rates(rows, sent),
        elapsed, level, (*notes, *_looks(parts, level)),
    )  # fmt: skip


def _metrics(rows: pl.DataFrame, margin: float) -> dict[str, Array]:
    """Return the outcomes that are known of everybody who is known of."""
    found = {"conversion": rows["converted"].cast(pl.Float64).to_numpy()}
    if not rows["revenue"].null_count():
        found["revenue"] = rows["revenue"].to_numpy()
        found["margin"] = margin * found["revenue"]
    # Who was held out has no discount to be told of.
    discount = pl.when(pl.col("arm") == "holdout").then(pl.col("discount").fill_null(0)).otherwise("discount")
    spent = rows.select(discount.alias("discount"))["discount"]
    if not spent.null_count():
        found["discount"] = spent.to_numpy()
        if "margin" in found:
            found["profit"] = found["margin"] - found["discount"]
    return found


def _coverage(rows: pl.DataFrame) -> tuple[Coverage, ...]:
    counts: list[tuple[str, int, int]] = []
    for arm in ("plan", "holdout"):
        part = rows.filter(pl.col("arm") == arm)
        counts.append((arm, part.height, part.height - part["converted"].null_count()))
    drawn, known = sum(c[1] for c in counts), sum(c[2] for c in counts)
    statistic = 0.0
    for _, of_arm, told in counts:
        for observed, share in ((told, known / max(drawn, 1)), (of_arm - told, 1 - known / max(drawn, 1))):
            expected = of_arm * share
            statistic += (observed - expected) ** 2 / expected if expected > 0 else 0.0
    probability = math.erfc(math.sqrt(statistic / 2))
    return tuple(Coverage(arm, of_arm, told, probability) for arm, of_arm, told in counts)


def _blocked(rows: pl.DataFrame) -> bool:
    return not bool(rows["converted"].any())


def _refusals(
    rows: pl.DataFrame, whole: pl.DataFrame, sent: NDArray[np.bool_], coverage: Sequence[Coverage]
) -> list[str]:
    found = []
    n_sent, n_held = int(sent.sum()), int((~sent).sum())
    if not (whole["arm"] == "holdout").any():
        found.append("nobody to whom the plan gave a coupon was held out by lot, so no effect can be told")
    elif n_held == 0:
        found.append(
            "the files tell nothing of who was held out, so no effect can be told: bring orders of everybody"
        )
    elif min(n_sent, n_held) < FEWEST:
        found.append(
            f"{n_sent:,} users who were sent something and {n_held:,} who were held out are too few for an "
            f"interval; {FEWEST} of each are the least"
        )
    if rows.height and _blocked(rows):
        most = 3 / max(n_sent, 1)
        found.append(
            f"nobody converted, sent something or not, so no effect can be told; of those sent something not "
            f"more than {most:.2%} would have, to be this unlucky"
        )
    probability = coverage[0].probability
    if n_held and probability < UNLIKELY:
        shares = " and ".join(f"{c.known / max(c.drawn, 1):.1%} of arm {c.arm}" for c in coverage)
        found.append(
            f"outcomes are known of {shares}: chance alone would not do that (probability "
            f"{probability:.1g}), so what is compared is not alike; find the missing outcomes before these "
            "figures are believed"
        )
    return found


def _parts(
    rows: pl.DataFrame, values: Array, sent: NDArray[np.bool_], groups: Sequence[str], level: float
) -> tuple[Part, ...]:
    from statistics import NormalDist

    z, parts = NormalDist().inv_cdf((1 + level) / 2), []
    for column in ("planned_coupon_id", "channel", *groups):
        labels = rows[column].cast(pl.String).fill_null("(missing)").to_numpy()
        kind = "coupon" if column == "planned_coupon_id" else column
        names = np.unique(labels.astype(np.str_)).tolist()
        found: list[tuple[str, int, int, float, float] | None] = []
        sizes = []
        for name in names:
            inside = labels == name
            n_sent, n_held = int((inside & sent).sum()), int((inside & ~sent).sum())
            sizes.append((n_sent, n_held))
            if min(n_sent, n_held) < FEWEST:
                found.append(None)
                continue
            one = effect(values[inside], sent[inside], level=level)
            found.append((name, n_sent, n_held, one.estimate, one.error))
        told = [one for one in found if one is not None and one[4] > 0]
        drawn_in: dict[str, tuple[float, float]] = {}
        if told:
            means, errors = shrunk(np.array([one[3] for one in told]), np.array([one[4] for one in told]))
            drawn_in = {one[0]: (float(m), float(e)) for one, m, e in zip(told, means, errors, strict=True)}
        for name, (n_sent, n_held), observed in zip(names, sizes, found, strict=True):
            if observed is None or name not in drawn_in:
                parts.append(Part(kind, name, n_sent, n_held, None, None, None, None))
                continue
            mean, error = drawn_in[name]
            low, high = mean - z * error, mean + z * error
            parts.append(Part(kind, name, n_sent, n_held, observed[3], mean, low, high))
    return tuple(parts)


def _promises(
    rows: pl.DataFrame, sent: NDArray[np.bool_], totals: Mapping[str, Interval], objective: str
) -> tuple[Promise, ...]:
    of_plan = rows.filter(pl.Series(sent, dtype=pl.Boolean))
    found: list[Promise] = []
    metric = OF_OBJECTIVE[objective]
    if metric in totals and not of_plan["promised_value"].null_count():
        real = totals[metric]
        promised = float(of_plan["promised_value"].sum())
        found.append(Promise("value", promised, real.estimate, real.low, real.high))
    for what, column, counted in (
        ("spend", "promised_cost", "discount"),
        ("redemptions", "promised_redemptions", "redeemed"),
    ):
        if of_plan.height and not of_plan[column].null_count() and not of_plan[counted].null_count():
            found.append(Promise(what, float(of_plan[column].sum()), float(of_plan[counted].sum())))
    return tuple(found)


def _rates(rows: pl.DataFrame, sent: NDArray[np.bool_]) -> dict[str, float]:
    of_plan = rows.filter(pl.Series(sent, dtype=pl.Boolean))
    told = {name: of_plan[name].drop_nulls() for name in RATES}
    return {name: float(column.sum()) / len(column) for name, column in told.items() if len(column)}


def _times(interval: Interval, n: int) -> Interval:
    return Interval(n * interval.estimate, n * interval.low, n * interval.high)


def _looks(parts: Sequence[Part], level: float) -> tuple[str, ...]:
    told = [part for part in parts if part.shrunk is not None]
    if len(told) < 2:
        return ()
    return (
        f"{len(told)} comparisons are told by coupon, channel and group: about "
        f"{(1 - level) * len(told):.1f} of them would seem sure by chance alone; shrunken figures allow for "
        "it, and none is a finding by itself",
    )


def _words(
    found: Effect | None,
    total: Interval | None,
    metric: str,
    currency: str,
    back: Interval | None,
    promises: Sequence[Promise],
    refused: Sequence[str],
    level: float,
) -> tuple[str, ...]:
    """Return three sentences: what it did, what it brought, and whether that is what was promised."""
    if found is None or total is None:
        first = f"What the send did cannot be told: {refused[0] if refused else 'no outcomes are known'}."
        return first, "No worth can be told without it.", "Nor can what was promised be checked."
    unit = "conversions" if metric == "conversion" else f"{currency} of {metric}"
    sure = "earned" if total.low > 0 else "lost" if total.high < 0 else "shows no sure effect, and earned"
    first = (
        f"The plan's coupons {sure} {total.estimate:,.4g} {unit} more than sending them nothing would have, "
        f"between {total.low:,.4g} and {total.high:,.4g} ({level:.0%} interval for one look; "
        f"{found.sent * found.anytime.low:,.4g} to {found.sent * found.anytime.high:,.4g} if you look daily)."
    )
    if refused:
        first = f"Do not rely on this yet: {refused[0]}. {first}"
    second = (
        f"That is {found.estimate:,.4g} a user who was sent one, on top of the {found.mean_held_out:,.4g} of "
        "those who were held out"
    )
    second += "; what came back for the discounts is not sure." if back is None else (
        f", and {back.estimate:,.3g} {currency} of margin for each {currency} of discount "
        f"({back.low:,.3g} to {back.high:,.3g})."
    )  # fmt: skip
    return first, second, _kept(promises)


def _kept(promises: Sequence[Promise]) -> str:
    value = next((one for one in promises if one.what == "value"), None)
    if value is None or value.low is None or value.high is None:
        return "What was promised of these coupons cannot be compared with what came."
    if value.promised > value.high:
        verdict = "more than came: the predictions promise too much"
    elif value.promised < value.low:
        verdict = "less than came: the predictions promise too little"
    else:
        verdict = "which is within what the outcomes allow"
    return f"Promised were {value.promised:,.4g}, {verdict}."
