"""Language tags (BCP 47) of messages, and which of them a user's locale asks for."""

from __future__ import annotations

import re
from collections.abc import Sequence

import polars as pl

from allocator.wording import SHOWN

# Languages that messages can be written in; a script says how Chinese is written, a region whose
# numbers, dates and rules hold.
TAG = re.compile(r"(en|zh)(?:-(hans|hant))?(?:-([a-z]{2}))?", re.IGNORECASE)
BETWEEN = r"[-_.@]"  # en-GB, en_GB.UTF-8
UNSAID = "en"  # the locale of users for whom none is stated
EXPECTED = 'en or zh, with a region if you like, such as "en-GB" or "zh-HK"'


def canonical_tag(text: str) -> str:
    """Return a tag as BCP 47 writes it: ``en-GB``, ``zh-Hant-HK``.

    Raises
    ------
    ValueError
        If messages cannot be written in that language.
    """
    match = TAG.fullmatch(text.strip().replace("_", "-"))
    if match is None:
        raise ValueError(f"messages cannot be written in this language; expected {EXPECTED}")
    language, script, region = match.groups(default="")
    return "-".join(part for part in (language.lower(), script.title(), region.upper()) if part)


def language_of(tag: str) -> str:
    """Return the language of a tag: ``en`` of ``en-GB``."""
    return tag[:2]


def best_tag(locale: str, tags: Sequence[str]) -> str:
    """Return which of `tags` suits a user's locale: the same, one of the same language, or the first.

    Locales come as programs write them: ``en-GB``, ``en_GB.UTF-8``, ``zh-Hans-CN``, ``EN``.
    """
    parts = re.split(BETWEEN, locale.strip())
    language = parts[0][:2].lower()
    region = next((part.upper() for part in parts[1:] if re.fullmatch("[A-Za-z]{2}", part)), "")
    same = [tag for tag in tags if language_of(tag) == language]
    for tag in same:
        if region and tag.endswith(f"-{region}"):
            return tag
    return language if language in same else next(iter(same), tags[0])


def locale_notes(locales: pl.Series, tags: Sequence[str]) -> list[str]:
    """Say which users' locales messages are not in, and what these users get."""
    written = {language_of(tag) for tag in tags} | {UNSAID}
    counts = locales.value_counts().sort("count", locales.name, descending=[True, False])
    others = [
        (text, n) for text, n in counts.iter_rows() if re.split(BETWEEN, text)[0].lower() not in written
    ]
    if not others:
        return []
    shown = ", ".join(f"'{text}' ({n:,})" for text, n in others[:SHOWN])
    more = f" and {len(others) - SHOWN:,} more" if len(others) > SHOWN else ""
    who = f"messages are in {', '.join(tags)}; users with other locales get {tags[0]}"
    return [f"users.csv, locale: {who}: {shown}{more}"]
