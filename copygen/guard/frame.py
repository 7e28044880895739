"""The words around the facts: a message is a hook, the facts, and these few words; nothing else.

Reading facts alone would let "up to 15% off", "no minimum spend" or "off everything" pass.
"""

from __future__ import annotations

import re
import tomllib
import unicodedata
from collections.abc import Iterator, Mapping
from functools import cache
from importlib.resources import files
from typing import Any

from allocator.plugins.copy import Brief, Verdict
from copygen.guard.hook import check_hook

FACT = "\x1f"
SITEWIDE = frozenset({"", "all", "any", "everything", "sitewide", "storewide", "全场", "全部", "全店"})
HOOK = rf"(?P<hook>[^{FACT}\n]+?)"
CATEGORY = rf"(?P<category>[^{FACT}\n.,:]+?)"

# Texts arrive in NFKC, without signature and notice, each fact as one character (a code with its label).
EN_OFFER = rf"{FACT}(?: off)?(?: (?:(?<=off )|on ){CATEGORY})?"
EN_PERIOD = rf"(?:until {FACT}|from {FACT}|from {FACT} to {FACT})"
EN_MINIMUM = rf"(?: on orders of {FACT} or more)?"
EN_LINE = rf"{EN_OFFER}{EN_MINIMUM}(?:, up to {FACT} off)?\.(?: {FACT}\.)?(?: Valid {EN_PERIOD}\.)?"
ZH_OFFER = rf"{CATEGORY}??(?:立?[减減])?{FACT}"
ZH_PERIOD = rf"(?:有效期至{FACT}|有效期自{FACT}起|有效期{FACT}至{FACT})"
ZH_LINE = rf"{ZH_OFFER}(?:,[满滿]{FACT}可用)?(?:,最高[减減]{FACT})?(?:,{FACT})?(?:,{ZH_PERIOD})?。"
FRAMES: Mapping[tuple[str, str], Mapping[str, str]] = {
    ("sms", "en"): {"body": rf"(?:{HOOK}[.?] )?{EN_LINE}"},
    ("push", "en"): {"title": rf"(?:{EN_OFFER}|{HOOK})", "body": EN_LINE},
    ("in_app", "en"): {"title": rf"(?:{EN_OFFER}|{HOOK})", "body": EN_LINE},
    ("email", "en"): {
        "subject": rf"(?:{EN_OFFER}|{HOOK})",
        "preheader": rf"{EN_OFFER}{EN_MINIMUM}(?:, valid {EN_PERIOD})?\.",
        "body": rf"Hello,\n\n(?:{HOOK}[.?]\n\n)?Here is your offer from :\n\n"
        rf"Offer: {EN_OFFER}(?:\nMinimum spend: {FACT})?"
        rf"(?:\nMaximum discount: {FACT})?(?:\n{FACT})?(?:\nValid: {EN_PERIOD})?",
    },
    ("sms", "zh"): {"body": rf"(?:{HOOK}[。?])?{ZH_LINE}"},
    ("push", "zh"): {"title": rf"(?:{ZH_OFFER}|{HOOK})", "body": ZH_LINE},
    ("in_app", "zh"): {"title": rf"(?:{ZH_OFFER}|{HOOK})", "body": ZH_LINE},
    ("email", "zh"): {
        "subject": rf"(?:{ZH_OFFER}|{HOOK})",
        "preheader": rf"{ZH_OFFER}(?:,[满滿]{FACT}可用)?(?:,{ZH_PERIOD})?。",
        "body": rf"您好:\n\n(?:{HOOK}[。?]\n\n)?[为為]您[准準][备備]了以下[优優]惠:\n\n[优優]惠:{ZH_OFFER}"
        rf"(?:\n使用[门門][槛檻]:[满滿]{FACT})?(?:\n[优優]惠上限:{FACT})?(?:\n{FACT})?(?:\n{ZH_PERIOD})?",
    },
}

# A hook is checked as it was written; reading facts makes full-width marks ASCII.
CHINESE_MARKS = str.maketrans(",:?", "，：？")


def check_frame(rests: Mapping[str, str], brief: Brief) -> Iterator[Verdict]:
    """Yield words around the facts that are not the frame's, and what is wrong with hook and category.

    Parameters
    ----------
    rests
        The text of each part without its facts, as `facts.read_statement` leaves it.
    brief
        What was asked for.
    """
    names = _names(brief.offer.category, brief.language)
    for part, rest in rests.items():
        match = _frame(brief.channel, brief.language, part).fullmatch(rest)
        if match is None:
            shown = rest.replace(FACT, "…").replace("\n", " ")
            yield Verdict("frame", f"{part} says more or less than hook and facts: '{shown[:80]}'")
            continue
        hook = match.groupdict().get("hook")
        if hook:
            if brief.language == "zh":
                hook = hook.translate(CHINESE_MARKS)
            yield from check_hook(
                hook, brief.channel, brief.language, banned=brief.banned, private=brief.private
            )
        if FACT in rest:
            found = match["category"] or ""
            if found.casefold() not in names:
                expected = " or ".join(f"'{name}'" for name in sorted(names)) or "nothing"
                yield Verdict("category", f"{part} speaks of '{found[:40]}', the coupon is for {expected}")


@cache
def _frame(channel: str, language: str, part: str) -> re.Pattern[str]:
    return re.compile(FRAMES[channel, language][part])


@cache
def _names(category: str | None, language: str) -> frozenset[str]:
    """Return what a coupon's category may be called: its label, our word for it, or "selected items"."""
    label = " ".join(unicodedata.normalize("NFKC", category or "").split()).casefold()
    if label in SITEWIDE:
        return frozenset({""})
    labels, general = _data("labels"), _data("themes")["general"]
    english = [word for word, chinese in labels["zh"].items() if language == "en" and chinese == label]
    named = [labels[language].get(label, label), label, general[language], *english]
    return frozenset(unicodedata.normalize("NFKC", name).casefold() for name in named)


@cache
def _data(name: str) -> dict[str, Any]:
    """Return a table of names that a person has approved; the guard reads it with code of its own."""
    return tomllib.loads(files("copygen").joinpath("data", f"{name}.toml").read_text(encoding="utf-8"))
