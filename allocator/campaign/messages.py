"""Assignments -> briefs to write, and written copy -> one message for each user."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import polars as pl

from allocator.campaign.building import Task
from allocator.campaign.campaign import Campaign
from allocator.campaign.schema import CHANNELS
from allocator.errors import PluginError
from allocator.protocols import Brief, Copy, Offer

KEY = ("coupon_id", "segment", "channel", "language")
PARTS = ("subject", "preheader", "title", "body")
EVERYONE = "everyone"


def recipients(campaign: Campaign, task: Task, assignments: pl.DataFrame) -> pl.DataFrame:
    """Return one row an assignment: ``user_id`` and the key of its message."""
    row = {user: i for i, user in enumerate(task.problem.user_ids.tolist())}
    column = {coupon: j for j, coupon in enumerate(task.problem.coupon_ids.tolist())}
    users = np.array([row[user] for user in assignments["user_id"]], dtype=np.int64)
    coupons = np.array([column[coupon] for coupon in assignments["coupon_id"]], dtype=np.int64)
    table = campaign.config.copy_
    segment = pl.lit(EVERYONE)
    if table.segment_by is not None:
        grouping = task.problem.groups[table.segment_by]  # so that messages and report name a segment alike
        segment = pl.lit(
            pl.Series([grouping.labels[code] for code in grouping.codes[users]], dtype=pl.String)
        )
    locale = campaign.users["locale"].str.to_lowercase().str.slice(0, 2).gather(users)
    language = pl.Series(
        [code if code in table.languages else table.languages[0] for code in locale], dtype=pl.String
    )
    channel = pl.Series([CHANNELS[c] for c in task.eligibility.channel[users, coupons]], dtype=pl.String)
    frame = pl.DataFrame({"user_id": assignments["user_id"], "coupon_id": assignments["coupon_id"]})
    return frame.with_columns(segment=segment, channel=channel, language=language)


def briefs(campaign: Campaign, sent: pl.DataFrame) -> list[Brief]:
    """Return one brief for each message that some user will get, in a stable order."""
    table = campaign.config.copy_
    offers = {
        row["coupon_id"]: _offer(row, campaign.config.currency)
        for row in campaign.coupons.iter_rows(named=True)
    }
    audience = sent.group_by(KEY).len().sort(KEY)
    return [
        Brief(
            offers[coupon], segment, channel, language, table.brand or campaign.config.name, table.tone, count
        )
        for coupon, segment, channel, language, count in audience.iter_rows()
    ]


def copy_table(copies: Sequence[Copy], asked: Sequence[Brief], writer: str) -> pl.DataFrame:
    """Return one row a message text: its key, who wrote it, its parts, and what was rejected.

    Raises
    ------
    PluginError
        If the writer did not answer every brief in order.
    """
    if [copy.brief for copy in copies] != list(asked):
        raise PluginError(f"The copy writer '{writer}' returned other messages than it was asked for.")
    rows = []
    for copy in copies:
        brief = copy.brief
        row: dict[str, Any] = {
            "coupon_id": brief.offer.coupon_id,
            "segment": brief.segment,
            "channel": brief.channel,
            "language": brief.language,
            "audience": brief.audience,
            "written_by": copy.written_by,
            "attempts": copy.attempts,
            **{part: copy.parts.get(part) for part in PARTS},
            "rejected": "; ".join(sorted({f"{v.rule}: {v.detail}" for v in copy.rejected})) or None,
        }
        rows.append(row)
    schema = {
        **dict.fromkeys(KEY, pl.String), "audience": pl.Int64, "written_by": pl.String, "attempts": pl.Int64,
        **dict.fromkeys(PARTS, pl.String), "rejected": pl.String,
    }  # fmt: skip
    return pl.DataFrame(rows, schema=schema)


def message_table(sent: pl.DataFrame, texts: pl.DataFrame) -> pl.DataFrame:
    """Return one row a message: the user, the key, and the text."""
    return sent.join(texts.select(*KEY, *PARTS), on=KEY, how="left", maintain_order="left")


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
