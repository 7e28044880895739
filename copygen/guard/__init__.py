"""Reads a finished text against the coupon row and says, by rule, what is wrong with it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from allocator.plugins.copy import Brief, Verdict
from copygen.guard.facts import DONE, check_facts, read_statement
from copygen.guard.frame import check_frame
from copygen.guard.hook import check_hook
from copygen.guard.length import check_length, sms_segments
from copygen.guard.lookalikes import check_lookalikes
from copygen.guard.marks import known_regions, marks_of, region_of
from copygen.guard.personal import check_personal
from copygen.guard.signature import check_brand, check_notice, unsigned
from copygen.guard.text import check_characters, check_repetition, check_script, check_symbols
from copygen.guard.words import listed_words

__all__ = ["PARTS", "check", "check_hook", "sms_segments"]

PARTS = {
    "sms": ("body",),
    "push": ("title", "body"),
    "email": ("subject", "preheader", "body"),
    "in_app": ("title", "body"),
}
TRADITIONAL = ("HK", "MO", "TW")


def check(parts: Mapping[str, str], brief: Brief) -> tuple[Verdict, ...]:
    """Return everything that is wrong with a finished message; empty if it may be sent.

    Parameters
    ----------
    parts
        The text by part, as in `allocator.plugins.protocols.Copy`.
    brief
        What was asked for; ``brief.offer`` is the coupon row that every fact is compared with, and the
        region of ``brief.locale`` says how numbers are read and whose rules hold.
    """
    return tuple(_findings(parts, brief))


def _findings(parts: Mapping[str, str], brief: Brief) -> Iterator[Verdict]:
    if tuple(parts) != PARTS[brief.channel]:
        yield Verdict("parts", f"has {', '.join(parts)}, expected {', '.join(PARTS[brief.channel])}")
        return
    region = region_of(brief.locale)
    if region and region not in known_regions():
        known = ", ".join(sorted(known_regions()))
        yield Verdict("locale", f"how '{brief.locale[:20]}' writes numbers is not known; known are {known}")
        return
    traditional = _is_traditional(brief.locale, region)
    # Chinese without a region, in simplified characters, is the mainland's.
    country = region or ("CN" if brief.language == "zh" and not traditional else "")
    yield from check_brand(brief.brand.strip(), brief.channel, country)
    yield from check_notice(" ".join(brief.opt_out.split()), brief.channel, brief.language, country)
    yield from check_length(parts, brief.channel)
    texts, missing = unsigned(parts, brief, country)
    yield from missing
    marks = marks_of(region, brief.language)
    yield from check_facts(texts, brief.offer, brief.channel, marks)
    rests = {part: read_statement(text, marks).rest for part, text in texts.items()}
    yield from check_frame(rests, brief)
    for part, text in texts.items():
        yield from check_lookalikes(text, part)
        # The coupon's own facts are exempt from rules about words: a code may be XXXX or A__B.
        words = rests[part]
        yield from check_characters(words.replace(DONE, "0"), part)
        yield from check_symbols(words.replace(DONE, ""), part)
        yield from check_script(words, part, brief.language, traditional)
        yield from check_repetition(words.replace(DONE, " 0 "), part, brief.language)
        yield from check_personal(words, part)
        yield from listed_words(words, "claims", country)


def _is_traditional(locale: str, region: str) -> bool:
    scripts = locale.casefold().split("-")
    return "hant" in scripts or (region in TRADITIONAL and "hans" not in scripts)
