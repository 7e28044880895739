"""Every way to say a coupon's facts rightly to readers of a locale: what the checker accepts, and no more.

Written from the coupon row and from how people write, without a look at the code that writes messages.
All text is in lower case and in compatibility form (NFKC), as the checker compares it.
"""

from __future__ import annotations

import calendar
import datetime as dt
from collections.abc import Iterable
from decimal import Decimal

from allocator.plugins.copy import Brief
from benchmarks.copy_offers import GENERIC, NAMES

# Thousands and decimal sign by region; all others write 1,000.50.
SIGNS = {"DE": (".", ",")}
DOLLARS = {
    "USD": ("us$", "US"), "HKD": ("hk$", "HK"), "CAD": ("ca$", "CA"), "AUD": ("a$", "AU"),
    "SGD": ("s$", "SG"), "NZD": ("nz$", "NZ"), "TWD": ("nt$", "TW"),
}  # fmt: skip
OWN_SIGNS = {
    "EUR": ("€",), "GBP": ("£",), "KRW": ("₩",), "INR": ("₹",), "CNY": ("cn¥", "rmb"), "JPY": ("jp¥",),
    "AUD": ("au$",), "CAD": ("c$",), "SEK": ("kr",),
}  # fmt: skip
EN_WORDS = {
    "USD": ("dollars", "us dollars"), "EUR": ("euros", "euro"), "GBP": ("pounds",), "CNY": ("yuan",),
    "JPY": ("yen",), "HKD": ("hong kong dollars",), "INR": ("rupees",), "CHF": ("swiss francs", "francs"),
}  # fmt: skip
ZH_UNITS = {
    "USD": ("美元", "美金"), "EUR": ("欧元", "歐元"), "GBP": ("英镑", "英鎊"), "CNY": ("人民币", "人民幣"),
    "JPY": ("日元", "日圆", "日圓"), "HKD": ("港元", "港币", "港幣"), "KRW": ("韩元", "韓元", "韩圆"),
    "INR": ("印度卢比", "卢比"), "CHF": ("瑞士法郎", "瑞郎"), "AUD": ("澳元", "澳大利亚元"),
    "CAD": ("加元", "加拿大元"), "SEK": ("瑞典克朗",),
}  # fmt: skip
TRADITIONAL = str.maketrans("减满优码运费门槛单笔邮惠发额", "減滿優碼運費門檻單筆郵惠發額")
LOCAL_YUAN = {"HK": "HKD", "TW": "TWD"}  # whose money 元 means; elsewhere the yuan
MONTHS = tuple(calendar.month_name[i].casefold() for i in range(1, 13))
ONES = (
    "", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten", "eleven", "twelve",
    "thirteen", "fourteen", "fifteen", "sixteen", "seventeen", "eighteen", "nineteen",
)  # fmt: skip
TENS = ("twenty", "thirty", "forty", "fifty", "sixty", "seventy", "eighty", "ninety")
HAN = "零一二三四五六七八九"


def clauses(brief: Brief) -> dict[str, set[str]]:
    """Return the clauses that state each fact of a brief's coupon, by role; the code's are not here."""
    offer = brief.offer
    english = brief.language == "en"
    found: dict[str, set[str]] = {"discount": _discounts(brief)}
    patterns: tuple[str, ...]
    if offer.min_spend:
        patterns = (
            ("on orders of {} or more", "minimum spend: {}", "minimum spend {}", "min. spend {}",
             "when you spend {} or more")
            if english
            else ("满{}可用", "满{}", "使用门槛:满{}", "单笔满{}可用")
        )  # fmt: skip
        found["minimum"] = _fill(patterns, _money(offer.min_spend, brief))
    if cap_of(brief) is not None:
        patterns = (
            ("up to {} off", "maximum discount: {}", "maximum discount {}")
            if english
            else ("最高减{}", "优惠上限:{}", "最多减{}")
        )
        found["cap"] = _fill(patterns, _money(cap_of(brief) or 0.0, brief))
    found["period"] = _periods(brief)
    said = {role: {text for text in texts if text} for role, texts in found.items()}
    if region_of(brief) in ("HK", "TW", "MO"):
        return {
            role: {*texts, *(text.translate(TRADITIONAL) for text in texts)} for role, texts in said.items()
        }
    return said


def cap_of(brief: Brief) -> float | None:
    """Return the largest discount where it says more than the amount off does."""
    offer = brief.offer
    if offer.max_discount is None or (offer.kind == "amount" and offer.max_discount >= offer.value):
        return None
    return offer.max_discount


def _discounts(brief: Brief) -> set[str]:
    offer, english = brief.offer, brief.language == "en"
    names = names_of(brief)
    if offer.kind == "free_shipping":
        said = ("free shipping", "free delivery") if english else ("免运费", "包邮")
        return {f"{word} on {name}" if name else word for word in said for name in names} if english else {
            f"{name}{word}" for word in said for name in names
        }  # fmt: skip
    values = _percents(offer.value, brief) if offer.kind == "percent" else _money(offer.value, brief)
    if english:
        return {
            f"{value} off{join}{name}" for value in values for name in names
            for join in ((" ", " on ") if name else ("",))
        }  # fmt: skip
    if offer.kind == "percent":
        return {f"{name}{value}" for value in values for name in names}
    return {f"{name}{verb}{value}" for value in values for name in names for verb in ("立减", "减", "立減")}


