"""A second reader of finished messages, which shares no code with the guard or with what writes them.

The guard parses a text and compares what it finds with the coupon. This checker goes the other way: from
the coupon row it writes down every clause that would be right, takes those out of the text, and looks at
what is left. Nothing that is left may speak of numbers, money, dates, codes or offers, and each clause
taken out must stand alone, between punctuation.
"""

from __future__ import annotations

import re
import tomllib
import unicodedata
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from allocator.plugins.copy import Brief
from benchmarks.copy_renderings import cap_of, clauses, region_of

DONE = "\ue000"  # stands for a clause that was taken out
STOPS = frozenset(DONE + "\n.:;,!?|、。")
WORDS: dict[str, Any] = tomllib.loads(Path(__file__).with_name("copy_words.toml").read_text(encoding="utf-8"))
HAN_NUMERALS = "〇零一二三四五六七八九十百千万亿两壹贰叁肆伍陆柒捌玖拾"
HAN_UNITS = "折元块毛角日号月年成倍件份张天%港美欧英人"
# One piece and one person may be any piece or person; one of a price, a day or a share is a number.
NUMBER_IN_WORDS = re.compile(
    rf"(?!(?<![买送满第])一[件份张人天英])[{HAN_NUMERALS}][{HAN_NUMERALS}.点]*[{HAN_UNITS}]"
)
WORD = re.compile(r"[^\W\d_]+(?:'[^\W\d_]+)*")
# By channel, language and region ("" where the locale names none, or one that is not listed).
OPT_OUTS = {
    ("sms", "en", ""): "reply stop to opt out",
    ("sms", "zh", ""): "拒收请回复r",
    ("sms", "zh", "HK"): "回覆stop取消訂閱",
    ("email", "en", ""): "you can unsubscribe from these e-mails at any time.",
    ("email", "zh", ""): "如不想再收到此类邮件,可随时退订。",
    ("email", "zh", "HK"): "如不想再收到此類郵件,可隨時取消訂閱。",
}
SIMPLIFIED = str.maketrans(
    "減滿優碼運費門檻單筆郵惠發額贈買禮絕對後搶購趕僅將時點積獎紅場價積極頂級",
    "减满优码运费门槛单笔邮惠发额赠买礼绝对后抢购赶仅将时点积奖红场价积极顶级",
)
MAINLAND = ("", "CN")  # where a Chinese e-mail must say that it is advertising


@dataclass(frozen=True)
class Fault:
    """What is wrong with a text, and where."""

    kind: str
    detail: str


def faults(parts: Mapping[str, str], brief: Brief) -> list[Fault]:
    """Return everything that is wrong with a finished message for `brief`."""
    return list(_faults(parts, brief))


def _faults(parts: Mapping[str, str], brief: Brief) -> Iterator[Fault]:
    right = clauses(brief)
    stated: dict[str, set[str]] = {}
    for part, text in parts.items():
        yield from _characters(part, text)
        left, seen, broken = _without_code(text, brief)
        yield from broken
        left, frame = _without_frame(part, _folded(left), brief)
        yield from frame
        for role, said in sorted(
            ((role, said) for role, all_said in right.items() for said in all_said),
            key=lambda pair: -len(pair[1]),
        ):
            if said in left:
                left = left.replace(said, DONE)
                seen.add(role)
        stated[part] = seen
        yield from _leftovers(part, left, brief.language)
    # An e-mail states everything in its body; where there is a title, it and the body are read together.
    read = stated["body"] if brief.channel == "email" else set().union(*stated.values())
    for role in sorted(_owed(brief) - read):
        yield Fault(f"no {role}", "is not stated, or not in these words")


def _owed(brief: Brief) -> set[str]:
    offer = brief.offer
    owed = {"discount"}
    owed |= {"minimum"} if offer.min_spend else set()
    owed |= {"cap"} if cap_of(brief) is not None else set()
    owed |= {"code"} if offer.code else set()
    return owed | ({"period"} if offer.starts_at or offer.ends_at else set())


def _characters(part: str, text: str) -> Iterator[Fault]:
    for character in text:
        if unicodedata.category(character) in {"Cf", "Cc", "Co", "Cn", "Cs"} and character != "\n":
            yield Fault("hidden character", f"{part}: U+{ord(character):04X}")
    if re.search(r"[\[\]{}<>]|://|@|\bwww\.|[a-z]\.[a-z]{2,}", text, re.IGNORECASE):
        yield Fault("mark-up, slot or link", f"{part}: {text[:80]}")


