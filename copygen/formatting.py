"""Amounts, percents and dates as a reader of each language writes them; exact, never rounded."""

from __future__ import annotations

import datetime as dt
from decimal import Decimal

# Symbols that a reader of English takes for one currency next to the brand; others get the ISO code.
SYMBOLS = {"USD": "$", "EUR": "€", "GBP": "£", "CNY": "¥", "JPY": "¥", "INR": "₹", "KRW": "₩"}
CHINESE_UNITS = {
    "CNY": "元", "USD": "美元", "EUR": "欧元", "GBP": "英镑", "JPY": "日元", "KRW": "韩元", "HKD": "港元",
}  # fmt: skip
MONTHS = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")


def number(value: Decimal, places: int = 0) -> str:
    """Return `value` with grouped thousands and, if it is not whole, at least `places` decimals."""
    whole = value == value.to_integral_value()
    if whole:
        return f"{int(value):,}"
    digits = -int(value.normalize().as_tuple().exponent)
    return f"{value:,.{max(digits, places)}f}"


def money(value: Decimal, currency: str, language: str) -> str:
    """Return an amount: ``$1,000``, ``€9.50``, ``CHF 20``; in Chinese ``1,000元``, ``20美元``."""
    text = number(value, places=2)
    if language == "zh":
        unit = CHINESE_UNITS.get(currency)
        return f"{text}{unit}" if unit else f"{currency} {text}"
    symbol = SYMBOLS.get(currency)
    return f"{symbol}{text}" if symbol else f"{currency} {text}"


def percent_off(value: Decimal, language: str) -> str:
    """Return ``15% off``; in Chinese ``8.5折``, or ``减12.5%`` where a fold would read oddly."""
    if language == "en":
        return f"{number(value)}% off"
    if value == value.to_integral_value() and value <= 90:
        return f"{number((100 - value) / 10)}折"
    return f"减{number(value)}%"


def date(day: dt.date, currency: str, language: str) -> str:
    """Return ``Dec 31, 2026`` with dollars, else ``31 Dec 2026``; in Chinese ``2026年12月31日``."""
    if language == "zh":
        return f"{day.year}年{day.month}月{day.day}日"
    month = MONTHS[day.month - 1]
    return f"{month} {day.day}, {day.year}" if currency == "USD" else f"{day.day} {month} {day.year}"
