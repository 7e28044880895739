"""How a region writes numbers and currencies, read from a table of the guard's own."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from fractions import Fraction
from functools import cache
from importlib.resources import files

# Signs of one currency everywhere, and those that a reader without a region takes for one (or for two:
# then a text with it is right for either).
SIGNS: Mapping[str, str] = {
    "US$": "USD", "CA$": "CAD", "A$": "AUD", "AU$": "AUD", "NZ$": "NZD", "HK$": "HKD", "NT$": "TWD",
    "S$": "SGD", "MOP$": "MOP", "CN¥": "CNY", "RMB¥": "CNY", "JP¥": "JPY", "€": "EUR", "£": "GBP", "₹": "INR",
    "₩": "KRW", "₪": "ILS", "₱": "PHP",
}  # fmt: skip
WITHOUT_REGION: Mapping[str, frozenset[str]] = {"$": frozenset({"USD"}), "¥": frozenset({"CNY", "JPY"})}
UNITS: Mapping[str, str] = {
    "美元": "USD", "欧元": "EUR", "歐元": "EUR", "英镑": "GBP", "英鎊": "GBP", "日元": "JPY", "日圓": "JPY",
    "韩元": "KRW", "韓元": "KRW", "港元": "HKD", "新台币": "TWD", "新台幣": "TWD", "人民币": "CNY",
}  # fmt: skip
CODES = frozenset(
    "USD EUR GBP CNY RMB JPY KRW HKD TWD MOP SGD MYR THB VND IDR PHP INR PKR AUD NZD CAD MXN BRL CHF"  # noqa: SIM905
    " SEK NOK DKK ISK PLN CZK HUF RON BGN TRY RUB UAH ILS AED SAR ZAR KES NGN EGP".split()
)
CURRENCY_CHARACTERS = "$€£¥₹₩₪₱₫₺₽₦฿¢₴₵"


@dataclass(frozen=True)
class Marks:
    """How to read the numbers of a text.

    Parameters
    ----------
    percent, money
        Patterns of a percentage (groups ``percent`` or ``fold``) and of an amount (groups ``sign``, ``iso``
        or ``unit`` and ``n1``, ``n2`` or ``n3``).
    exact
        Pattern of a whole well-formed number.
    group, decimal
        The mark between thousands and the mark before decimals.
    signs
        The currencies that a sign or unit may mean.
    """

    percent: re.Pattern[str]
    money: re.Pattern[str]
    exact: re.Pattern[str]
    group: str
    decimal: str
    signs: Mapping[str, frozenset[str]]

    def number(self, text: str) -> Fraction | None:
        """Return the value of `text`, or None if this region writes no number so."""
        if not self.exact.fullmatch(text):
            return None
        return Fraction(text.replace(self.group, "").replace(self.decimal, "."))

    def currencies(self, sign: str) -> frozenset[str]:
        """Return what a sign, a unit or a code may mean; nothing if it means no single currency here."""
        return self.signs.get(sign, frozenset({sign}) if re.fullmatch("[A-Z]{3}", sign) else frozenset())


def region_of(locale: str) -> str:
    """Return the region subtag of a locale, or an empty string."""
    match = re.search(r"[-_]([A-Za-z]{2})(?=\Z|[-_])", locale)
    return match[1].upper() if match else ""


@cache
def known_regions() -> Mapping[str, Mapping[str, str]]:
    """Return the table of regions."""
    text = files("copygen.guard").joinpath("data", "regions.toml").read_text(encoding="utf-8")
    return tomllib.loads(text)


@cache
def marks_of(region: str, language: str) -> Marks:
    """Return the marks of a region; without one, or of one not known, those of the bare language."""
    row = known_regions().get(region, {"group": ",", "decimal": ".", "currency": "", "sign": ""})
    group, decimal = row["group"], row["decimal"]
    signs = {sign: frozenset({code}) for sign, code in {**SIGNS, **UNITS}.items()}
    if region:
        signs.update({row["sign"]: frozenset({row["currency"]})} if row["sign"] else {})
    else:
        signs.update(WITHOUT_REGION)
    signs["元"] = frozenset({"CNY"} if region in ("", "CN") else ())
    return Marks(*_patterns(group, decimal, bool(row.get("lakh")), tuple(signs)), group, decimal, signs)


def _patterns(
    group: str, decimal: str, lakh: bool, signs: tuple[str, ...]
) -> tuple[re.Pattern[str], re.Pattern[str], re.Pattern[str]]:
    spaced = r"(?: \d{3}(?!\d))*" if group == " " else ""
    loose = rf"(?<!\d)(?<!\d[.,'])\d(?:[\d.,']*\d)?{spaced}(?:[.,]\d+)?"
    groups = rf"\d{{1,2}}(?:,\d{{2}})*,\d{{3}}|\d{{1,3}}{re.escape(group)}\d{{3}}" if lakh else (
        rf"\d{{1,3}}(?:{re.escape(group)}\d{{3}})+"
    )  # fmt: skip
    exact = rf"(?:{groups}|\d+)(?:{re.escape(decimal)}\d+)?"
    own = "|".join(re.escape(sign) for sign in sorted(signs, key=len, reverse=True))
    # A sign that the table does not know is read as well, so that it is found wrong.
    sign = rf"(?:(?<![A-Za-z])(?:{own})|[A-Za-z]{{0,3}}[{CURRENCY_CHARACTERS}])"
    return (
        re.compile(rf"(?P<percent>{loose})\s*%|(?P<fold>{loose})\s*折"),
        re.compile(
            rf"(?P<sign>{sign}) ?(?P<n1>{loose})"
            rf"|(?<![A-Za-z])(?P<iso>[A-Z]{{3}}) (?P<n2>{loose})"
            rf"|(?P<n3>{loose}) ?(?P<unit>(?:{own}|[A-Za-z]{{0,3}}[{CURRENCY_CHARACTERS}]|[A-Z]{{3}}))"
            r"(?![A-Za-z])(?! ?\d)"
        ),
        re.compile(exact),
    )
