"""Reads a finished text against the coupon row and says, by rule, what is wrong with it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from allocator.protocols import Brief, Verdict
from copygen.guard.facts import DONE, check_facts, read_statement
from copygen.guard.hook import check_hook
from copygen.guard.length import check_length, sms_segments
from copygen.guard.signature import check_brand, unsigned
from copygen.guard.text import check_characters, check_repetition, check_script
from copygen.guard.words import listed_words

__all__ = ["PARTS", "check", "check_hook", "sms_segments"]

PARTS = {
    "sms": ("body",),
    "push": ("title", "body"),
    "email": ("subject", "preheader", "body"),
    "in_app": ("title", "body"),
}


def check(parts: Mapping[str, str], brief: Brief) -> tuple[Verdict, ...]:
    """Return everything that is wrong with a finished message; empty if it may be sent.

    Parameters
    ----------
    parts
        The text by part, as in `allocator.protocols.Copy`.
    brief
        What was asked for; ``brief.offer`` is the coupon row that every fact is compared with.
    """
    return tuple(_findings(parts, brief))


def _findings(parts: Mapping[str, str], brief: Brief) -> Iterator[Verdict]:
    if tuple(parts) != PARTS[brief.channel]:
        yield Verdict("parts", f"has {', '.join(parts)}, expected {', '.join(PARTS[brief.channel])}")
        return
    brand = " ".join(brief.brand.split())
    yield from check_brand(brand, brief.channel, brief.language)
    yield from check_length(parts, brief.channel)
    texts, missing = unsigned(parts, brand, brief.channel, brief.language)
    yield from missing
    yield from check_facts(texts, brief.offer, brief.channel)
    for part, text in texts.items():
        # The coupon's own facts are exempt from rules about words: a code may be XXXX or A__B.
        words = read_statement(text).rest
        yield from check_characters(words.replace(DONE, "0"), part)
        yield from check_script(words, part, brief.language)
        yield from check_repetition(words.replace(DONE, " 0 "), part, brief.language)
        yield from listed_words(words, "claims")
