"""Reads every number, amount, percent, date and code back out of a text and compares it with the coupon row.

Written against the coupon row alone: it shares no code with the formatting, so it catches its bugs.
"""

from __future__ import annotations

import datetime as dt
import re
import unicodedata
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from fractions import Fraction

from allocator.plugins.copy import Offer, Verdict
from copygen.guard.marks import CODES, Marks

MONTHS = {
    "jan": 1, "feb": 2, "mar": 3, "apr": 4, "may": 5, "jun": 6,
    "jul": 7, "aug": 8, "sep": 9, "oct": 10, "nov": 11, "dec": 12,
}  # fmt: skip
MONTH = "(?:" + "|".join(MONTHS) + ")"
CODE = re.compile(
    r"(?:(?<![A-Za-z])codes?(?![A-Za-z])|优惠码|優惠碼)\s*:?\s*(?P<code>[A-Za-z0-9_-]+)?", re.IGNORECASE
)
DATE = re.compile(
    rf"(?<![A-Za-z])(?P<m1>{MONTH})[a-z]*\.? (?P<d1>\d{{1,2}}), (?P<y1>\d{{4}})"
    rf"|(?<!\d)(?P<d2>\d{{1,2}}) (?P<m2>{MONTH})[a-z]*\.? (?P<y2>\d{{4}})"
    r"|(?<!\d)(?P<y3>\d{4})年(?P<m3>\d{1,2})月(?P<d3>\d{1,2})日",
    re.IGNORECASE,
)
FREE_SHIPPING = re.compile(r"free shipping|免运费|免運費", re.IGNORECASE)
START = re.compile(r"(?:from|有效期自|有效期) ?$", re.IGNORECASE)
END = re.compile(r"(?:(?:until|to) |至)$", re.IGNORECASE)
MINIMUM = re.compile(r"(?:orders of |minimum spend: |[满滿])$", re.IGNORECASE)
CAP = re.compile(r"(?:up to |maximum discount: |最高[减減]|(?:优惠|優惠)上限:)$", re.IGNORECASE)
LESS = re.compile(r"[减減]$")
TAKEN_OFF = re.compile(r"立[减減]$")
OFF = re.compile(r"^ off(?![A-Za-z])", re.IGNORECASE)
NUMERAL_WITH_UNIT = re.compile(
    "[零〇一二两兩三四五六七八九十百千万萬亿億半几幾壹贰叁肆伍陆柒捌玖拾佰仟]+(?:折|元|圆|圓|块|塊|角|毛|成|倍|个点|個點)|百分之"
)
PERCENT_WORD = re.compile(r"(?<![A-Za-z])per ?cent(?![A-Za-z])", re.IGNORECASE)
CURRENCY_WORD = re.compile(
    rf"(?<![A-Za-z])(?:{'|'.join(sorted(CODES))}|(?i:dollars?|euros?|bucks?|quid|yuan|renminbi|yen|rupees?|francs?))(?![A-Za-z])"
    "|美元|欧元|歐元|英镑|英鎊|日元|日圓|韩元|韓元|港元|港币|港幣|人民币|人民幣|块钱|塊錢"
)
DONE = "\x1f"  # stands where a fact was read
OFF_WITHOUT_FIGURE = re.compile(
    rf"(?<!{DONE} )(?<![A-Za-z])off(?![A-Za-z])|(?:[立满滿直][减減]|最高[减減]|折扣)(?!{DONE})", re.IGNORECASE
)


@dataclass
class Statement:
    """What one part states: facts by role, and verdicts on what has no role."""

    marks: Marks
    facts: dict[str, list[object]] = field(default_factory=dict)
    verdicts: list[Verdict] = field(default_factory=list)
    rest: str = ""

    def add(self, role: str, fact: object) -> None:
        """Note a fact that the text states."""
        self.facts.setdefault(role, []).append(fact)


Taker = Callable[[re.Match[str], str, str, Statement], None]


def check_facts(parts: Mapping[str, str], offer: Offer, channel: str, marks: Marks) -> Iterator[Verdict]:
    """Yield every fact of `parts` that is wrong, missing or not the coupon's."""
    expected = _expected(offer)
    for part, text in parts.items():
        statement = read_statement(text, marks)
        yield from statement.verdicts
        for role, facts in statement.facts.items():
            for fact in facts:
                if role not in expected:
                    yield Verdict(role, f"{part} states {_show(fact)}, the coupon has none")
                elif not _same(fact, expected[role]):
                    yield Verdict(
                        role, f"{part} states {_show(fact)}, the coupon says {_show(expected[role])}"
                    )
        if part == "body":
            for role in expected:
                # A push has no room for the first day.
                if role not in statement.facts and not (
                    channel == "push" and role == "start" and "end" in expected
                ):
                    yield Verdict(role, f"{_show(expected[role])} is missing")
        yield from _foreign_offers(statement.rest)


def read_statement(text: str, marks: Marks) -> Statement:
    """Parse one part of a message by the marks of its region."""
    statement = Statement(marks)
    text = _normal(text)
    text = CODE.sub(lambda m: _take_code(m, statement), text)
    text = _scan(DATE, text, _take_date, statement)
    text = _scan(marks.percent, text, _take_percent, statement)
    text = _scan(marks.money, text, _take_money, statement)
    text = FREE_SHIPPING.sub(lambda m: _take_free_shipping(statement), text)
    left = re.search(r"\S*\d\S*", text)
    if left:
        statement.verdicts.append(Verdict("number", f"'{_clip(left[0])}' is no fact of the coupon"))
    numeral = NUMERAL_WITH_UNIT.search(text) or PERCENT_WORD.search(text)
    if numeral:
        statement.verdicts.append(Verdict("number", f"'{numeral[0]}' is no fact of the coupon"))
    sign = next((c for c in text if unicodedata.category(c) == "Sc" or c in "%‰折"), None)
    if sign:
        statement.verdicts.append(Verdict("number", f"'{sign}' without its number"))
    word = CURRENCY_WORD.search(text)
    if word:
        statement.verdicts.append(Verdict("currency", f"'{word[0]}' without its number"))
    statement.rest = text
    return statement


