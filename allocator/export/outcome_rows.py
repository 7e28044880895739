"""Events of users -> a row each user: what became of their coupon, or of those who were to get none."""

from __future__ import annotations

import datetime as dt

import polars as pl

from allocator.errors import Finding, InputError
from allocator.export.events import Events
from allocator.runs.opening import OpenRun
from allocator.wording import counted

COLUMNS: dict[str, pl.DataType | type[pl.DataType]] = {
    "user_id": pl.String,
    "coupon_id": pl.String,
    "sent_at": pl.Datetime("us"),
    "delivered": pl.Boolean,
    "opened": pl.Boolean,
    "clicked": pl.Boolean,
    "converted": pl.Boolean,
    "redeemed": pl.Boolean,
    "revenue": pl.Float64,
    "discount": pl.Float64,
    "unsubscribed": pl.Boolean,
    "observed_until": pl.Datetime("us"),
}
"""Of ``outcomes.csv``; times in UTC."""
OF_MESSAGE = ("sent", "delivered", "failed", "opened", "clicked")


def outcome_rows(
    run: OpenRun,
    events: Events,
    found: pl.DataFrame,
    sent_at: dt.datetime | None,
    until: dt.datetime | None,
) -> tuple[pl.DataFrame, list[str]]:
    """Return the columns of `COLUMNS`, and what a reader should know.

    Parameters
    ----------
    run
        The run, with one coupon a user at most.
    events
        What the files tell of.
    found
        Events of users, with ``user``.
    sent_at
        When it was sent, where events do not say.
    until
        Until when events count; None where no time of any is known.

    Raises
    ------
    InputError
        If nobody of the run was sent something, or it is not known when.
    """
    plan = run.assignments.drop_nulls("coupon_id").select(
        "coupon_id", user="user_id", of_channel=pl.col("channel")
    )
    found = found.filter(pl.col("at").is_null() | (pl.col("at") <= until))
    theirs = found.join(plan, on="user", how="inner")
    other = pl.col("kind").is_in(OF_MESSAGE) & (pl.col("channel") != pl.col("of_channel")).fill_null(False)
    notes = _note(
        int(theirs.select(other.sum()).item()), "event", "on another channel than the plan's left out"
    )
    theirs = theirs.filter(~other)
    sent = _sent(theirs, sent_at)
    missing = len(plan) - len(sent)
    notes += _note(missing, "user", "of the plan without a send in these files left out")
    rows = plan.join(sent, on="user", how="inner", maintain_order="left").with_columns(treated=True)
    control = _control(run, rows["sent_at"].min())
    reached = found.filter(pl.col("kind") == "sent")["user"].unique()
    notes += _note(
        int(control["user"].is_in(reached.implode()).sum()),
        "user",
        "of the control group had a send, though they were to get none",
    )
    everyone = pl.concat([rows, control], how="diagonal")
    after = found.join(everyone.select("user", "sent_at"), on="user").filter(
        pl.col("at") >= pl.col("sent_at")
    )
    frame, more = _with_orders(_with_flags(everyone, theirs, after, events), after, events)
    frame = frame.with_columns(
        user_id=pl.col("user"),
        redeemed=pl.lit(None),
        discount=pl.lit(None),
        observed_until=pl.lit(until, pl.Datetime("us")),
    )
    return frame, [*notes, *more]


def _note(count: int, what: str, words: str) -> list[str]:
    return [f"{counted(count, what)} {words}"] if count else []


def _sent(theirs: pl.DataFrame, sent_at: dt.datetime | None) -> pl.DataFrame:
    """Return when each user was sent their message: the first time, if there are several."""
    sent = theirs.filter(pl.col("kind") == "sent")
    if sent.is_empty():
        message = "the files do not tell who of this run was sent something; add those that do"
        raise InputError(Finding(message))
    if sent_at is None and sent["at"].null_count():
        message = "the files do not tell when it was sent; add the report of the campaign, or say --sent-at"
        raise InputError(Finding(message, column="--sent-at"))
    time = pl.col("at").fill_null(pl.lit(sent_at, pl.Datetime("us")))
    return sent.group_by("user").agg(sent_at=time.min())


def _control(run: OpenRun, first: object) -> pl.DataFrame:
    """Return those held out, always or by lot: they count from when the first other was sent something."""
    held = pl.col("holdout") | pl.col("user_id").is_in(list(run.held_out))
    users = run.campaign.users.filter(held)["user_id"]
    return pl.DataFrame({"user": users}).with_columns(
        coupon_id=pl.lit(None, pl.String), of_channel=pl.lit(None, pl.String),
        sent_at=pl.lit(first, pl.Datetime("us")), treated=False,
    )  # fmt: skip


def _who(frame: pl.DataFrame, kind: str) -> pl.Series:
    return frame.filter(pl.col("kind") == kind)["user"].unique().implode()


def _with_flags(
    rows: pl.DataFrame, theirs: pl.DataFrame, after: pl.DataFrame, events: Events
) -> pl.DataFrame:
    """Add what became of messages; null for those without one, and where the files do not tell."""

    def told(kind: str) -> pl.Expr:
        channels = [channel for channel in rows["of_channel"].unique() if channel is not None]
        return pl.col("of_channel").is_in([channel for channel in channels if events.tells(kind, channel)])

    def known(kind: str, frame: pl.DataFrame) -> pl.Expr:
        return pl.when(told(kind)).then(pl.col("user").is_in(_who(frame, kind)))

    arrived = pl.when(told("failed")).then(~pl.col("user").is_in(_who(theirs, "failed")))
    return rows.with_columns(
        delivered=pl.coalesce(known("delivered", theirs), arrived),
        opened=known("opened", theirs),
        clicked=known("clicked", theirs),
        unsubscribed=known("unsubscribed", after),
    )


def _with_orders(rows: pl.DataFrame, after: pl.DataFrame, events: Events) -> tuple[pl.DataFrame, list[str]]:
    """Add who ordered and for how much.

    Orders are told of everybody. Conversions, as tools count them, follow a message, so that they say nothing
    of those without one.
    """
    kind = "ordered" if events.tells("ordered") else "converted"
    orders = after.filter(pl.col("kind") == kind)
    sums = orders.group_by("user").agg(revenue=pl.col("revenue").sum())
    if not events.tells(kind):
        return rows.with_columns(converted=pl.lit(None), revenue=pl.lit(None)), []
    rows = rows.with_columns(converted=pl.col("user").is_in(orders["user"].unique().implode()))
    rows = rows.join(sums, on="user", how="left", maintain_order="left")
    worth = bool(orders["revenue"].is_not_null().any())
    rows = rows.with_columns(revenue=pl.col("revenue").fill_null(0) if worth else pl.lit(None))
    if kind == "ordered":
        return rows, []
    known = pl.col("treated")
    rows = rows.with_columns(pl.when(known).then(pl.col("converted")), pl.when(known).then(pl.col("revenue")))
    note = (
        "conversions are those that the tool counts for its messages: nothing is known of the control "
        "group's, and no uplift can be learnt from them; orders of everybody can be"
    )
    return rows, [note]
