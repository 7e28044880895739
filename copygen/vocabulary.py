"""The words that copy is made of, which are nobody's secret even where a customer is called so."""

from __future__ import annotations

import re
from collections.abc import Iterator
from functools import cache, lru_cache
from typing import Any

from copygen.themes import load


@lru_cache(maxsize=4)
def without_ours(private: frozenset[str]) -> frozenset[str]:
    """Return the words of customers that are not ours, too: with a Mr Fresh, greens may still be fresh."""
    return private - _ours()


@cache
def _ours() -> frozenset[str]:
    texts = " ".join(text for name in ("hooks", "themes", "prompts", "labels") for text in _texts(load(name)))
    words = set(re.findall(r"[^\W\d_]+", texts))
    return frozenset(words | {word.capitalize() for word in words})


def _texts(value: Any) -> Iterator[str]:
    if isinstance(value, str):
        yield value
    elif isinstance(value, dict):
        for key, inner in value.items():
            yield key
            yield from _texts(inner)
    elif isinstance(value, list):
        for inner in value:
            yield from _texts(inner)
