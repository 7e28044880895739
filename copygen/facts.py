"""The typed facts of an offer: exact decimals and real dates instead of floats and text."""

from __future__ import annotations

import datetime as dt
import math
import re
from collections.abc import Iterator
from dataclasses import dataclass
from decimal import Decimal

from allocator.errors import Finding, InputError
from allocator.plugins.copy import Offer

CODE = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]{0,39}")


@dataclass(frozen=True)
class Facts:
    """What a message states about an offer.

    Parameters
    ----------
    kind
        ``percent``, ``amount`` or ``free_shipping``.
    value
        Percent off, or amount off in `currency`; not stated for free shipping.
    currency
        ISO 4217 code.
    code, minimum, cap, starts, ends
        Coupon code, minimum spend, largest discount, first and last day; None where there is none.
    """

    kind: str
    value: Decimal
    currency: str
    code: str | None
    minimum: Decimal | None
    cap: Decimal | None
    starts: dt.date | None
    ends: dt.date | None


def read_facts(offer: Offer) -> Facts:
    """Return the facts of `offer`.

    Raises
    ------
    InputError
        With everything that cannot be stated to a customer.
    """
    findings = list(_findings(offer))
    if findings:
        raise InputError(findings)
    value = _decimal(offer.value)
    cap = None if offer.max_discount is None else _decimal(offer.max_discount)
    if offer.kind == "amount" and cap is not None and cap >= value:
        cap = None  # an amount off is its own cap
    minimum = _decimal(offer.min_spend) if offer.min_spend else None
    return Facts(
        offer.kind,
        value,
        offer.currency,
        offer.code or None,
        minimum,
        cap,
        _date(offer.starts_at),
        _date(offer.ends_at),
    )


def _findings(offer: Offer) -> Iterator[Finding]:
    def wrong(column: str, message: str, found: object, expected: str) -> Finding:
        return Finding(
            f"coupon '{offer.coupon_id[:60]}': {message}", "coupons", None, column, repr(found)[:60], expected
        )

    if offer.kind not in ("percent", "amount", "free_shipping"):
        yield wrong("kind", "unknown kind", offer.kind, "percent, amount or free_shipping")
    if not math.isfinite(offer.value) or (offer.kind != "free_shipping" and offer.value <= 0):
        yield wrong("value", "a message cannot state this discount", offer.value, "a number above 0")
    elif offer.kind == "percent" and offer.value > 100:
        yield wrong("value", "more than the whole price", offer.value, "at most 100")
    if not re.fullmatch("[A-Z]{3}", offer.currency):
        yield wrong("currency", "not a currency code", offer.currency, "three capital letters, such as EUR")
    if offer.code and not CODE.fullmatch(offer.code):
        yield wrong("code", "this code cannot be printed", offer.code, "1 to 40 letters a-z, digits, - or _")
    if offer.max_discount is not None and not (math.isfinite(offer.max_discount) and offer.max_discount > 0):
        yield wrong(
            "max_discount", "a message cannot state this cap", offer.max_discount, "above 0, or empty"
        )
    if offer.min_spend is not None and not (math.isfinite(offer.min_spend) and offer.min_spend >= 0):
        yield wrong(
            "min_spend", "a message cannot state this minimum", offer.min_spend, "0 or more, or empty"
        )
    for column, text in (("starts_at", offer.starts_at), ("ends_at", offer.ends_at)):
        try:
            _date(text)
        except ValueError:
            yield wrong(column, "not a date", text, "YYYY-MM-DD")


def _decimal(value: float) -> Decimal:
    """Return the decimal that a person typed: the shortest one that reads back as `value`."""
    return Decimal(repr(float(value)))


def _date(text: str | None) -> dt.date | None:
    return dt.date.fromisoformat(text) if text else None
