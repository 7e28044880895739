"""The evaluator behind `allocate evaluate`: all that past sends say about predictions and plans."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np
import polars as pl
from numpy.typing import NDArray

from allocator.plugins import registry
from allocator.plugins.evaluation import Curve, Evaluation, OutcomeUplift, Power
from allocator.plugins.predictions import Predictions
from allocator.plugins.protocols import Predictor
from allocator.progress import Progress, no_progress
from predictors.evaluation.cost_curve import cost_curve
from predictors.evaluation.counterfactual import Counterfactual, counterfactual
from predictors.evaluation.curves import auuc, qini, qini_curve, uplift_curve
from predictors.evaluation.findings import find_doubts
from predictors.evaluation.goal import Goal
from predictors.evaluation.outcomes import outcome_uplifts
from predictors.evaluation.overlap import arm_overlap, balance
from predictors.evaluation.plan_comparison import UNKNOWN, best_coupon, compare_plans
from predictors.evaluation.power import power
from predictors.evaluation.report import evaluate
from predictors.evaluation.send_scores import SendScores, ready_scores, score_sends
from predictors.evaluation.stack import Stack, join, stacks
from predictors.evaluation.subgroups import subgroups
from predictors.evaluation.value_curve import value_curve
from predictors.evaluation.verdicts import find_verdicts
from predictors.history.doubly_robust import FOLDS
from predictors.history.history import History, read_history, split_users
from predictors.history.training_data import TrainingData
from predictors.history_predictor import HistoryPredictor, encode_history

if TYPE_CHECKING:
    from allocator.campaign import Campaign

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]
Bools = NDArray[np.bool_]

HELD_OUT = 0.3
"""Share of the users that a predictor which says nothing of its own held-out rows is judged on."""
POINTS = 100
BY_UPLIFT, BY_VALUE = "highest predicted uplift", "highest predicted value"


@dataclass(frozen=True)
class Said:
    """What was predicted of some rows of the history, how many others it was learnt from, and its report."""

    data: TrainingData
    scores: SendScores
    rows_train: int = 0
    report: Evaluation | None = None


class HistoryEvaluator:
    """Compares predictions and plans with the campaign's past sends."""

    def evaluate(
        self,
        campaign: Campaign,
        source: Predictor | Predictions | None = None,
        *,
        rows: Bools | None = None,
        plans: Mapping[str, Mapping[str, str]] | None = None,
        by: Sequence[str] = (),
        progress: Progress = no_progress,
    ) -> Evaluation:
        """Judge a predictor, ready predictions and plans; see `allocator.plugins.protocols.Evaluator`."""
        said = _train(campaign, progress) if source is None else _ask(source, campaign, rows, progress)
        history = said.data.history
        progress("compare", 0, FOLDS + 2)
        steps = iter(range(1, FOLDS + 1))
        facts = counterfactual(
            said.data, _spent(campaign, history), lambda: progress("compare", next(steps), FOLDS + 2)
        )
        report = said.report or evaluate(
            history,
            said.scores.scores(),
            predictor=campaign.config.predict.predictor,
            rows_train=said.rows_train,
            seed=campaign.config.seed,
            propensity=facts.propensity,
        )
        progress("compare", FOLDS + 1, FOLDS + 2)
        found = stacks(history, said.scores.uplift, facts.propensity)
        if not found:
            return report
        whole = join(list(found.values()))
        users, goal = campaign.users[history.user], Goal.of(campaign, history)
        fees = _fees(campaign, history.coupons)
        policies = compare_plans(facts, goal, _plans(campaign, history, said.scores, goal, fees, plans or {}))
        full = replace(
            report,
            curves=(*_ranking_curves(whole), *_value_curves(facts, said.scores, goal, fees)),
            policies=policies,
            stakes=goal.stakes,
            verdicts=find_verdicts(policies, goal.stakes),
            outcomes=_outcomes(campaign, history, found),
            subgroups=subgroups(whole, users[whole.row].select(by)),
            overlap=arm_overlap(history, facts.propensity),
            balance=balance(users, history.treated, facts.propensity.weight * facts.usable[:, -1]),
            power=_powers(history, found),
        )
        progress("compare", FOLDS + 2, FOLDS + 2)
        return replace(full, notes=(*full.notes, *find_doubts(full, facts)))


def _train(campaign: Campaign, progress: Progress) -> Said:
    """Train the campaign's predictor; judge it on users that it did not see."""
    settings, seed = campaign.config.predict, campaign.config.seed
    predictor = registry.create(registry.PREDICTORS, settings.predictor, settings.options)
    with registry.blamed(registry.PREDICTORS, settings.predictor, progress) as report:
        if isinstance(predictor, HistoryPredictor):
            judged = predictor.fit_and_judge(campaign, seed=seed, device=settings.device, progress=report)
            names = judged.data.history.coupons["coupon_id"].to_list()
            scores = SendScores.of(judged.predictions, np.arange(len(judged.data)), names)
            return Said(judged.data, scores, judged.evaluation.rows_train, judged.evaluation)
        history = read_history(campaign)
        learn, test = split_users(history, HELD_OUT, np.random.default_rng(seed))
        assert campaign.history is not None
        seen = replace(campaign, history=campaign.history[history.row[learn]])
        predictor.fit(seen, seed=seed, device=settings.device, progress=report)
        held_out = history.take(test)
        data = encode_history(campaign, held_out, np.arange(len(test)), 0, seed)
        return Said(data, score_sends(predictor, campaign, held_out, report), len(learn))