def _without_code(text: str, brief: Brief) -> tuple[str, set[str], list[Fault]]:
    """Return the text without its code, letter for letter; before any letter is made lower case."""
    if not brief.offer.code:
        return text, set(), []
    seen: set[str] = set()
    for lead in ("Use code ", "Code: ", "code: ", "优惠码\uff1a", "優惠碼\uff1a"):
        clause = lead + brief.offer.code
        start = text.find(clause)
        if start < 0:
            continue
        if re.match(r"[\w-]", text[start + len(clause) :]):
            return text, seen, [Fault("code", f"goes on after '{clause}'")]
        text, seen = text.replace(clause, DONE), {"code"}
    return text, seen, []


def _folded(text: str) -> str:
    text = unicodedata.normalize("NFKC", text).casefold()
    return re.sub(r"[^\S\n]+", " ", text)


def _without_frame(part: str, text: str, brief: Brief) -> tuple[str, list[Fault]]:
    """Return the text without sender, opt-out and fixed words, and what of these is missing."""
    brand, region = _folded(" ".join(brief.brand.split())), region_of(brief)
    chinese = brief.language == "zh"
    wrong: list[Fault] = []
    if part == "subject" and chinese:
        if region in MAINLAND and not re.match(r"广告|ad\b", text):
            wrong.append(Fault("no advertising mark", text[:40]))
        text = re.sub(r"^(广告|ad) ?\| ?", "\n", text)
    if part != "body" or brief.channel not in ("sms", "email"):
        return text, wrong
    sign = f"\n{brand}\n"
    if brief.channel == "sms":
        sign = f"【{brand}】" if chinese and region in MAINLAND else f"{brand}:"
    if not (text.startswith(sign) if brief.channel == "sms" else sign in text):
        wrong.append(Fault("no signature", brand))
    text = text.replace(sign, "\n", 1)
    for opening in ("here is your offer from {}:", "{}为您准备了以下优惠:", "{}為您準備了以下優惠:"):
        text = text.replace(opening.format(brand), "\n")
    where = (brief.channel, brief.language, region)
    notice = _folded(brief.opt_out) or OPT_OUTS.get(where) or OPT_OUTS[*where[:2], ""]
    if not text.endswith(notice):
        wrong.append(Fault("no opt-out", text[-40:]))
    text = text.removesuffix(notice)
    for label in ("offer: ", "优惠:", "優惠:"):
        text = text.replace(f"\n{label}", "\n")
    return text, wrong


def _leftovers(part: str, left: str, language: str) -> Iterator[Fault]:
    """Yield what may not stand beside the right clauses."""
    for place in (i for i, character in enumerate(left) if character == DONE):
        before, after = left[:place].rstrip(" ")[-1:], left[place + 1 :].lstrip(" ")[:1]
        if (before and before not in STOPS) or (after and after not in STOPS):
            yield Fault("not alone", f"{part}: ...{left[max(0, place - 20) : place + 21]}...")
    rest = left.replace(DONE, " ; ").translate(SIMPLIFIED)
    for i, character in enumerate(rest):
        if unicodedata.category(character) in {"Nd", "No", "Nl", "Sc"} or character in "%‰":
            yield Fault("number or money", f"{part}: ...{rest[max(0, i - 15) : i + 16]}...")
            break
    words = WORD.findall(rest)
    for kind in ("offer", "claim"):
        listed = WORDS[kind]
        found = set(listed["en"].split()) & set(words)
        found |= {phrase for phrase in (*listed["en_phrases"], *listed["zh"]) if phrase in rest}
        if found:
            yield Fault(f"{kind} in words", f"{part}: {', '.join(sorted(found))}")
    if NUMBER_IN_WORDS.search(rest):
        yield Fault("number in words", f"{part}: {rest[:60]}")
    for word in words:
        scripts = {unicodedata.name(letter, "?").split(" ")[0] for letter in word}
        if scripts - ({"LATIN"} if language == "en" else {"CJK"}):
            yield Fault("script", f"{part}: {word}")
