"""A campaign in memory: its configuration and its tables, checked."""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from allocator.campaign.config import Config
from allocator.campaign.consent.contact import NO_CONTACT, Contact
from allocator.campaign.grouping import UserLabels
from allocator.campaign.instants import start_of_day
from allocator.campaign.places import Places
from allocator.campaign.scores import Scores

if TYPE_CHECKING:
    import polars as pl


@dataclass(frozen=True)
class Campaign:
    """A checked campaign folder; made by `allocator.read_campaign`.

    All frames have the columns of the campaign folder's contract under their canonical names and
    types, optional columns that the file lacks included (filled with nulls), and keep further
    columns of `users` as features.

    Parameters
    ----------
    folder
        Where it was read from.
    config
        ``campaign.toml``.
    as_of
        The day of the decision, in the campaign's time zone: events and history after it are not used.
    users
        One row a user: ``user_id`` (str), features (numeric, bool or str).
    coupons
        One row a coupon: ``coupon_id, kind, value, max_discount, currency, min_spend, starts_at,
        ends_at, inventory, max_redemptions, per_user_limit, channel, category, code, description, active``.
        ``starts_at`` and ``ends_at`` are the first and last day that lie wholly inside. Rows with
        ``active`` false describe past coupons that history refers to.
    history
        Past sends: ``user_id, coupon_id, treated, sent_at, propensity, converted, redeemed,
        revenue, discount``. Control rows have ``treated`` false; their ``coupon_id`` is null, or
        names the coupon that was withheld (then their outcome is about that coupon's products).
    events
        Behaviour: ``user_id, at, kind, item, category, amount``.
    ready
        Ready predictions: ``value``, ``cost`` and any other measure, users x coupons; `scores` gives them as
        a frame.
    digests
        SHA-256 of every input file, by name.
    notes
        What was left out while reading and what is worth a second look, as sentences.
    orders
        Purchases, one row an order or a line of one: ``user_id, at, order_id, category, amount,
        discount``. Where it is there, it replaces the purchases among the events.
    reviewed
        Decisions of people on texts, the latest last: ``coupon_id, segment, channel, language, variant,
        hook, decision, at``.
    places
        Where the tables stand, by which findings name files and rows as people open them.
    spellings
        How the file spells the numbers of columns that users may be grouped by, as of `UserLabels`.
    contact
        The columns of the file of users that say who may be contacted; the frame holds what they come to
        as ``consent_<channel>`` and ``holdout``.
    """

    folder: Path
    config: Config
    as_of: dt.date
    users: pl.DataFrame
    coupons: pl.DataFrame
    history: pl.DataFrame | None
    events: pl.DataFrame | None
    ready: Scores | None
    digests: dict[str, str]
    notes: tuple[str, ...] = ()
    orders: pl.DataFrame | None = None
    reviewed: pl.DataFrame | None = None
    places: Places = field(default_factory=Places)
    spellings: Mapping[str, Mapping[float, str]] = field(default_factory=dict, repr=False)
    contact: Contact = NO_CONTACT

    @property
    def active_coupons(self) -> pl.DataFrame:
        """The coupons that this campaign can send, in file order."""
        return self.coupons.filter(self.coupons["active"])

    @property
    def scores(self) -> pl.DataFrame | None:
        """Ready predictions, one row a pair: ``user_id, coupon_id, value, cost`` and any other measure."""
        return None if self.ready is None else self.ready.frame()

    @property
    def scored(self) -> list[str]:
        """Columns of the ready predictions; none if there are no such."""
        return [] if self.ready is None else self.ready.columns

    @property
    def labels(self) -> UserLabels:
        """The columns of users as the labels that limits name."""
        return UserLabels(self.users, self.spellings, self.config.sets)

    def start_of(self, later: int = 0) -> dt.datetime:
        """Return when the day of the decision begins, or one so many days later, in UTC."""
        return start_of_day(self.as_of, self.config.campaign.time_zone, later)

    @cached_property
    def user_ids(self) -> NDArray[np.str_]:
        """User labels in file order."""
        return self.users["user_id"].to_numpy().astype(np.str_)

    @property
    def coupon_ids(self) -> NDArray[np.str_]:
        """Labels of the active coupons in file order."""
        return np.asarray(self.active_coupons["coupon_id"].to_list(), dtype=np.str_)
