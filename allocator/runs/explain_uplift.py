"""What drives the predicted uplift, for one user's decision and for all customers."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from allocator.errors import InputError, PluginError
from allocator.plugins import registry
from allocator.plugins.attribution import Attributions, Importance, importance, uplift_view
from allocator.plugins.protocols import AttributingPredictor, Predictor
from allocator.progress import Progress, no_progress
from allocator.runs.models import find_predictor

if TYPE_CHECKING:
    from allocator.campaign import Campaign
    from allocator.explain.user import Explanation

SAMPLE, SAMPLE_CROWD = 100, 16
"""Users whose uplift the importance of inputs is judged by, and customers each is compared with: fewer than
for one user, because 100 times 16 comparisons are many, and their errors mostly cancel."""
CROWD = 64
"""Customers that one user is compared with."""
NO_PREDICTOR = (
    "What drives the predicted uplift is not known here: the run was made from ready scores or predictions. "
    "Name the folder of `allocate train` they came from with --model."
)


def explain_uplift(
    explanation: Explanation,
    campaign: Campaign,
    run: Path,
    model: Path | None = None,
    progress: Progress = no_progress,
) -> Explanation:
    """Add what drives the uplift of the coupons that a decision is about, or why that is not known.

    Parameters
    ----------
    explanation
        Of `explain_user`.
    campaign, run
        The run that decided, and the campaign it was made from.
    model
        Folder of ``allocate train`` [default: the predictor that the run trained].
    """
    eligible = [view for view in explanation.coupons if view.eligible]
    about = [view.coupon_id for view in eligible if view.chosen] or [view.coupon_id for view in eligible[:1]]
    row = np.flatnonzero(campaign.user_ids == explanation.user_id)
    if not about:
        return explanation
    try:
        trained = find_predictor(run, campaign.config, model)
        if trained is None:
            return replace(explanation, uplift_note=NO_PREDICTOR)
        found = _attributions(*trained, campaign, row, CROWD, progress)
    except PluginError as error:
        return replace(explanation, uplift_note=f"What drives the predicted uplift is not known: {error}")
    views = tuple(uplift_view(found, explanation.user_id, coupon) for coupon in about)
    return replace(explanation, uplift=views)


def explain_importance(
    campaign: Campaign, folder: Path, model: Path | None = None, progress: Progress = no_progress
) -> tuple[str, tuple[Importance, ...]]:
    """Return the name of a predictor, and how much each of its inputs moves the uplift.

    Parameters
    ----------
    campaign
        Some of its users are what importance is judged by.
    folder, model
        A run, or a folder of ``allocate train``; `model` as in `explain_uplift`.

    Raises
    ------
    InputError
        If the run trained no predictor.
    PluginError
        If the predictor does not say what its uplift rests on.
    """
    trained = find_predictor(folder, campaign.config, model)
    if trained is None:
        raise InputError(NO_PREDICTOR)
    rng, users = np.random.default_rng([campaign.config.seed, 1]), campaign.users.height
    rows = np.sort(rng.choice(users, min(SAMPLE, users), replace=False)).astype(np.int64)
    return trained[1], importance(_attributions(*trained, campaign, rows, SAMPLE_CROWD, progress))


def _attributions(
    predictor: Predictor,
    name: str,
    campaign: Campaign,
    rows: NDArray[np.int64],
    crowd: int,
    progress: Progress,
) -> Attributions:
    if not isinstance(predictor, AttributingPredictor):
        raise PluginError(f"the predictor '{name}' does not say what its uplift rests on.")
    with registry.blamed(registry.PREDICTORS, name, progress) as report:
        found: Attributions = predictor.attribute(
            campaign, rows, seed=campaign.config.seed, compared_with=crowd, progress=report
        )
    shape = (len(rows), len(campaign.coupon_ids), len(found.inputs))
    if np.shape(found.effects) != shape or not np.isfinite(found.effects).all():
        raise PluginError(
            f"The predictor '{name}' returned bad 'effects': they must be {shape[0]:,} users x "
            f"{shape[1]:,} coupons x {shape[2]:,} inputs of finite numbers."
        )
    return found
