"""A campaign's events, orders and past sends in order of user and time."""

from __future__ import annotations

from typing import TYPE_CHECKING, Self

import numpy as np
import polars as pl
from numpy.typing import NDArray
from polars._typing import PolarsDataType

from predictors.features.behaviour import Behaviour
from predictors.features.timeline import Ints, seconds

if TYPE_CHECKING:
    from allocator.campaign import Campaign

ENTRIES: dict[str, PolarsDataType] = {
    "user_id": pl.String,
    "at": pl.Datetime("us"),
    "kind": pl.String,
    "category": pl.String,
}
SENDS: dict[str, PolarsDataType] = {
    "user_id": pl.String,
    "sent_at": pl.Datetime("us"),
    "redeemed": pl.Boolean,
}

ROWS_AT_ONCE = 1 << 21
"""Of a table, when users are looked up: the whole would take several times its own memory."""


class Log:
    """Where each user's entries are in the tables, which are neither copied nor sorted as a whole.

    With orders, the purchases among the events are left out: the orders hold them, and more.

    Parameters
    ----------
    user_ids
        Users; entries of others are left out.
    events, orders, history
        Tables of a campaign; None for none.
    """

    def __init__(
        self,
        user_ids: pl.Series,
        events: pl.DataFrame | None = None,
        orders: pl.DataFrame | None = None,
        history: pl.DataFrame | None = None,
    ) -> None:
        users = pl.DataFrame({"user_id": user_ids}).with_row_index("user")
        self._n_users = len(users)
        self._entries = _Sorted(_entries(events, orders), "at", users)
        sends = pl.DataFrame(schema=SENDS)
        if history is not None:
            treated = history["treated"].fill_null(history["coupon_id"].is_not_null())
            sends = history.filter(treated).select("user_id", "sent_at", "redeemed")
        self._sends = _Sorted(sends, "sent_at", users)
        found = self._entries.table["category"].drop_nulls().unique()
        self._categories: list[str] = sorted(found.to_list())

    @classmethod
    def of(cls, campaign: Campaign) -> Self:
        """Return the log of a campaign."""
        return cls(campaign.users["user_id"], campaign.events, campaign.orders, campaign.history)

    def behaviour(self, start: int = 0, stop: int | None = None) -> Behaviour:
        """Return the behaviour of users `start` to `stop`; its memory is that of their entries."""
        stop = self._n_users if stop is None else stop
        return Behaviour(self._entries.part(start, stop), self._categories, self._sends.part(start, stop))


class _Sorted:
    """A table with the rows of each user by time, ties in file order."""

    def __init__(self, table: pl.DataFrame, time: str, users: pl.DataFrame) -> None:
        self.table = table
        user, key = np.empty(len(table), np.uint32), seconds(table[time])
        span = int(key.max() - key.min()) + 1 if len(key) else 1
        for start in range(0, len(table), ROWS_AT_ONCE):
            part = table["user_id"].slice(start, ROWS_AT_ONCE).to_frame()
            found = part.join(users, on="user_id", how="left", maintain_order="left")["user"]
            rows = slice(start, start + len(part))
            user[rows] = found.fill_null(len(users)).to_numpy()  # entries of unknown users come last
            key[rows] += user[rows] * np.int64(span)
        counts = np.bincount(user, minlength=len(users) + 1)
        del user
        self._rows: NDArray[np.uint32] = np.argsort(key, kind="stable").astype(np.uint32)
        self._starts: Ints = np.concatenate([[0], np.cumsum(counts)])

    def part(self, start: int, stop: int) -> pl.DataFrame:
        """Return the rows of some users, sorted, with the position of the user as `user`."""
        starts = self._starts[start : stop + 1]
        user = np.repeat(np.arange(start, stop), np.diff(starts))
        return self.table[self._rows[starts[0] : starts[-1]]].with_columns(
            user=pl.Series(user, dtype=pl.Int64)
        )


def _entries(events: pl.DataFrame | None, orders: pl.DataFrame | None) -> pl.DataFrame:
    """Return events, and orders as purchases, in one table."""
    if events is None:
        events = pl.DataFrame(schema={**ENTRIES, "amount": pl.Float64})
    # Not `select`, which copies whole columns.
    events = pl.DataFrame([events[name] for name in (*ENTRIES, "amount")])
    if orders is None:
        return events
    purchases = orders.select(
        "user_id", "at", "category", "amount", "discount", "order_id", kind=pl.lit("purchase")
    )
    return pl.concat([events.filter(pl.col("kind") != "purchase"), purchases], how="diagonal")