def _normal(text: str) -> str:
    """Return `text` with full-width forms as ASCII and every numeric character as digits or a marker."""
    text = unicodedata.normalize("NFKC", text).replace("\u2019", "'")
    digits = []
    for c in text:
        if c in "0123456789" or not (c.isdigit() or unicodedata.category(c) in ("Nl", "No")):
            digits.append(c)
        else:
            digits.append("9" * 9)  # a digit of another script never equals a fact
    return "".join(digits)


def _scan(pattern: re.Pattern[str], text: str, take: Taker, statement: Statement) -> str:
    # The context is cut from the text as it stands, so that a role word serves one fact only.
    def replace(match: re.Match[str]) -> str:
        take(match, text[: match.start()], text[match.end() :], statement)
        return DONE

    return pattern.sub(replace, text)


def _take_code(match: re.Match[str], statement: Statement) -> str:
    statement.add("code", match["code"] or "nothing")
    return DONE


def _take_free_shipping(statement: Statement) -> str:
    statement.add("free_shipping", "free shipping")
    return DONE


def _take_date(match: re.Match[str], before: str, after: str, statement: Statement) -> None:
    year, month, day = (match["y1"] or match["y2"] or match["y3"], match["m1"] or match["m2"] or match["m3"],
                        match["d1"] or match["d2"] or match["d3"])  # fmt: skip
    try:
        found = dt.date(int(year), MONTHS.get(month[:3].lower()) or int(month), int(day))
    except ValueError:
        statement.verdicts.append(Verdict("date", f"'{match[0]}' is no date"))
        return
    if END.search(before):
        statement.add("end", found)
    elif START.search(before):
        statement.add("start", found)
    else:
        statement.verdicts.append(Verdict("date", f"'{match[0]}' says neither from when nor until when"))


def _take_percent(match: re.Match[str], before: str, after: str, statement: Statement) -> None:
    number = statement.marks.number(match["percent"] or match["fold"])
    if number is None:
        statement.verdicts.append(Verdict("percent", f"'{match[0]}' is no number"))
    elif CAP.search(before):
        statement.verdicts.append(Verdict("percent", f"'up to {match[0]}' is not what the coupon says"))
    elif match["percent"] and not (OFF.search(after) or LESS.search(before)):
        statement.verdicts.append(Verdict("percent", f"'{match[0]}' is not taken off"))
    else:
        statement.add("percent", 100 - 10 * number if match["fold"] else number)


def _take_money(match: re.Match[str], before: str, after: str, statement: Statement) -> None:
    number = statement.marks.number(match["n1"] or match["n2"] or match["n3"])
    if number is None:
        statement.verdicts.append(Verdict("amount", f"'{match[0]}' is no amount"))
        return
    sign = match["sign"] or match["iso"] or match["unit"]
    currencies = statement.marks.currencies(sign)
    fact = (number, currencies)
    if MINIMUM.search(before):
        statement.add("min_spend", fact)
    elif CAP.search(before):
        statement.add("cap", fact)
    elif TAKEN_OFF.search(before) or OFF.search(after):
        statement.add("amount", fact)
    else:
        statement.verdicts.append(Verdict("amount", f"'{match[0]}' is neither discount, minimum nor cap"))


def _expected(offer: Offer) -> dict[str, object]:
    def money(value: float) -> tuple[Fraction, frozenset[str]]:
        return Fraction(str(value)), frozenset({offer.currency})

    facts: dict[str, object] = {}
    if offer.kind == "percent":
        facts["percent"] = Fraction(str(offer.value))
    elif offer.kind == "amount":
        facts["amount"] = money(offer.value)
    else:
        facts["free_shipping"] = "free shipping"
    if offer.min_spend:
        facts["min_spend"] = money(offer.min_spend)
    if offer.max_discount is not None and not (offer.kind == "amount" and offer.max_discount >= offer.value):
        facts["cap"] = money(offer.max_discount)
    if offer.code:
        facts["code"] = offer.code
    if offer.starts_at:
        facts["start"] = dt.date.fromisoformat(offer.starts_at)
    if offer.ends_at:
        facts["end"] = dt.date.fromisoformat(offer.ends_at)
    return facts


def _same(found: object, expected: object) -> bool:
    if isinstance(found, tuple) and isinstance(expected, tuple):
        return bool(found[0] == expected[0] and expected[1] <= found[1])
    return found == expected


def _foreign_offers(rest: str) -> Iterator[Verdict]:
    """Yield offers in words: something is taken off although no figure of the coupon stands there."""
    match = OFF_WITHOUT_FIGURE.search(rest)
    if match:
        yield Verdict("foreign_offer", f"'{match[0]}' without a figure of the coupon")


def _show(fact: object) -> str:
    if isinstance(fact, tuple):
        return f"{float(fact[0]):g} {'/'.join(sorted(fact[1])) or 'of an unknown currency'}"
    return f"{float(fact):g}" if isinstance(fact, Fraction) else f"'{fact}'"


def _clip(text: str) -> str:
    return text.replace(DONE, "…")[:40]
