"""Assignments -> briefs to write, and written copy -> one message for each user."""

from __future__ import annotations

from collections.abc import Sequence
from hashlib import blake2b
from string import ascii_uppercase
from typing import Any

import numpy as np
import polars as pl
from numpy.typing import NDArray

from allocator.campaign.campaign import Campaign
from allocator.campaign.copy_decisions import KEY, reviewed
from allocator.campaign.experimenting import with_arms
from allocator.campaign.languages import best_tag, language_of
from allocator.campaign.private import private_words
from allocator.campaign.schema import CHANNELS
from allocator.campaign.scores import Places
from allocator.campaign.task import Task
from allocator.errors import Finding, InputError, PluginError
from allocator.plugins.copy import Brief, Copy, Offer

PARTS = ("subject", "preheader", "title", "body")
SCORES = ("likelihood", "relevance")
COLUMNS = {
    "cell": pl.String, **dict.fromkeys(KEY, pl.String), "audience": pl.Int64, "written_by": pl.String,
    "backend": pl.String, "model": pl.String, "prompt": pl.String, "seed": pl.Int64, "attempts": pl.Int64,
    **dict.fromkeys(SCORES, pl.Float64), **dict.fromkeys(PARTS, pl.String),
    "hook": pl.String, "note": pl.String, "rejected": pl.String,
}  # fmt: skip
EVERYONE = "everyone"


def recipients(campaign: Campaign, task: Task, assignments: pl.DataFrame) -> pl.DataFrame:
    """Return one row an assignment: ``user_id`` and the key of its message."""
    users = _positions(campaign.users["user_id"], assignments["user_id"])
    coupons = _positions(campaign.active_coupons["coupon_id"], assignments["coupon_id"])
    table = campaign.config.copy_
    segment: pl.Series | pl.Expr = pl.lit(EVERYONE)
    if table.segment_by is not None:
        grouping = task.problem.groups[table.segment_by]  # so that messages and report name a segment alike
        segment = pl.Series(grouping.labels, dtype=pl.String).gather(grouping.codes[users].astype("int64"))
    frame = pl.DataFrame({"user_id": assignments["user_id"], "coupon_id": assignments["coupon_id"]})
    frame = frame.with_columns(
        segment=segment,
        channel=pl.Series(CHANNELS).gather(task.eligibility.channel[users, coupons].astype("int64")),
        language=_languages(campaign.users["locale"], table.languages).gather(users),
    )
    return with_variants(frame, table.variants, campaign.config.seed)


def with_variants(frame: pl.DataFrame, variants: int, seed: int) -> pl.DataFrame:
    """Give every recipient of a message one of its variants: by lot, and as evenly as can be.

    The lot is a digest of seed, coupon and user; who else gets a message moves a user only as far as
    evenness needs.
    """
    if variants == 1:
        return frame.with_columns(variant=pl.lit("A"))
    key = seed.to_bytes(8, "big")
    pairs = zip(frame["coupon_id"].to_list(), frame["user_id"].to_list(), strict=True)
    lots = b"".join(blake2b(f"{c}\0{u}".encode(), key=key, digest_size=8).digest() for c, u in pairs)
    place = pl.struct("lot", "user_id").rank("ordinal").over("coupon_id", "segment", "channel", "language")
    letters = pl.Series(list(ascii_uppercase[:variants]))
    places = frame.with_columns(lot=np.frombuffer(lots, "<u8")).select(place - 1).to_series()
    return frame.with_columns(variant=letters.gather(places % variants))


def briefs(campaign: Campaign, sent: pl.DataFrame) -> list[Brief]:
    """Return one brief for each message that some user will get, in a stable order."""
    table = campaign.config.copy_
    offers = {
        row["coupon_id"]: _offer(row, campaign.config.currency)
        for row in campaign.coupons.iter_rows(named=True)
    }
    private, decided = private_words(campaign), reviewed(campaign.reviewed)
    audience = sent.group_by(KEY).len().sort(KEY)
    return [
        Brief(
            offers[coupon],
            segment,
            channel,
            language_of(tag),
            table.brand or campaign.config.name,
            table.tone,
            audience=count,
            variant=variant,
            locale=tag,
            opt_out=table.notice(tag),
            approved=decided.approved.get((coupon, segment, channel, tag, variant), ()),
            banned=decided.banned,
            private=private,
        )
        for coupon, segment, channel, tag, variant, count in audience.iter_rows()
    ]


