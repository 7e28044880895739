"""What a plugin must look like: predictors and copy writers, and what they give back.

A plugin package names its class under an entry-point group (`allocate.predictors.v1`,
`allocate.copywriters.v1`); `allocator` never imports one by module name.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol, Self, runtime_checkable

import numpy as np
from numpy.typing import NDArray

from allocator.plugins.attribution import Attributions as Attributions
from allocator.plugins.copy import ApprovedHook, Brief, Copy, Verdict
from allocator.plugins.evaluation import ArmEvaluation as ArmEvaluation
from allocator.plugins.evaluation import CandidateScore as CandidateScore
from allocator.plugins.evaluation import Evaluation as Evaluation
from allocator.plugins.predictions import Predictions
from allocator.progress import Progress, no_progress

if TYPE_CHECKING:
    from allocator.campaign import Campaign


@runtime_checkable
class Predictor(Protocol):
    """Estimates the effect of each coupon on each user (group `allocate.predictors.v1`).

    The class is called with the keys of the campaign's ``[predict.options]`` as keyword arguments.
    """

    def __init__(self, **options: Any) -> None: ...

    def fit(
        self, campaign: Campaign, *, seed: int, device: str = "auto", progress: Progress = no_progress
    ) -> Evaluation:
        """Train on ``campaign.history`` and report on held-out rows."""
        ...

    def predict(self, campaign: Campaign, *, progress: Progress = no_progress) -> Predictions:
        """Score every user against every active coupon of the campaign."""
        ...

    def save(self, folder: Path) -> None:
        """Write all that `load` needs into a folder that exists and is empty."""
        ...

    @classmethod
    def load(cls, folder: Path, *, device: str = "auto") -> Self:
        """Read a predictor that `save` wrote."""
        ...


@runtime_checkable
class PartwisePredictor(Predictor, Protocol):
    """A predictor that can also predict some users at a time, for campaigns of any size."""

    def predict_parts(self, campaign: Campaign, *, progress: Progress = no_progress) -> Iterator[Predictions]:
        """Predict as `predict` does, in parts of consecutive users, in the order of the campaign."""
        ...


@runtime_checkable
class AttributingPredictor(Predictor, Protocol):
    """A predictor that can also say what its uplift rests on."""

    def attribute(
        self,
        campaign: Campaign,
        users: NDArray[np.int64],
        *,
        seed: int,
        compared_with: int = 64,
        progress: Progress = no_progress,
    ) -> Attributions:
        """Divide the uplift of some users among what is known of them.

        Parameters
        ----------
        campaign
            As for `predict`.
        users
            Positions in ``campaign.users``, at least one.
        seed
            Of everything random.
        compared_with
            How many of the campaign's customers stand for the usual one; more are more exact and slower.
        progress
            Called often.
        """
        ...


@runtime_checkable
class Evaluator(Protocol):
    """Judges predictions and plans on past sends (group `allocate.evaluators.v1`)."""

    def evaluate(
        self,
        campaign: Campaign,
        source: Predictor | Predictions | None = None,
        *,
        rows: NDArray[np.bool_] | None = None,
        plans: Mapping[str, Mapping[str, str]] | None = None,
        by: Sequence[str] = (),
        progress: Progress = no_progress,
    ) -> Evaluation:
        """Compare with ``campaign.history``.

        Parameters
        ----------
        campaign
            With a history that holds treated and control rows.
        source
            A trained predictor, or ready predictions for all users and coupons of the rows. If None, the
            campaign's predictor is trained, and judged by users that it did not see.
        rows
            (n_history,) which rows to judge a given source on; all if None.
        plans
            For each name who gets which coupon: ``{user_id: coupon_id}``; all others get nothing.
        by
            Columns of users to show subgroups of.
        progress
            Called often.

        Raises
        ------
        InputError
            There is no history, or no control row, or no treated row.
        """
        ...


@runtime_checkable
class ResumablePredictor(Predictor, Protocol):
    """A predictor that can go on with a training that was cut short.

    `fit` keeps its state in the folder `checkpoint`, if it is not None; called again with the same
    campaign, options and folder, it ends with the model that it would have ended with.
    """

    checkpoint: Path | None


@runtime_checkable
class PreparedPredictor(Predictor, Protocol):
    """A predictor that can tell beforehand that it could not be trained, and what it would bring.

    Attributes
    ----------
    estimates_errors
        Whether its predictions bring `uplift_error`, which pessimistic plans need.
    """

    @property
    def estimates_errors(self) -> bool:
        """Whether predictions bring the standard error of uplift."""
        ...

    def prepare(self, campaign: Campaign, *, device: str = "auto") -> None:
        """Raise `InputError` with what `fit` would find wrong with history and device, without training."""
        ...


@runtime_checkable
class CopyWriter(Protocol):
    """Writes messages (group `allocate.copywriters.v1`).

    The class is called with the keys of the campaign's ``[copy.options]`` as keyword arguments.
    """

    def __init__(self, **options: Any) -> None: ...

    def write(self, briefs: Sequence[Brief], *, seed: int, progress: Progress = no_progress) -> list[Copy]:
        """Write one guarded message for each brief, in the order of the briefs."""
        ...


@runtime_checkable
class ReviewableCopyWriter(CopyWriter, Protocol):
    """A copy writer whose texts a person can edit (``allocate copy review``)."""

    def check(self, brief: Brief, hook: str) -> Copy | tuple[Verdict, ...]:
        """Return the message for `brief` that opens with `hook`, or what the guard finds wrong with it."""
        ...

    def measure(self, brief: Brief, parts: Mapping[str, str]) -> str:
        """Say how long a text is, as its channel counts."""
        ...


@runtime_checkable
class PreparedCopyWriter(CopyWriter, Protocol):
    """A copy writer that can tell beforehand that it could not write."""

    def prepare(self, languages: Sequence[str]) -> None:
        """Raise `PluginError` if what it needs to write any of `languages` is missing.

        Called before the work of a run begins, most of which comes before the copy.
        """
        ...


@runtime_checkable
class CheckingCopyWriter(CopyWriter, Protocol):
    """A copy writer that can tell beforehand which messages it could not write."""

    def check_briefs(self, briefs: Sequence[Brief]) -> None:
        """Raise `InputError` with everything for which `write` would refuse one of `briefs`.

        Called before a plan is made, with a brief for each coupon, channel and language that some user may
        get.
        """
        ...


@runtime_checkable
class TrainableCopyWriter(CopyWriter, Protocol):
    """A copy writer that can learn from hooks that a brand has approved."""

    def train(
        self,
        hooks: Sequence[ApprovedHook],
        folder: Path,
        *,
        epochs: int,
        rank: int,
        seed: int,
        skip_bad: bool = False,
        progress: Progress = no_progress,
    ) -> Mapping[str, Any]:
        """Write what was learned into `folder`, which exists and is empty; return a record of it.

        Parameters
        ----------
        hooks
            What to learn from.
        folder
            Its path then goes into the writer's options.
        epochs
            Times to go through the hooks, at most.
        rank
            How much can be learned.
        seed
            Of everything random.
        skip_bad
            Leave out hooks that may not be sent instead of raising `InputError` with all of them.
        progress
            Called often.
        """
        ...