def names_of(brief: Brief) -> tuple[str, ...]:
    """Return what the coupon's category may be called; an empty name where it has none."""
    entry = NAMES[brief.offer.category]
    if entry.label is None:
        return ("",)
    return tuple(name.casefold() for name in (*getattr(entry, brief.language), *GENERIC[brief.language]))


def _percents(value: float, brief: Brief) -> set[str]:
    exact = Decimal(repr(float(value)))
    texts = {f"{number}{sign}" for number in numbers(exact, brief) for sign in ("%", " %", " percent")}
    if brief.language == "en":
        return texts | {f"{word} percent" for word in _in_words(exact)}
    folds = (100 - exact) / 10
    said = {f"减{text}" for text in texts} | {f"立减{text}" for text in texts}
    if folds <= 0:
        return said
    if folds == folds.to_integral_value():
        return said | {f"{int(folds)}折", f"{HAN[int(folds)]}折"}
    said |= {f"{_plain(folds)}折"}
    if len(digits := _plain(folds * 10)) == 2:  # 85折 says the same as 8.5折
        said |= {f"{digits}折", "".join(HAN[int(d)] for d in digits) + "折"}
    return said


def _money(value: float, brief: Brief) -> set[str]:
    exact, currency, region = Decimal(repr(float(value))), brief.offer.currency, region_of(brief)
    signs, words = {currency.casefold(), *OWN_SIGNS.get(currency, ())}, set()
    if currency in DOLLARS:
        sign, home = DOLLARS[currency]
        signs.add(sign)
        foreign = currency == "USD" and region not in {place for _, place in DOLLARS.values()}
        if region == home or foreign:
            signs.add("$")
    if (currency == "CNY" and region != "JP") or (
        currency == "JPY" and region != "CN" and brief.language == "en"
    ):
        signs.add("¥")
    if brief.language == "en":
        words = {f" {word}" for word in EN_WORDS.get(currency, ())}
    else:
        words = set(ZH_UNITS.get(currency, ()))
        if LOCAL_YUAN.get(region, "CNY") == currency:
            words.add("元")
    texts: set[str] = set()
    for number in numbers(exact, brief, cents=True):
        texts |= {f"{sign}{gap}{number}" for sign in signs for gap in ("", " ")}
        texts |= {f"{number}{gap}{sign}" for sign in signs for gap in ("", " ")}
        texts |= {f"{number}{gap}{word}" for word in words for gap in ("", " ")}
    spelled = _in_words(exact) if brief.language == "en" else set()
    return texts | {f"{number}{word}" for number in spelled for word in words}


def numbers(value: Decimal, brief: Brief, *, cents: bool = False) -> set[str]:
    """Return the ways to write a number in a brief's locale, exactly."""
    group, point = SIGNS.get(region_of(brief), (",", "."))
    whole, _, part = _plain(value).partition(".")
    grouped = f"{int(whole):,}".replace(",", group)
    # Zeros at the end say the same.
    parts = {part.ljust(places, "0") for places in range(len(part), 4)} if part else {""}
    if cents:
        parts |= {part.ljust(2, "0")}
    return {head + (point + tail if tail else "") for head in (whole, grouped) for tail in parts}


def dates(day: str, brief: Brief) -> set[str]:
    """Return the ways to write a day, year and all, that no reader of the locale takes for another day."""
    at = dt.date.fromisoformat(day)
    year, number, month = at.year, at.day, MONTHS[at.month - 1]
    texts = {at.isoformat()}
    if brief.language == "zh":
        return texts | {f"{year}年{at.month}月{number}{unit}" for unit in "日号號"}
    for name in {month, month[:3], month[:3] + ".", "sept" if at.month == 9 else month}:
        texts |= {f"{name} {number}, {year}", f"{number} {name} {year}", f"{number}. {name} {year}"}
    return texts


def _periods(brief: Brief) -> set[str]:
    offer = brief.offer
    first = dates(offer.starts_at, brief) if offer.starts_at else set()
    last = dates(offer.ends_at, brief) if offer.ends_at else set()
    if brief.language == "en":
        said = {f"{word} {b}" for b in last for word in ("until", "through")}
        said |= {f"from {a} {word} {b}" for a in first for b in last for word in ("to", "until", "through")}
        said |= {f"from {a}" for a in first} if not last else set()
        return {f"{lead}{text}" for text in said for lead in ("valid ", "valid: ", "")}
    said = {f"有效期{word}{b}" for b in last for word in ("至", "到", ":至")}
    said |= {f"有效期{word}{a}至{b}" for a in first for b in last for word in ("", ":", "自")}
    return said | ({f"有效期自{a}起" for a in first} if not last else set())


def region_of(brief: Brief) -> str:
    """Return the region of a brief's locale, empty where it names none."""
    return next((part for part in brief.locale.split("-")[1:] if len(part) == 2 and part.isupper()), "")


def _plain(value: Decimal) -> str:
    text = f"{value:f}"
    return text.rstrip("0").rstrip(".") if "." in text else text


def _in_words(value: Decimal) -> set[str]:
    """Return a whole number below a thousand in English words."""
    if value != value.to_integral_value() or not 0 < value < 1000:
        return set()
    hundreds, rest = divmod(int(value), 100)
    tail = ONES[rest] if rest < 20 else TENS[rest // 10 - 2] + (f"-{ONES[rest % 10]}" if rest % 10 else "")
    if not hundreds:
        return {tail}
    return {f"{ONES[hundreds]} hundred" + (f" {joint}{tail}" if rest else "") for joint in ("", "and ")}


def _fill(patterns: Iterable[str], values: Iterable[str]) -> set[str]:
    return {pattern.format(value) for pattern in patterns for value in values}
