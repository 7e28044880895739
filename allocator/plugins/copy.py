"""What passes between a campaign and a copy writer: briefs, finished messages, and what a guard finds."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field


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
