"""The columns of each campaign file: name, type, bounds and aliases."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal

from allocator.campaign.cell_types import MOST_AMOUNT
from allocator.campaign.languages import UNSAID

Type = Literal["text", "number", "integer", "flag", "date", "time"]
Unit = Literal["money", "offer", "share"]

COUPON_KINDS = ("percent", "amount", "free_shipping")
CHANNELS = ("sms", "push", "email", "in_app")
MESSAGE_MEASURES = tuple(f"messages_{channel}" for channel in CHANNELS)
CONSENT = {channel: f"consent_{channel}" for channel in CHANNELS}
OPT_OUT = {channel: f"opt_out_{channel}" for channel in CHANNELS}
EVENT_KINDS = ("view", "search", "cart", "purchase")


@dataclass(frozen=True)
class Column:
    """One column of a file.

    Parameters
    ----------
    name, type
        Canonical name and type. ``flag`` accepts 0/1, true/false, yes/no.
    required
        The column must be there and every row must have a value.
    default
        Value of an absent column or an empty cell.
    above, at_least, at_most
        Bounds of a number; `above` is the one that it must exceed.
    one_of
        Allowed texts.
    unique
        No value may occur twice.
    aliases
        Other names that exports of common tools use.
    label
        A text of which NA and none are values, as in every required text.
    unit
        Of a number that may be written with a sign: ``money`` with a currency's, a ``share`` of 1 with a
        percent sign, the value of an ``offer`` with either, by the offer's kind.
    unlimited
        Says where something ends: an empty cell, or the word, means that it does not.
    zero_is_none
        Under its other names, 0 means no limit: so do the tools that export them.
    bound
        Of a date: which day a time of day stands for, the first or the last whole one.
    """

    name: str
    type: Type = "text"
    required: bool = False
    default: float | str | bool | None = None
    at_least: float | None = None
    at_most: float | None = None
    one_of: tuple[str, ...] = ()
    unique: bool = False
    aliases: tuple[str, ...] = ()
    label: bool = False
    unit: Unit | None = None
    above: float | None = None
    unlimited: bool = False
    zero_is_none: bool = False
    bound: Literal["first", "last"] = "last"


@dataclass(frozen=True)
class TableSchema:
    """One file: its name without ending, its columns, and whether further columns are welcome.

    `reserved` are names that no further column may have. `contact` is what a further column may say of
    who may be contacted: such columns are read as that, and are no features. `parts` are columns that may
    stand for others: ``percent_off`` and ``amount_off`` for kind and value of an offer.
    """

    name: str
    columns: tuple[Column, ...]
    required: bool = False
    extra: Literal["features", "measures", "error"] = "error"
    key: tuple[str, ...] = field(default=())
    reserved: tuple[str, ...] = ()
    contact: tuple[str, ...] = ()
    parts: tuple[str, ...] = ()


USER_ID = Column("user_id", required=True, aliases=("external_id", "customer_id", "household_id"))
COUPON_ID = Column("coupon_id", required=True, aliases=("Coupon", "coupon"))

USERS = TableSchema(
    "users",
    (
        Column("user_id", required=True, unique=True, aliases=USER_ID.aliases),
        Column("holdout", "flag", default=False),
        Column("messages_7d", "integer", default=0, at_least=0),
        Column("locale", default=UNSAID, aliases=("language",)),
    ),
    required=True,
    extra="features",
    contact=(*CONSENT.values(), *OPT_OUT.values(), "consent", "opt_out"),
)

COUPONS = TableSchema(
    "coupons",
    (
        Column("coupon_id", required=True, unique=True, aliases=COUPON_ID.aliases),
        Column("kind", required=True, one_of=COUPON_KINDS),
        Column("value", "number", required=True, at_least=0, at_most=MOST_AMOUNT, unit="offer"),
        # A cap of 0 would make the coupon free, against all that it costs; some tools write it for no cap.
        Column(
            "max_discount",
            "number",
            above=0,
            at_most=MOST_AMOUNT,
            unit="money",
            unlimited=True,
            zero_is_none=True,
        ),
        Column("currency"),
        Column(
            "min_spend",
            "number",
            at_least=0,
            at_most=MOST_AMOUNT,
            aliases=("minimumRequirement",),
            unit="money",
        ),
        Column("starts_at", "date", bound="first", aliases=("startdate",)),
        Column("ends_at", "date", aliases=("expirydate",)),
        Column("inventory", "integer", at_least=0, unlimited=True),
        Column(
            "max_redemptions",
            "integer",
            at_least=0,
            unlimited=True,
            zero_is_none=True,
            aliases=("limitval", "usageLimit"),
        ),
        Column("per_user_limit", "integer", at_least=0, unlimited=True, zero_is_none=True),
        Column("channel", one_of=CHANNELS),
        Column("category"),
        Column("code", aliases=("Coupon Code",)),
        Column("description"),
        Column("active", "flag", default=True),
    ),
    required=True,
    parts=("percent_off", "amount_off"),
)

# What a tool that sends messages tells of them; not learnt from.
TOLD = (
    Column("delivered", "flag"),
    Column("opened", "flag"),
    Column("clicked", "flag"),
    Column("unsubscribed", "flag"),
    Column("observed_until", "time"),
)

# `revenue` is before the coupon's discount, so that what was paid is revenue less discount.
HISTORY = TableSchema(
    "history",
    (
        USER_ID,
        Column("coupon_id", aliases=COUPON_ID.aliases),
        Column("treated", "flag"),
        Column("sent_at", "time", required=True),
        Column("propensity", "number", at_least=0, at_most=1, unit="share"),
        Column("converted", "flag", required=True),
        Column("redeemed", "flag", default=False),
        Column("revenue", "number", default=0.0, at_least=0, at_most=MOST_AMOUNT, unit="money"),
        Column("discount", "number", default=0.0, at_least=0, at_most=MOST_AMOUNT, unit="money"),
        *TOLD,
    ),
)

# Of one run; empty where it is not known. It can be added to the history.
OUTCOMES = TableSchema(
    "outcomes",
    (
        USER_ID,
        Column("coupon_id", aliases=COUPON_ID.aliases),
        Column("sent_at", "time"),
        Column("converted", "flag"),
        Column("redeemed", "flag"),
        Column("revenue", "number", at_least=0, at_most=MOST_AMOUNT, unit="money"),
        Column("discount", "number", at_least=0, at_most=MOST_AMOUNT, unit="money"),
        *TOLD,
    ),
    required=True,
    extra="features",
)

EVENTS = TableSchema(
    "events",
    (
        USER_ID,
        Column("at", "time", required=True),
        Column("kind", required=True, one_of=EVENT_KINDS),
        Column("item"),
        Column("category"),
        Column("amount", "number", unit="money"),
    ),
)

ORDERS = TableSchema(
    "orders",
    (
        USER_ID,
        Column("at", "time", required=True, aliases=("ordered_at", "order_date", "created_at")),
        Column("order_id", aliases=("basket_id", "transaction_id")),
        Column("category"),
        Column(
            "amount",
            "number",
            required=True,
            at_least=0,
            aliases=("paid", "total", "sales_value"),
            unit="money",
        ),
        Column(
            "discount",
            "number",
            default=0.0,
            at_least=0,
            aliases=("discount_amount", "total_discounts"),
            unit="money",
        ),
    ),
)

SCORES = TableSchema(
    "scores",
    (
        USER_ID,
        COUPON_ID,
        Column("value", "number", required=True, unit="money"),
        Column("cost", "number", required=True, at_least=0, unit="money"),
        Column("value_error", "number", at_least=0, unit="money"),
    ),
    extra="measures",
    key=("user_id", "coupon_id"),
    reserved=("count", "expected_value", *MESSAGE_MEASURES),
)

DECISIONS = ("approved", "edited", "banned")
# One row a decision, the latest last; a banned hook is banned in all messages, so that its row needs no key.
REVIEWED_COPY = TableSchema(
    "reviewed_copy",
    (
        Column("coupon_id", label=True),
        Column("segment", label=True),
        Column("channel", one_of=CHANNELS),
        Column("language"),
        Column("variant", default="A"),
        Column("hook", required=True),
        Column("decision", required=True, one_of=DECISIONS),
        Column("at", "time"),
    ),
)
