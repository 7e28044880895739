"""Which events are of the messages of a run, and of which of its users."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import polars as pl

from allocator.errors import Finding, InputError
from allocator.export.events import Events
from allocator.export.keys import Keys, match_form
from allocator.export.tool import KEY_KINDS
from allocator.runs.opening import OpenRun
from allocator.wording import counted

ALL_SENDS = "all"
SHOWN = 12
OF_NO_MESSAGE = ("ordered",)


def one_coupon_each(run: OpenRun) -> None:
    """Raise InputError if a user got several coupons: events name a user, not a coupon."""
    several = [user for user, coupons in run.assigned.items() if len(coupons) > 1]
    if several:
        message = (
            f"{counted(len(several), 'user')} of this run got several coupons, and a tool does not "
            "tell of which it speaks; fill outcomes in by yourself and read them with --from csv"
        )
        raise InputError(Finding(message, found=f"user {several[0]}"))


def of_sends(events: Events, sends: Sequence[str]) -> tuple[Events, list[str]]:
    """Return the events of some sends, and those that are of none.

    Parameters
    ----------
    events
        Events of any sends.
    sends
        What the tool calls those of the run; ``all`` takes every one. None are needed if there is but one.

    Raises
    ------
    InputError
        If there are several and none is named, or one that is named is not there.
    """
    frame = events.frame
    counts = (
        frame.filter(~pl.col("kind").is_in(OF_NO_MESSAGE) & pl.col("send").is_not_null())
        .group_by("send")
        .agg(events=pl.len(), sent=(pl.col("kind") == "sent").sum(), first=pl.col("at").min())
        .sort("sent", "send", descending=[True, False])
    )
    known = counts["send"].to_list()
    if unknown := [send for send in sends if send not in known and send != ALL_SENDS]:
        raise InputError(
            [
                Finding(
                    "the files tell of no such send",
                    column="--send",
                    found=repr(send),
                    expected=_shown(counts),
                )
                for send in unknown
            ]
        )
    if len(known) > 1 and not sends:
        message = "the files tell of several sends; name those of this run with --send, or say --send all"
        raise InputError(Finding(message, column="--send", found=_shown(counts)))
    wanted = known if not sends or ALL_SENDS in sends else list(sends)
    kept = pl.col("send").is_null() | pl.col("send").is_in(wanted) | pl.col("kind").is_in(OF_NO_MESSAGE)
    left_out = [send for send in known if send not in wanted]
    notes = [f"other sends left out: {', '.join(left_out[:SHOWN])}"] if left_out else []
    return replace(events, frame=frame.filter(kept)), notes


def _shown(counts: pl.DataFrame) -> str:
    parts = [f"{send} ({sent:,} sent, from {first:%Y-%m-%d})" if first else f"{send} ({sent:,} sent)"
             for send, _, sent, first in counts.head(SHOWN).rows()]  # fmt: skip
    more = counts.height - SHOWN
    return "; ".join(parts) + (f"; and {more:,} more" if more > 0 else "")


def of_users(events: Events, keys: Keys) -> tuple[pl.DataFrame, int]:
    """Return the events of users, with ``user``, and how many events are of other people.

    A user is known by the first of id, e-mail and phone number that an event has and that is theirs.
    """
    frame = events.frame.with_columns(user=pl.lit(None, pl.String))
    for kind in KEY_KINDS:
        if kind not in keys.columns or frame[kind].null_count() == frame.height:
            continue
        theirs = pl.DataFrame({"of": keys.frame["user"], "key": match_form(keys.frame[kind], kind)})
        theirs = theirs.drop_nulls("key").unique("key", keep="none", maintain_order=True)
        frame = frame.with_columns(key=match_form(frame[kind], kind))
        frame = frame.join(theirs, on="key", how="left", maintain_order="left")
        frame = frame.with_columns(pl.col("user").fill_null(pl.col("of"))).drop("key", "of")
    return frame.filter(pl.col("user").is_not_null()), int(frame["user"].null_count())
