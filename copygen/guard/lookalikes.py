"""Letters and digits that pose as others: full-width, mathematical, Cyrillic, Greek, or set apart."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterator
from functools import lru_cache

from allocator.plugins.copy import Verdict

# Letters of other scripts that look like a Latin one (Unicode UTS 39, confusables, single letters).
LATIN = str.maketrans(
    "АВЕЅІЈКМНОРСТУХаеоѕіјрсухԁԛԝһкмтнвгΑΒΕΖΗΙΚΜΝΟΡΤΥΧαεικνορτυχѵɑɡıǃ",
    "ABESIJKMHOPCTYXaeosijpcyxdqwhkmthbrABEZHIKMNOPTYXaeiknoptuxvagi!",
)
SET_APART = re.compile(r"(?<![^\W\d_])[A-Za-z](?:[ .\-_*·'/][A-Za-z]){2,}(?![^\W\d_])")
HAN_SET_APART = re.compile(r"(?<=[\u4e00-\u9fff])[ .\-_*·/|]+(?=[\u4e00-\u9fff])")
WORD = re.compile(r"[^\W\d_]+")
SCRIPTS = ("LATIN", "CYRILLIC", "GREEK", "ARMENIAN", "CHEROKEE")


@lru_cache(maxsize=1024)
def disguises(text: str) -> tuple[str, ...]:
    """Return `text` and, where it differs, what a reader takes it for."""
    plain = unicodedata.normalize("NFKC", text)
    plain = "".join(c for c in plain if unicodedata.category(c) != "Cf").translate(LATIN)
    plain = "".join(c for c in unicodedata.normalize("NFD", plain) if unicodedata.category(c) != "Mn")
    joined = SET_APART.sub(lambda match: re.sub("[^A-Za-z]", "", match[0]), plain)
    return tuple(dict.fromkeys((text, plain, HAN_SET_APART.sub("", joined))))


def check_lookalikes(text: str, part: str) -> Iterator[Verdict]:
    """Yield letters and digits that pose as others, and words that mix scripts."""
    posing = next((c for c in text if c.isalnum() and _poses(c)), None)
    if posing:
        yield Verdict("lookalike", f"{part} holds '{posing}' ({unicodedata.name(posing, 'unnamed')})")
    mixed = mixed_word(text)
    if mixed:
        yield Verdict("lookalike", f"'{mixed[:20]}' mixes letters of several scripts")


def mixed_word(text: str) -> str | None:
    """Return the first word of Latin letters together with letters that look like Latin ones."""
    return next((word for word in WORD.findall(text) if len(_scripts(word)) > 1), None)


def _poses(c: str) -> bool:
    if c.isdigit() or unicodedata.category(c)[0] == "N":
        return c not in "0123456789"
    return unicodedata.normalize("NFKC", c) != c and not "\u3400" <= c <= "\u9fff"


def _scripts(word: str) -> set[str]:
    found = {unicodedata.name(c, "").split(" ")[0] for c in word}
    return found & set(SCRIPTS)
