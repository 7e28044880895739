"""What `auto` chooses from, by name."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from functools import partial
from importlib.util import find_spec
from typing import Any

from allocator.errors import Finding, InputError
from predictors.learners.meta_learners import DRLearner, MetaLearner, SLearner, TLearner, XLearner
from predictors.options import unknown_name
from predictors.regressions.estimators import REGRESSIONS, Forest, LightGBM
from predictors.single_predictor import SinglePredictor

CONSTANT = "constant"
"""The candidate that gives every user the average effect of the coupon."""
LINEAR, NEURAL = ("s-logistic", "x-logistic"), "transformer"
BOOSTED = ("s", "t", "x")
"""Learners over boosted trees. The T-learner costs next to nothing beside the X-learner, which begins with
its models, and ranked better where effects interact or jump."""
SMALL_TREES = {"trees": 100, "leaves": 4, "learning_rate": 0.05}
"""A weak signal punishes size: few leaves rank better than the usual 31."""


def _learner(cls: type[MetaLearner], estimator: str, **options: Any) -> MetaLearner:
    small = {} if estimator == "logistic" else SMALL_TREES
    return cls(**{"estimator": estimator, **small, **options})


def _transformer(**options: Any) -> SinglePredictor:
    from predictors.transformer.predictor import TransformerPredictor

    return TransformerPredictor(**options)


CANDIDATES: Mapping[str, Callable[..., SinglePredictor]] = {
    "transformer": _transformer,
    **{
        f"{cls.name.removesuffix('-learner')}-{estimator}": partial(_learner, cls, estimator)
        for cls in (SLearner, TLearner, XLearner, DRLearner)
        for estimator in REGRESSIONS
    },
}


def default_candidates() -> tuple[str, ...]:
    """Return models that err differently: trees by LightGBM, or where it is not installed by scikit-learn."""
    estimator = LightGBM.name if find_spec("lightgbm") else Forest.name
    return (CONSTANT, *LINEAR, *(f"{learner}-{estimator}" for learner in BOOSTED), NEURAL)


def check_candidates(names: Any) -> tuple[str, ...]:
    """Return the names of candidates, the constant first.

    Raises
    ------
    InputError
        With every name that is unknown; or there is no list, or no model on it.
    """
    column = "predict.options.candidates"
    known = (CONSTANT, *CANDIDATES)
    if not isinstance(names, (list, tuple)) or not all(isinstance(name, str) for name in names):
        names = (str(names),)
    findings = [
        unknown_name(column, name, known, "unknown candidate", repr(name))
        for name in names
        if name not in known
    ]
    if not findings and not set(names) - {CONSTANT}:
        hint = "name at least one model to compare with the constant"
        findings.append(Finding(hint, file="campaign.toml", column=column, found=repr(list(names))))
    if findings:
        raise InputError(findings)
    models = dict.fromkeys(name for name in names if name != CONSTANT)
    return (CONSTANT, *models) if CONSTANT in names else tuple(models)


def create_candidate(name: str, options: Any) -> SinglePredictor:
    """Return an untrained candidate.

    Raises
    ------
    InputError
        An option is unknown, or has a wrong type or value.
    """
    column = f"predict.options.{name}"
    if not isinstance(options, Mapping):
        hint = f"the options of a candidate are a table: [{column}]"
        raise InputError(Finding(hint, file="campaign.toml", column=column, found=repr(options)))
    try:
        return CANDIDATES[name](**options)
    except InputError as error:
        places = ((finding.column or "").replace("predict.options", column) for finding in error.findings)
        findings = zip(error.findings, places, strict=True)
        raise InputError([replace(finding, column=place or None) for finding, place in findings]) from error
