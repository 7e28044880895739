"""A campaign's experiment: who falls into which arm, and what to know of it before and after the plan."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import replace
from statistics import NormalDist
from typing import Any

import numpy as np
import polars as pl

from allocator.campaign.campaign import Campaign
from allocator.campaign.config import FILE
from allocator.campaign.task import Task
from allocator.errors import Finding, InputError
from allocator.experiment.arms import HOLDOUT, NAMES
from allocator.experiment.draw import Draw, draw_arms
from allocator.experiment.randomise import Randomised, may_be_sent, room_for
from allocator.wording import counted

LEVEL, POWER = 0.95, 0.8
FEWEST = 30
"""Users of an arm below which a normal approximation says little."""
ARM_COLUMNS = ("wave", "arm", "propensity", "planned_coupon_id")
BY_LOT = "held out by lot, to be compared with (arm holdout)"


def experiment_caution(campaign: Campaign) -> tuple[str, ...]:
    """Return, for pages that know no chance, that chance decides for some users of a campaign."""
    table = campaign.config.experiment
    if table is None or not decides_by_lot(campaign):
        return ()
    return (
        f"figures here are of plans before chance decides: [experiment] then holds {table.holdout:.4g} of "
        f"the users out, lets {table.explore:.4g} explore, and sets room aside for that in every limit; "
        "`allocate solve` says what it costs",
    )


def decides_by_lot(campaign: Campaign) -> bool:
    """Return whether chance decides for some users of a campaign."""
    table = campaign.config.experiment
    return table is not None and table.shares(0).decides


def draw_of(campaign: Campaign, task: Task) -> Draw | None:
    """Draw the arms of a campaign's wave; None where chance decides nothing.

    Raises
    ------
    InputError
        If a column cannot tell units or strata apart, or limits leave no room for what exploring uses.
    """
    table = campaign.config.experiment
    if table is None or not decides_by_lot(campaign):
        return None
    labels, findings = campaign.labels, []
    if table.unit != "user_id":
        findings.append(labels.missing("experiment.unit", table.unit))
    findings += [labels.apart("experiment.strata", column) for column in table.strata]
    if campaign.config.objective.fairness is not None:
        message = "a fair objective cannot be combined with [experiment]; use limits such as parity instead"
        findings.append(Finding(message, FILE, column="objective.fairness"))
    if wrong := [finding for finding in findings if finding is not None]:
        raise InputError(wrong)
    units = None if table.unit == "user_id" else labels.text(table.unit).fill_null("").to_numpy()
    strata = [labels.text(column).fill_null("").to_numpy() for column in table.strata]
    try:
        allowed = may_be_sent(task.problem, task.limits)
        draw = draw_arms(task.problem, allowed, table.shares(campaign.config.seed), units, strata)
        room_for(task.problem, task.limits, draw).bounds()
    except InputError as error:
        raise placed(error) from error
    return draw


def placed(error: InputError) -> InputError:
    """Say of what is wrong with an experiment where it stands in campaign.toml."""
    ours = ("holdout", "explore", "strata")
    return InputError(
        [
            replace(finding, file=FILE, column=f"experiment.{finding.column}")
            if finding.file is None and finding.column in ours
            else finding
            for finding in error.findings
        ]
    )


def arm_table(campaign: Campaign, found: Randomised) -> pl.DataFrame:
    """Return a row each user who gets something or was held out: ``user_id``, what `ARM_COLUMNS` name."""
    problem, arms = found.sent.problem, found.arms
    users = np.flatnonzero((found.sent.choice >= 0) | (arms == HOLDOUT))
    plan = found.plan.choice[users]
    coupons = pl.Series(problem.coupon_ids.tolist(), dtype=pl.String)
    planned = coupons.gather(np.maximum(plan, 0).astype(np.int64))
    assert campaign.config.experiment is not None
    return pl.DataFrame(
        {
            "user_id": problem.ids_of(users).tolist(),
            "wave": campaign.config.experiment.wave,
            "arm": pl.Series(NAMES).gather(arms[users].astype(np.int64)),
            "propensity": found.propensity[users],
            "planned_coupon_id": planned,
        },
        schema_overrides={"user_id": pl.String},
    ).with_columns(pl.when(pl.Series(plan >= 0)).then(pl.col("planned_coupon_id")).alias("planned_coupon_id"))


def with_arms(table: pl.DataFrame, arms: pl.DataFrame) -> pl.DataFrame:
    """Return a table of who gets what with the columns of arms, and a row each user held out, in their order.

    Parameters
    ----------
    table
        ``user_id`` and other columns, a row each user who gets something.
    arms
        As of `arm_table`.
    """
    columns = ["user_id", *ARM_COLUMNS]
    if table.is_empty():
        table = table.with_columns(pl.col("user_id").cast(pl.String))
    joined = arms.select(columns).join(table, on="user_id", how="left", maintain_order="left")
    return joined.select(*table.columns, *ARM_COLUMNS)


def experiment_document(campaign: Campaign, task: Task, found: Randomised) -> dict[str, Any]:
    """Return what an experiment costs and what it buys, for the summary."""
    table = campaign.config.experiment
    assert table is not None
    arms, sent, held = found.arms, *found.compared
    planned = float(_values(task, found.plan.choice).sum())
    base = _base_rate(campaign)
    needed = NormalDist().inv_cdf((1 + LEVEL) / 2) + NormalDist().inv_cdf(POWER)
    per_user = needed * math.sqrt(1 / sent + 1 / held) if sent and held else None
    document = {
        "wave": table.wave,
        "holdout": table.holdout,
        "explore": table.explore,
        "unit": table.unit,
        "strata": list(table.strata),
        "waves_to_come": table.waves_to_come,
        "arms": {name: int((arms == code).sum()) for code, name in enumerate(NAMES)},
        "plan": {"objective": found.plan.objective, "bound": found.plan.bound, "gap": found.plan.gap},
        "expected_value": found.value,
        "explored_value": found.explored,
        "forgone_by_holdout": table.holdout * planned,
        "forgone_by_exploring": table.explore * planned - found.explored,
        "cost_at_most": found.cost,
        "compared": {"sent": sent, "held_out": held},
        "visible": {
            "level": LEVEL,
            "power": POWER,
            "standard_deviations": per_user,
            "base_rate": base,
            "conversion": None
            if base is None or per_user is None
            else per_user * math.sqrt(base * (1 - base)),
        },
        "fairness_counts_holdout": True,
    }
    return {**document, "words": _words(campaign, document, found)}


def _values(task: Task, choice: np.ndarray[Any, np.dtype[np.int16]]) -> np.ndarray[Any, Any]:
    users = np.flatnonzero(choice >= 0)
    return np.asarray(task.problem.value[users, choice[users]], np.float64)


def _base_rate(campaign: Campaign) -> float | None:
    """Return how many past sends of nothing ended in a conversion; None where no history says it."""
    history = campaign.history
    if history is None:
        return None
    control = history.filter(~pl.col("treated"))["converted"].cast(pl.Float64).drop_nulls()
    rate = control.mean() if len(control) >= FEWEST else None
    return float(rate) if isinstance(rate, float) and 0 < rate < 1 else None


def _words(campaign: Campaign, document: dict[str, Any], found: Randomised) -> list[str]:
    arms, visible = document["arms"], document["visible"]
    money = campaign.config.objective.maximize != "incremental_conversions"
    unit = campaign.config.currency if money else "conversions"
    cost, best = document["cost_at_most"], found.sent.bound
    share = f" ({cost / best:.2%} of what the best plan without it is worth)" if best > 0 else ""
    words = [
        _decided(arms),
        f"Randomising costs at most {cost:,.2f} {unit} of expected value{share}.",
    ]
    sent, held = document["compared"]["sent"], document["compared"]["held_out"]
    if not campaign.config.experiment or not campaign.config.experiment.holdout:
        words.append("It buys outcomes of coupons that the plan would not have tried, but no control group.")
    elif visible["standard_deviations"] is None:
        words.append(
            "It buys no comparison: among those to whom the plan gives a coupon one arm is empty; "
            "make the shares larger."
        )
    else:
        words.append(_bought(sent, held, visible, document["unit"]))
    if (waves := document["waves_to_come"]) is not None and best > 0:
        words.append(
            f"It pays for itself if what is learnt makes each of {counted(waves, 'wave')} to come "
            f"{cost / waves / best:.2%} better."
        )
    words.append(
        "Every limit holds for what is sent, exploring included; limits of fairness count who is held out as "
        "users who get nothing."
    )
    return words


def _decided(arms: Mapping[str, int]) -> str:
    return (
        f"Chance decides for {counted(arms['explore'] + arms['holdout'], 'user')} (held out: "
        f"{arms['holdout']:,}, exploring: {arms['explore']:,}); the plan decides for {arms['plan']:,}."
    )


def in_words(draw: Draw) -> str:
    """Say for how many users chance decides."""
    arms = draw.arms()
    return _decided({name: int((arms == code).sum()) for code, name in enumerate(NAMES)})


def _bought(sent: int, held: int, visible: dict[str, Any], unit: str) -> str:
    text = (
        f"It buys a comparison of {counted(sent, 'user')} who got the plan's coupon with {held:,} who were "
        f"held out: in {POWER:.0%} of cases it shows, at the {LEVEL:.0%} level, "
    )
    if visible["conversion"] is None:
        text += f"a difference of {visible['standard_deviations']:.2g} standard deviations of an outcome"
    else:
        text += (
            f"a lift of {100 * visible['conversion']:.3g} percentage points of conversion (past sends of "
            f"nothing converted at {visible['base_rate']:.2%})"
        )
    if unit != "user_id":
        text += f", or somewhat more, as users with one {unit} are not independent"
    return text + (f"; with fewer than {FEWEST} held out that is rough." if held < FEWEST else ".")
