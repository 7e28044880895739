"""Column names and cells as words, whatever their case, spacing and accents."""

from __future__ import annotations

import difflib
import unicodedata
from collections.abc import Iterable

CLOSE = 0.8
"""How alike two names must be for one to be taken as a misspelling of the other (Ratcliff and Obershelp)."""


def words_of(text: str) -> tuple[str, ...]:
    """Split ``HasOptedOutOfEmail``, ``has_opted_out``, ``has-opted-out`` and ``Has opted out`` into words.

    Words are in lower case and without accents; digits are words of their own.
    """
    words: list[str] = []
    word, before = "", ""
    plain = _plain(text)
    for i, letter in enumerate(plain):
        kind = _kind(letter)
        after = _kind(plain[i + 1]) if i + 1 < len(plain) else ""
        starts = kind != before and not (before == "upper" and kind == "lower" and len(word) == 1)
        starts = starts or (before == kind == "upper" and after == "lower")  # SMSOptIn: SMS, Opt, In
        if starts and word:
            words.append(word)
            word = ""
        word += letter.casefold() if kind else ""
        before = kind
    return (*words, word) if word else tuple(words)


def key_of(text: str) -> str:
    """Return letters and digits alone, in lower case and without accents: two names with one key are one."""
    return "".join(letter for letter in _plain(text).casefold() if letter.isalnum()) or text


def nearest(name: str, known: Iterable[str]) -> str | None:
    """Return the known name that `name` may be a misspelling of; names of other numbers are other names."""
    digits = _digits(name)
    keys = {key_of(entry): entry for entry in known if not digits or digits == _digits(entry)}
    found = difflib.get_close_matches(key_of(name), keys, n=1, cutoff=CLOSE)
    return keys[found[0]] if found else None


def _digits(name: str) -> str:
    return "".join(filter(str.isdigit, name))


def _plain(text: str) -> str:
    """Take accents off and make wide and other compatible forms plain."""
    parts = unicodedata.normalize("NFKD", text)
    return unicodedata.normalize("NFC", "".join(part for part in parts if not unicodedata.combining(part)))


def _kind(letter: str) -> str:
    if letter.isdigit():
        return "digit"
    if not letter.isalpha():
        return ""
    return "upper" if letter.isupper() else "lower"