def possible_briefs(campaign: Campaign, task: Task) -> list[Brief]:
    """Return a brief for each coupon, channel and language that some user may get, whatever the plan.

    What a message states depends on nothing else; all of them are to everyone, in their first variant.
    """
    tags = campaign.config.copy_.languages
    of_user = _languages(campaign.users["locale"], tags).cast(pl.Enum(tags)).to_physical().to_numpy()
    eligible, rows = task.problem.eligible(), []
    for coupon, channel, may in zip(
        task.problem.coupon_ids.tolist(), task.eligibility.channel.T, eligible.T, strict=True
    ):
        both = channel[may].astype(np.int64) * len(tags) + of_user[may]
        found = [divmod(int(code), len(tags)) for code in np.flatnonzero(np.bincount(both))]
        rows += [(coupon, EVERYONE, CHANNELS[code], tags[tag], "A") for code, tag in found]
    return briefs(campaign, pl.DataFrame(rows, schema=dict.fromkeys(KEY, pl.String), orient="row"))


def key_of(brief: Brief) -> tuple[str, ...]:
    """Return the key of a brief's message, as in the columns `KEY`."""
    return (
        brief.offer.coupon_id,
        brief.segment,
        brief.channel,
        brief.locale or brief.language,
        brief.variant,
    )


def copy_table(copies: Sequence[Copy], asked: Sequence[Brief], writer: str) -> pl.DataFrame:
    """Return one row a message text: its key, its parts, and how it came about.

    Raises
    ------
    PluginError
        If the writer did not answer every brief in order.
    """
    if [copy.brief for copy in copies] != list(asked):
        raise PluginError(f"The copy writer '{writer}' returned other messages than it was asked for.")
    return pl.DataFrame([copy_row(copy) for copy in copies], schema=COLUMNS)


def copy_row(copy: Copy) -> dict[str, Any]:
    """Return the row of a text in ``copy.csv``."""
    return {
        "cell": copy.cell or None,
        **dict(zip(KEY, key_of(copy.brief), strict=True)),
        "audience": copy.brief.audience,
        "written_by": copy.written_by,
        "backend": copy.backend or None,
        "model": copy.model or None,
        "prompt": copy.prompt or None,
        "seed": copy.seed,
        "attempts": copy.attempts,
        **{name: copy.scores.get(name) for name in SCORES},
        **{part: copy.parts.get(part) for part in PARTS},
        "hook": copy.hook or None,
        "note": copy.note or None,
        "rejected": "; ".join(sorted({f"{v.rule}: {v.detail}" for v in copy.rejected})) or None,
    }


def message_table(sent: pl.DataFrame, texts: pl.DataFrame, arms: pl.DataFrame | None = None) -> pl.DataFrame:
    """Return one row a message: the user, the key, and the text.

    With `arms`, as of `arm_table`, who was held out has a row without a message.
    """
    messages = sent.join(texts.select(*KEY, *PARTS), on=KEY, how="left", maintain_order="left")
    return messages if arms is None else with_arms(messages, arms)


def _positions(labels: pl.Series, wanted: pl.Series) -> NDArray[np.int64]:
    """Return the row of each wanted label, (n,) int64."""
    found = Places(labels).of(wanted)
    if found is None:
        label = wanted.filter(~wanted.is_in(labels.implode()))[0]
        message = f"the assignments name a {labels.name.removesuffix('_id')} that the campaign does not have"
        raise InputError(Finding(message, column=labels.name, found=repr(label)))
    return found


def _languages(locale: pl.Series, tags: Sequence[str]) -> pl.Series:
    distinct = locale.unique()
    best = pl.Series([best_tag(text, tags) for text in distinct], dtype=pl.String)
    return locale.replace_strict(distinct, best, return_dtype=pl.String)


def _offer(row: dict[str, Any], currency: str) -> Offer:
    dates = {name: None if row[name] is None else row[name].isoformat() for name in ("starts_at", "ends_at")}
    return Offer(
        coupon_id=row["coupon_id"],
        kind=row["kind"],
        value=row["value"],
        currency=row["currency"] or currency,
        code=row["code"],
        max_discount=row["max_discount"],
        min_spend=row["min_spend"] or None,
        category=row["category"],
        description=row["description"],
        **dates,
    )