def _ask(source: Predictor | Predictions, campaign: Campaign, rows: Bools | None, progress: Progress) -> Said:
    """Judge what is there already, on some rows of the history."""
    history = read_history(campaign)
    if rows is not None:
        history = history.take(np.flatnonzero(rows[history.row]))
    everyone = np.arange(len(history))
    data = encode_history(campaign, history, everyone, 0, campaign.config.seed, progress)
    if isinstance(source, Predictions):
        return Said(data, ready_scores(source, campaign, history))
    return Said(data, score_sends(source, campaign, history, progress))


def _spent(campaign: Campaign, history: History) -> Floats:
    """Return what each row's coupon cost: the discount, and sending it, in currency."""
    assert campaign.history is not None
    discount = campaign.history["discount"].fill_null(0.0).to_numpy()[history.row]
    fees = _fees(campaign, history.coupons)[np.maximum(history.coupon, 0)]
    return np.where(history.treated, discount + fees, 0.0)


def _fees(campaign: Campaign, coupons: pl.DataFrame) -> Floats:
    """Return the sending cost of each coupon that names its channel, (c,)."""
    fees = {str(channel): fee for channel, fee in campaign.config.sending_cost.items()}
    return np.array([fees.get(channel or "", 0.0) for channel in coupons["channel"]])


def _ranking_curves(rows: Stack) -> tuple[Curve, Curve]:
    """Return Qini and uplift curve in conversions a head of those targeted at the end."""
    columns = (rows.outcome, rows.treated, rows.uplift, rows.weight)
    heads = {"qini": rows.weight[rows.treated].sum(), "uplift": rows.weight.sum()}
    found = []
    for name, curve, area in (("qini", qini_curve, qini), ("uplift", uplift_curve, auuc)):
        x, y = curve(*columns)
        kept = np.unique(np.searchsorted(x, np.linspace(0, x[-1], POINTS + 1)))
        y = y[kept] / heads[name]
        found.append(Curve(name, "conversions", tuple(x[kept].tolist()), tuple(y.tolist()), area(*columns)))
    return found[0], found[1]


def _value_curves(facts: Counterfactual, said: SendScores, goal: Goal, fees: Floats) -> Iterator[Curve]:
    """Yield the cost curve and, where costs can be taken off, the value curve."""
    usable, unit = facts.usable[:, :-1] & facts.usable[:, -1:], goal.stakes.unit
    scores = facts.scores(goal.earned(facts), goal.expected(facts))
    gain, spend = scores[:, :-1] - scores[:, -1:], facts.scores(facts.spent, facts.spend)
    predicted = np.where(usable, goal.predicted(said), -np.inf)
    yield cost_curve(predicted, said.cost + fees, gain, spend[:, :-1], unit=unit, user=facts.history.user)
    if goal.in_currency:
        kept = np.where(usable, goal.predicted_kept(said, fees), -np.inf)
        yield value_curve(kept, gain - (spend[:, :-1] - spend[:, -1:]), unit=unit)


def _plans(
    campaign: Campaign,
    history: History,
    said: SendScores,
    goal: Goal,
    fees: Floats,
    plans: Mapping[str, Mapping[str, str]],
) -> dict[str, Ints]:
    """Return each plan as the coupon of each row's user, (n,)."""
    place = {name: position for position, name in enumerate(history.coupons["coupon_id"])}
    users = campaign.users["user_id"].to_list()
    found = {BY_UPLIFT: best_coupon(said.uplift)}
    if goal.in_currency:
        found[BY_VALUE] = best_coupon(goal.predicted_kept(said, fees))
    for label, plan in plans.items():
        coupons = [plan.get(users[user]) for user in history.user]
        found[label] = np.array([-1 if name is None else place.get(name, UNKNOWN) for name in coupons])
    return found


def _outcomes(campaign: Campaign, history: History, found: Mapping[int, Stack]) -> tuple[OutcomeUplift, ...]:
    assert campaign.history is not None
    names = history.coupons["coupon_id"].to_list()
    return outcome_uplifts(found, campaign.history[history.row], names, campaign.config.currency)


def _powers(history: History, found: Mapping[int, Stack]) -> tuple[Power, ...]:
    names = history.coupons["coupon_id"].to_list()
    powers = []
    for coupon, rows in found.items():
        rate = float(np.average(rows.outcome[~rows.treated], weights=rows.weight[~rows.treated]))
        treated = int(rows.treated.sum())
        powers.append(power(names[coupon], rate, rows.observed().value, treated, len(rows) - treated))
    return tuple(powers)
