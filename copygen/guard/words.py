"""The word lists of the guard."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from typing import Any

from allocator.plugins.copy import Verdict
from copygen.guard.lookalikes import disguises

# `\b` sees no border between a Chinese and a Latin letter, so borders are spelled out.
WORD_START, WORD_END = "(?<![A-Za-z])", "(?![A-Za-z])"


@dataclass(frozen=True)
class WordList:
    """A list of terms as one pattern, the rule that they break, and where it holds (everywhere if empty)."""

    rule: str
    pattern: re.Pattern[str]
    countries: frozenset[str]


@cache
def _lists(name: str) -> tuple[WordList, ...]:
    data = tomllib.loads(files("copygen.guard").joinpath("data", f"{name}.toml").read_text(encoding="utf-8"))
    return tuple(
        WordList(entry["rule"], _pattern(entry), frozenset(entry.get("countries", ())))
        for entry in data["list"]
    )


def _pattern(entry: Mapping[str, Any]) -> re.Pattern[str]:
    # English words are wrong in a Chinese message as well, and the reverse.
    terms = "|".join(_term(term) for term in sorted(entry["terms"], key=len, reverse=True))
    borders = (WORD_START, WORD_END) if entry["language"] == "en" else ("", "")
    return re.compile(f"{borders[0]}(?:{terms}){borders[1]}", re.IGNORECASE)


def _term(term: str) -> str:
    pattern = re.escape(term).replace(r"\ ", r"[\s-]+").replace(r"\*", "[A-Za-z]*")
    return pattern.replace("'", "['\u2019]?")


def listed_words(text: str, name: str, country: str = "") -> Iterator[Verdict]:
    """Yield a verdict for each list of file `name` that holds in `country` and has a term in `text`.

    All lists hold where the country is not known. A term is also found behind letters of another script
    that look alike, between letters set apart and in full-width letters.
    """
    for form in disguises(text):
        for entry in _lists(name):
            if country and entry.countries and country not in entry.countries:
                continue
            match = entry.pattern.search(form)
            if match:
                yield Verdict(entry.rule, f"'{match[0]}' may not be said")
