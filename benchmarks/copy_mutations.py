"""Wrong messages made from right ones, by kind; whether one is really wrong is for the checker to say."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from random import Random
from typing import Any

from allocator.plugins.copy import Brief

Change = Callable[[str, Brief, Random], str]
"""Returns a text changed, or as it was where there is nothing to change."""

WORDS: dict[str, Any] = tomllib.loads(Path(__file__).with_name("copy_words.toml").read_text(encoding="utf-8"))
CLAUSE = re.compile(r"(?:[^.,，。\n]|(?<=\d)[.,](?=\d))*(?:[.,，。\n]\s?|$)")
NUMBER = re.compile(r"\d+(?:[.,]\d+)*")
SIGNS = ("$", "€", "£", "¥", "₹", "₩", "HK$", "US$", "CHF ", "SEK ", "CAD ", "A$")
UNITS = ("美元", "欧元", "英镑", "日元", "港元", "韩元", "元")
MONTHS = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")
MONEY = r"(?:(?:[A-Z]{0,3}[$€£¥₹₩]|[A-Z]{3}) ?[\d.,]*\d|[\d.,]*\d ?(?:[$€£¥₹₩]|[A-Z]{3}\b))"
LOOKALIKES = dict(zip("ABCEHIKMOPSTXaceiopsxy", "АВСЕНІКМОРЅТХасеіорѕху", strict=True))
PATTERNS = {
    "minimum": {
        "en": rf" on orders of {MONEY} or more|\nMinimum spend: [^\n]*",
        "zh": r"[，\n](?:使用[门門][槛檻]：)?[满滿][^，。\n]*",
    },
    "cap": {
        "en": rf", up to {MONEY} off|\nMaximum discount: [^\n]*",
        "zh": r"[，\n](?:最高[减減]|[优優]惠上限：)[^，。\n]*",
    },
    "code": {"en": r" Code: [\w-]+\.|\nCode: [\w-]+", "zh": r"[，\n][优優]惠[码碼]：[\w-]+"},
    "deadline": {
        "en": r",? [Vv]alid (?:from|until) [^.\n]*\.?|\nValid: [^\n]*",
        "zh": r"[，\n]有效期[^。\n]*",
    },
    "opt-out": {
        "en": r" Reply STOP to opt out|\nYou can unsubscribe.*",
        "zh": r"拒收请回复R|回覆STOP取消訂閱|\n如不想再收到.*",
    },
}


def mutate(
    kind: str, parts: Mapping[str, str], brief: Brief, rng: Random, other: Mapping[str, str]
) -> dict[str, str] | None:
    """Return a message changed in one of its parts (dropped facts: in all), None where nothing changed.

    Parameters
    ----------
    kind
        One of `KINDS`.
    parts, brief
        A message and what it was written for.
    rng
        Draws what is left open.
    other
        The message of another coupon, in the same channel and locale.
    """
    if kind in SPLICES:
        changed = SPLICES[kind](parts, other, rng)
        return changed if changed != dict(parts) else None
    changed = dict(parts)
    for part in rng.sample(sorted(parts), len(parts)):
        changed[part] = MUTATIONS[kind](parts[part], brief, rng)
        if changed[part] != parts[part] and not kind.endswith("dropped"):
            break
    return changed if changed != dict(parts) else None


def _pick(pattern: str, text: str, rng: Random, change: Callable[[re.Match[str]], str]) -> str:
    """Return `text` with one match of `pattern`, drawn at random, replaced."""
    found = list(re.finditer(pattern, text))
    if not found:
        return text
    match = rng.choice(found)
    return text[: match.start()] + change(match) + text[match.end() :]


def _digit_changed(text: str, _: Brief, rng: Random) -> str:
    return _pick(r"\d", text, rng, lambda m: str((int(m[0]) + rng.randint(1, 9)) % 10))


def _digit_added(text: str, _: Brief, rng: Random) -> str:
    return _pick(r"\d", text, rng, lambda m: m[0] + str(rng.randint(0, 9)))


def _digit_lost(text: str, _: Brief, rng: Random) -> str:
    return _pick(r"(?<=\d)\d|\d(?=\d)", text, rng, lambda _: "")


def _digits_swapped(text: str, _: Brief, rng: Random) -> str:
    return _pick(r"(\d)(?!\1)(\d)", text, rng, lambda m: m[2] + m[1])


def _point_moved(text: str, _: Brief, rng: Random) -> str:
    def change(match: re.Match[str]) -> str:
        digits = match[0].replace(",", "").replace(".", "")
        place = rng.randint(1, len(digits))
        return digits[:place] + ("." + digits[place:] if digits[place:] else "")

    return _pick(r"\d+(?:[.,]\d+)+|\d{2,}", text, rng, change)


def _separator(text: str, _: Brief, rng: Random) -> str:
    return _pick(
        r"(?<=\d)[.,](?=\d)",
        text,
        rng,
        lambda m: rng.choice(("", " ", ",." if rng.random() < 0.1 else ",."[m[0] == ","])),
    )


def _currency(text: str, brief: Brief, rng: Random) -> str:
    if brief.language == "zh" and re.search("|".join(UNITS), text):
        return _pick("|".join(UNITS), text, rng, lambda _: rng.choice(UNITS))
    return _pick(r"(?:[A-Z]{1,3})?[$€£¥₹₩]|\b(?:CHF|SEK|CAD|AUD|HKD|INR|KRW)\s?(?=\d)", text, rng,
                 lambda _: rng.choice(SIGNS))  # fmt: skip


def _percent_or_amount(text: str, brief: Brief, rng: Random) -> str:
    if brief.offer.kind == "percent":
        text = _pick(r"([\d.,]+)[\s\xa0]?%", text, rng, lambda m: rng.choice(SIGNS) + m[1])
        return _pick(r"([\d.]+)折", text, rng, lambda m: f"立减{m[1]}{rng.choice(UNITS)}")
    if brief.language == "en":
        return _pick(rf"{MONEY}(?= off)", text, rng, lambda m: NUMBER.search(m[0])[0] + "%")  # type: ignore[index]
    return _pick(r"立[减減]\D{0,4}([\d.,]+)\D{0,2}(?=[，。\n]|$)", text, rng, lambda m: f"{m[1]}折")


def _minimum_and_cap(text: str, brief: Brief, rng: Random) -> str:
    money = MONEY if brief.language == "en" else r"[A-Z$€£¥₹₩ ]*[\d.,]*\d[元美欧英镑日港韩A-Z]*"
    first = {"en": "(?:orders of|spend:) ", "zh": "[满滿]"}[brief.language]
    second = {"en": "(?:up to|discount:) ", "zh": "(?:最高[减減]|上限：)"}[brief.language]
    return re.sub(rf"({first})({money})(.*?{second})({money})", r"\1\4\3\2", text, count=1, flags=re.DOTALL)


def _date_part(which: str) -> Change:
    def change(text: str, brief: Brief, rng: Random) -> str:
        by = rng.choice((-1, 1, rng.randint(2, 6)))
        if which == "year":
            return _pick(r"\b20\d\d(?=年|\b)(?!-)", text, rng, lambda m: str(int(m[0]) + by))
        if brief.language == "zh":
            unit = {"day": "日", "month": "月"}[which]
            most = {"day": 28, "month": 12}[which]
            return _pick(rf"\d{{1,2}}(?={unit})", text, rng, lambda m: str((int(m[0]) - 1 + by) % most + 1))
        if which == "month":
            return _pick("|".join(rf"\b{m}\b" for m in MONTHS), text, rng,
                         lambda m: MONTHS[(MONTHS.index(m[0]) + by) % 12])  # fmt: skip
        names = "|".join(MONTHS)
        day = rf"(?<=\b[A-Z][a-z]{{2}} )\d{{1,2}}(?=, 20)|\b\d{{1,2}}(?= (?:{names}))"
        return _pick(day, text, rng, lambda m: str((int(m[0]) - 1 + by) % 28 + 1))

    return change


def _dates_swapped(text: str, brief: Brief, _: Random) -> str:
    if brief.language == "zh":
        return re.sub(r"有效期([\d年月日]+)至([\d年月日]+)", r"有效期\2至\1", text)
    return re.sub(r"from ([\w ,]*\d{4}) to ([\w ,]*\d{4})", r"from \2 to \1", text)


def _code(change: Callable[[str, Random], str]) -> Change:
    def mutation(text: str, brief: Brief, rng: Random) -> str:
        code = brief.offer.code
        start = text.rfind(code) if code else -1
        if not code or start < 0:
            return text
        return text[:start] + change(code, rng) + text[start + len(code) :]

    return mutation


def _other_letter(code: str, rng: Random) -> str:
    at = rng.randrange(len(code))
    return (
        code[:at]
        + rng.choice(("", rng.choice("ABCXYZ789"), code[at] + rng.choice("AZ19-_")))
        + code[at + 1 :]
    )


def _lookalike(code: str, rng: Random) -> str:
    found = [i for i, letter in enumerate(code) if letter in LOOKALIKES]
    at = rng.choice(found) if found else 0
    return code[:at] + LOOKALIKES.get(code[at], code[at]) + code[at + 1 :]


def _hidden(text: str, _: Brief, rng: Random) -> str:
    return _pick(
        r"(?<=\w)(?=\w)", text, rng, lambda _: rng.choice("\u200b\u200c\u200d\u2060\ufeff\u00ad\u202e")
    )


def _sentence(words: Mapping[str, Sequence[str]]) -> Change:
    """Return a change that adds a sentence or a clause somewhere that one could stand."""

    def change(text: str, brief: Brief, rng: Random) -> str:
        n = rng.randint(2, 60)
        said = rng.choice(words[brief.language]).format(n=n, z=rng.choice("二三四五六七"))
        if brief.language == "zh":
            return _pick(r"(?<=[，。】\n：])(?=[^\s])|$", text, rng, lambda _: said + rng.choice("，。"))
        return _pick(
            r"(?<=[.:] )(?=\S)|(?<=\n)(?=\S)", text, rng, lambda _: said + rng.choice((". ", "! ", ", "))
        )

    return change


def _beside(words: Mapping[str, Sequence[str]]) -> Change:
    """Return a change that puts words right before the discount."""

    def change(text: str, brief: Brief, rng: Random) -> str:
        said = rng.choice(words[brief.language])
        if brief.language == "zh":
            return _pick(r"(?=[\d.]+折|立[减減]|[减減]\d|免[运運][费費])", text, rng, lambda _: said)
        discount = rf"(?:\d[\d.,]*[\s\xa0]?%|{MONEY}) off|Free shipping"
        return _pick(discount, text, rng, lambda m: f"{said} {m[0]}")

    return change


def _replaced(words: Mapping[str, Mapping[str, str]]) -> Change:
    """Return a change of some words for others."""

    def change(text: str, brief: Brief, rng: Random) -> str:
        table = words[brief.language]
        found = [pattern for pattern in table if re.search(pattern, text)]
        if not found:
            return text
        pattern = rng.choice(found)
        return _pick(pattern, text, rng, lambda m: m.expand(table[pattern]))

    return change


def _dropped(what: str) -> Change:
    return lambda text, brief, _: re.sub(PATTERNS[what][brief.language], "", text)


def _unsigned(text: str, brief: Brief, _: Random) -> str:
    brand = re.escape(" ".join(brief.brand.split()))
    return re.sub(rf"^{brand}(?:: |：)|^【{brand}】|(?<=\n){brand}\n", "", text)


def _other_sender(text: str, brief: Brief, rng: Random) -> str:
    brand = " ".join(brief.brand.split())
    at = rng.randrange(len(brand))
    return text.replace(brand, brand[:at] + rng.choice("xqz") + brand[at + 1 :])


def _fold(text: str, _: Brief, rng: Random) -> str:
    def change(match: re.Match[str]) -> str:
        off = 100 - float(match[1]) * 10
        return rng.choice((f"{off / 10:g}折", f"减{100 - off:g}%", f"{off:g}折", f"{match[1]}%"))

    return _pick(r"([\d.]+)折", text, rng, change)


def _in_digits(first: int) -> Change:
    """Return a change of a number for another one, in the digits of another script or form."""

    def change(text: str, brief: Brief, rng: Random) -> str:
        other = _digit_changed(text, brief, rng)
        return NUMBER.sub(lambda m: "".join(chr(first + int(c)) if c.isdigit() else c for c in m[0]), other)

    return change


def _han_number(text: str, _: Brief, rng: Random) -> str:
    return _pick(
        r"\d[\d.,]*(?=折|元|美元|欧元)",
        text,
        rng,
        lambda _: rng.choice(("五", "三点八", "二十", "两百", "一千")),
    )


def _word_inserted(text: str, brief: Brief, rng: Random) -> str:
    word = rng.choice(WORDS["inserted"][brief.language])
    if brief.language == "zh":
        return _pick(r"(?=[^\s])", text, rng, lambda _: word)
    return _pick(r"(?<= )(?=\S)", text, rng, lambda _: word + " ")


def _word_lost(text: str, brief: Brief, rng: Random) -> str:
    return _pick(r"[\u4e00-\u9fff]" if brief.language == "zh" else r"[\w$€£¥%-]+ ", text, rng, lambda _: "")


def _words_swapped(text: str, brief: Brief, rng: Random) -> str:
    if brief.language == "zh":
        return _pick(r"([\u4e00-\u9fff]{2})([\u4e00-\u9fff]{2})", text, rng, lambda m: m[2] + m[1])
    return _pick(r"(\S+) (\S+)", text, rng, lambda m: f"{m[2]} {m[1]}")


def _part_of_other(parts: Mapping[str, str], other: Mapping[str, str], rng: Random) -> dict[str, str]:
    part = rng.choice(sorted(parts))
    return {**parts, part: other[part]}


def _clause_of_other(parts: Mapping[str, str], other: Mapping[str, str], rng: Random) -> dict[str, str]:
    """Return the body with one clause, from its place on, as the other message has it."""
    clauses, others = (CLAUSE.findall(message["body"]) for message in (parts, other))
    at = rng.randrange(min(len(clauses), len(others)))
    return {**parts, "body": "".join([*clauses[:at], others[at], *clauses[at + 1 :]])}


def _half_of_other(parts: Mapping[str, str], other: Mapping[str, str], rng: Random) -> dict[str, str]:
    clauses, others = (CLAUSE.findall(message["body"]) for message in (parts, other))
    at = rng.randint(1, max(1, min(len(clauses), len(others)) - 1))
    return {**parts, "body": "".join([*clauses[:at], *others[at:]])}


SPLICES: dict[str, Callable[[Mapping[str, str], Mapping[str, str], Random], dict[str, str]]] = {
    "message of another coupon": lambda _, other, __: dict(other),
    "part of another coupon's message": _part_of_other,
    "clause of another coupon's message": _clause_of_other,
    "rest of another coupon's message": _half_of_other,
}
MUTATIONS: dict[str, Change] = {
    "digit changed": _digit_changed,
    "digit added": _digit_added,
    "digit lost": _digit_lost,
    "digits swapped": _digits_swapped,
    "decimal point moved": _point_moved,
    "separator changed": _separator,
    "currency swapped": _currency,
    "percent for amount": _percent_or_amount,
    "minimum and cap swapped": _minimum_and_cap,
    "day shifted": _date_part("day"),
    "month shifted": _date_part("month"),
    "year shifted": _date_part("year"),
    "dates swapped": _dates_swapped,
    "code's character changed": _code(_other_letter),
    "code's case changed": _code(lambda code, _: code.swapcase()),
    "look-alike in the code": _code(_lookalike),
    "hidden character": _hidden,
    "word inserted": _word_inserted,
    "word lost": _word_lost,
    "words swapped": _words_swapped,
    "fold turned round": _fold,
    "Chinese numeral": _han_number,
    "full-width digits, another number": _in_digits(0xFF10),
    "Arabic digits, another number": _in_digits(0x0660),
    "signature dropped": _unsigned,
    "sender changed": _other_sender,
    **{f"{what} dropped": _dropped(what) for what in PATTERNS},
    **{kind: _sentence(words) for kind, words in WORDS["added"].items()},
    **{kind: _beside(words) for kind, words in WORDS["beside"].items()},
    **{kind: _replaced(words) for kind, words in WORDS["replaced"].items()},
}
KINDS = (*MUTATIONS, *SPLICES)
