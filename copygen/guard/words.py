"""The word lists of the guard."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Iterator
from functools import cache
from importlib.resources import files

from allocator.protocols import Verdict

# `\b` sees no border between a Chinese and a Latin letter, so borders are spelled out.
WORD_START, WORD_END = "(?<![A-Za-z])", "(?![A-Za-z])"


@cache
def _patterns(name: str) -> tuple[tuple[str, re.Pattern[str]], ...]:
    data = tomllib.loads(files("copygen.guard").joinpath("data", f"{name}.toml").read_text(encoding="utf-8"))
    patterns = []
    for entry in data["list"]:
        # English words are wrong in a Chinese message as well, and the reverse.
        terms = "|".join(re.escape(term) for term in sorted(entry["terms"], key=len, reverse=True))
        borders = (WORD_START, WORD_END) if entry["language"] == "en" else ("", "")
        patterns.append((entry["rule"], re.compile(f"{borders[0]}(?:{terms}){borders[1]}", re.IGNORECASE)))
    return tuple(patterns)


def listed_words(text: str, name: str) -> Iterator[Verdict]:
    """Yield a verdict for each list of file `name` that has a term in `text`."""
    for rule, pattern in _patterns(name):
        match = pattern.search(text)
        if match:
            yield Verdict(rule, f"'{match[0]}' may not be said")
