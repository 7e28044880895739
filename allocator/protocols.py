"""What a plugin must look like: predictors and copy writers, and what they give back.

A plugin package names its class under an entry-point group (`allocate.predictors.v1`,
`allocate.copywriters.v1`); `allocator` never imports one by module name.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol, Self, runtime_checkable

import numpy as np
from numpy.typing import NDArray

from allocator.attribution import Attributions as Attributions
from allocator.evaluation import ArmEvaluation as ArmEvaluation
from allocator.evaluation import CandidateScore as CandidateScore
from allocator.evaluation import Evaluation as Evaluation

if TYPE_CHECKING:
    from allocator.campaign import Campaign

Progress = Callable[[str, int, int], None]
"""`progress(step, done, total)`: called often; `total` is 0 while unknown. May raise to cancel."""


def no_progress(step: str, done: int, total: int) -> None:
    """Ignore progress."""


@dataclass(frozen=True)
class Predictions:
    """What each coupon is expected to do to each user.

    Rows follow `user_ids`, columns follow `coupon_ids`; every array is (n_users, n_coupons) float. What is
    None is not known. A basket is what the customer's order is worth before the coupon's discount.

    Parameters
    ----------
    user_ids, coupon_ids
        The labels of rows and columns.
    conversion
        Probability of a conversion if nothing is sent.
    uplift
        Change of that probability if the coupon is sent.
    redemption
        Probability that the coupon is redeemed if it is sent.
    revenue
        Expected basket of a conversion if the coupon is sent, in the campaign's currency.
    expected_cost
        Expected discount given away if the coupon is sent, in currency; without sending cost.
    uplift_error
        Standard error of `uplift`.
    baseline_revenue
        Expected basket of a conversion if nothing is sent; taken as `revenue` if None.
    cost_variance
        Variance of the discount given away, in currency squared; if None, what `redemption` and
        `expected_cost` say of it, as if every redeemed coupon of a pair took off the same.
    notes
        Sentences a planner should read before using the numbers.
    """

    user_ids: NDArray[np.str_]
    coupon_ids: NDArray[np.str_]
    conversion: NDArray[np.float64]
    uplift: NDArray[np.float64]
    redemption: NDArray[np.float64]
    revenue: NDArray[np.float64]
    expected_cost: NDArray[np.float64]
    uplift_error: NDArray[np.float64] | None = None
    baseline_revenue: NDArray[np.float64] | None = None
    cost_variance: NDArray[np.float64] | None = None
    notes: tuple[str, ...] = ()

    @classmethod
    def join(cls, parts: Sequence[Predictions]) -> Predictions:
        """Return the predictions of consecutive users, of at least one part, as one."""
        joined: dict[str, Any] = {}
        for entry in fields(cls):
            values = [getattr(part, entry.name) for part in parts]
            if entry.name == "notes":
                joined[entry.name] = tuple(note for notes in values for note in notes)
            elif entry.name == "coupon_ids" or values[0] is None:
                joined[entry.name] = values[0]
            else:
                joined[entry.name] = np.concatenate(values)
        return cls(**joined)


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


@dataclass(frozen=True)
class Offer:
    """The facts of one coupon, typed: the only facts a message may state.

    `kind` is ``percent`` (value 15 = 15 %), ``amount`` (in `currency`) or ``free_shipping``.
    Empty optional fields are None. Dates are ISO ``YYYY-MM-DD``.
    """

    coupon_id: str
    kind: str
    value: float
    currency: str
    code: str | None = None
    max_discount: float | None = None
    min_spend: float | None = None
    starts_at: str | None = None
    ends_at: str | None = None
    category: str | None = None
    description: str | None = None


@dataclass(frozen=True)
class Brief:
    """One message to write: an offer for an audience, on a channel, in a language.

    Parameters
    ----------
    offer
        The facts.
    segment
        Label of the audience segment ("everyone" where users are not segmented).
    channel
        ``sms``, ``push``, ``email`` or ``in_app``.
    language
        ``en`` or ``zh``.
    brand, tone
        From the campaign's ``[copy]`` table.
    audience
        How many users will get it.
    variant
        ``A``, ``B``, ... : texts of one message that are tried against each other.
    locale
        BCP-47 tag such as ``en-GB``, which sets how numbers and dates are written and whose rules hold;
        empty where language and currency say all that is known.
    opt_out
        How to stop further messages, in place of the usual notice for channel, language and country.
    approved
        Hooks that a person approved for this message, the first to be used.
    banned
        Hooks that no message may carry, in lower case.
    private
        Words from customers' rows that no hook may hold, such as names.
    """

    offer: Offer
    segment: str
    channel: str
    language: str
    brand: str
    tone: str
    audience: int = 0
    variant: str = "A"
    locale: str = ""
    opt_out: str = ""
    approved: tuple[str, ...] = ()
    banned: frozenset[str] = field(default=frozenset(), repr=False)
    private: frozenset[str] = field(default=frozenset(), repr=False)


@dataclass(frozen=True)
class Verdict:
    """One finding of the guard: the rule that was broken, and what in the text broke it."""

    rule: str
    detail: str


@dataclass(frozen=True)
class Copy:
    """A finished message for one brief.

    Parameters
    ----------
    brief
        What was asked for.
    parts
        The text by part: ``body`` always; ``title`` for push and in-app; ``subject`` and
        ``preheader`` for e-mail.
    written_by
        Who wrote the hook: ``model``, ``model (rewritten)``, ``bank, chosen by the model``,
        ``approved hook`` (a line of the bank, or one that a person approved), or ``template`` (none).
    attempts
        How many texts were tried before this one, this one included.
    rejected
        Verdicts on the texts that were not used.
    hook
        The sentence before the facts; empty where there is none.
    cell
        Digest of all that the hook depends on; messages of one cell share their hook.
    backend, model, prompt
        Who was asked: ``local``, ``http`` or ``template``; the model's name or folder and digest; the
        digest of what it was asked. Empty where no model was asked.
    seed
        Of the cell's random draws; None where nothing was drawn.
    scores
        Of the hook, by name: ``likelihood`` (mean log-probability of a token), ``relevance`` (cosine).
    note
        What a reader of the record should know, such as that the model cannot write this language.
    """

    brief: Brief
    parts: Mapping[str, str]
    written_by: str
    attempts: int = 1
    rejected: tuple[Verdict, ...] = ()
    hook: str = ""
    cell: str = ""
    backend: str = ""
    model: str = ""
    prompt: str = ""
    seed: int | None = None
    scores: Mapping[str, float] = field(default_factory=dict)
    note: str = ""


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


@dataclass(frozen=True)
class ApprovedHook:
    """A hook that a person approved, for a copy writer to learn from.

    Parameters
    ----------
    hook
        The sentence.
    category, persona, tone
        What and whom it is for, in the words that coupons, segments and ``[copy]`` use.
    language
        ``en`` or ``zh``.
    channel
        As in `Brief`.
    file, row
        Where it stands, for messages about it.
    """

    hook: str
    category: str | None = None
    persona: str = "everyone"
    tone: str = "warm"
    language: str = "en"
    channel: str = "sms"
    file: str = ""
    row: int | None = None


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
