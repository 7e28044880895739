"""Amounts, percents and dates as a reader of each locale writes them; exact, never rounded.

A locale is ``en`` or ``zh``, where the language is all that is known, or has a region: ``en-GB``, ``en-DE``,
``zh-HK``. Marks, places of signs and names of months are those of the Unicode CLDR.
"""

from __future__ import annotations

import datetime as dt
import re
from decimal import Decimal, localcontext
from functools import cache
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from babel import Locale

# Where the region is not known: what a reader of English takes for one currency next to the brand.
SYMBOLS = {"USD": "$", "EUR": "€", "GBP": "£", "CNY": "¥", "JPY": "¥", "INR": "₹", "KRW": "₩"}
# Where it is known, for every currency but its own: signs that mean one currency everywhere.
UNAMBIGUOUS = {
    "USD": "US$", "EUR": "€", "GBP": "£", "CNY": "CN¥", "JPY": "JP¥", "HKD": "HK$", "TWD": "NT$",
    "MOP": "MOP$", "AUD": "A$", "CAD": "CA$", "NZD": "NZ$", "SGD": "S$", "INR": "₹", "KRW": "₩",
    "ILS": "₪", "PHP": "₱",
}  # fmt: skip
CHINESE_UNITS = {
    "CNY": "元", "USD": "美元", "EUR": "欧元", "GBP": "英镑", "JPY": "日元", "KRW": "韩元", "HKD": "港元",
}  # fmt: skip
MAX_DIGITS = 400  # of the largest float
DIGITS = re.compile(r"[#0,]+(?:\.[#0]+)?")  # the number inside a pattern of the CLDR


def language_of(locale: str) -> str:
    """Return ``en`` or ``zh``."""
    return locale.split("-")[0].lower()


def region_of(locale: str) -> str:
    """Return the region of a locale, two capital letters, or an empty string."""
    return next((part.upper() for part in locale.split("-")[1:] if len(part) == 2), "")


def number(value: Decimal, locale: str, places: int = 0) -> str:
    """Return `value` with grouped thousands and, if it is not whole, at least `places` decimals."""
    return _filled(value, "#,##,##0" if region_of(locale) == "IN" else "#,##0", locale, places)


def money(value: Decimal, currency: str, locale: str) -> str:
    """Return an amount: ``$1,000``, ``€9.50``, ``9,50 €``, ``US$20``, ``CHF 20``; in Chinese ``1,000元``."""
    if language_of(locale) == "zh" and region_of(locale) in ("", "CN") and currency in CHINESE_UNITS:
        return number(value, locale, places=2) + CHINESE_UNITS[currency]
    sign = _sign(currency, locale)
    pattern = _babel(locale).currency_formats["standard"].pattern.split(";")[0]
    if sign == currency:  # a code stands apart from the number
        pattern = re.sub(r"¤(?=[#0])", "¤ ", pattern)
    return _filled(value, pattern, locale, places=2).replace("¤", sign)


def percent_off(value: Decimal, locale: str) -> str:
    """Return ``15% off``; in Chinese ``8.5折``, or ``减12.5%`` where a fold would read oddly."""
    if language_of(locale) == "en":
        return f"{_filled(value, _babel(locale).percent_formats[None].pattern, locale)} off"
    if value == value.to_integral_value() and value <= 90:
        return f"{number((100 - value) / 10, locale)}折"
    return f"{'減' if is_traditional(locale) else '减'}{number(value, locale)}%"


def date(day: dt.date, currency: str, locale: str) -> str:
    """Return ``Dec 31, 2026`` in America, else ``31 Dec 2026``; in Chinese ``2026年12月31日``.

    Where the region is not known, dollars mean America.
    """
    from babel.dates import format_date

    if language_of(locale) == "zh":
        return f"{day.year}年{day.month}月{day.day}日"
    babel = _babel(locale)
    if region_of(locale):
        pattern = babel.date_formats["medium"].pattern
        month_first = pattern.find("M") < pattern.find("d") and not pattern.startswith("y")
    else:
        month_first = currency == "USD"
    return format_date(day, "MMM d, y" if month_first else "d MMM y", locale=babel)


def is_traditional(locale: str) -> bool:
    """Return whether Chinese is written in traditional characters there."""
    parts = locale.casefold().split("-")
    return parts[0] == "zh" and ("hant" in parts or ("hans" not in parts and parts[-1] in ("hk", "mo", "tw")))


def _sign(currency: str, locale: str) -> str:
    """Return a sign that cannot be taken for another currency's; a region's own may be short."""
    from babel.numbers import get_currency_symbol, get_territory_currencies

    region = region_of(locale)
    if not region:
        return SYMBOLS.get(currency, currency) if language_of(locale) == "en" else currency
    own = currency in get_territory_currencies(region)
    if own and language_of(locale) == "en" and _babel(locale).territory == region:
        return str(get_currency_symbol(currency, locale=_babel(locale)))
    return UNAMBIGUOUS.get(currency, currency)


def _filled(value: Decimal, pattern: str, locale: str, places: int = 0) -> str:
    """Return `pattern` with its number replaced by `value`, all of its decimals and no more than it needs."""
    from babel.numbers import format_decimal

    decimals = 0
    if value != value.to_integral_value():
        decimals = max(-int(value.normalize().as_tuple().exponent), places)
    groups = DIGITS.search(pattern)
    assert groups is not None
    shape = groups[0].split(".")[0] + ("." + "0" * decimals if decimals else "")
    with localcontext(prec=MAX_DIGITS):  # the default context would round at 28 digits
        text = format_decimal(value, format=shape, locale=_babel(locale), decimal_quantization=False)
    # Spaces and apostrophes of typesetting would turn a whole SMS to UCS-2.
    return re.sub("[\u00a0\u202f\u2009]", " ", pattern.replace(groups[0], text)).replace("’", "'")


@cache
def _babel(locale: str) -> Locale:
    from babel import Locale, UnknownLocaleError

    try:
        return Locale.parse(locale, sep="-")
    except (UnknownLocaleError, ValueError):  # a region that has no conventions of its own in this language
        return Locale.parse(language_of(locale))
