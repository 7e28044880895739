"""What no message may contain: mark-up, links, control characters, loops, foreign script."""

from __future__ import annotations

import re
import unicodedata
from collections import Counter
from collections.abc import Iterator

from allocator.protocols import Verdict

SLOT = re.compile(r"[{}\[\]]|<<|>>|\$\(|%\(|%s|【[^】]*$")
MARKUP = re.compile(
    r"<[^\s]|[a-z]>|&(?:#\d+|[a-z]+);|```|\*\*|__|^#+ |`|\\|<\||\|>", re.IGNORECASE | re.MULTILINE
)
LINK = re.compile(
    r"[a-z][a-z0-9+.-]*://|www\.|[a-z0-9-]+\.(?:com|cn|net|org|io|co|ly|me|app|shop|top|xyz|info|biz|ru|uk|de)(?![a-z])"
    r"|[^\s@]+@[^\s@]+\.[a-z]|mailto:|javascript:",
    re.IGNORECASE,
)
FORMULA = re.compile(r"^\s*[=+@\t]|^\s*-[\d(]")
CHAT = re.compile(r"^\s*(?:system|assistant|user|human|ai)\s*:", re.IGNORECASE | re.MULTILINE)


def check_characters(text: str, part: str) -> Iterator[Verdict]:
    """Yield control, bidirectional and invisible characters, unfilled slots, mark-up and links."""
    for c in text:
        category = unicodedata.category(c)
        if (category[0] == "C" and c != "\n") or category in ("Zl", "Zp"):
            yield Verdict("control", f"{part} holds {unicodedata.name(c, f'U+{ord(c):04X}')}")
            break
    for rule, pattern in (
        ("slot", SLOT),
        ("markup", MARKUP),
        ("link", LINK),
        ("formula", FORMULA),
        ("chat", CHAT),
    ):
        match = pattern.search(text)
        if match:
            yield Verdict(rule, f"{part} holds '{match[0][:30]}'")


def check_script(text: str, part: str, language: str) -> Iterator[Verdict]:
    """Yield letters of another script than the language's; `text` comes without brand and code."""
    script = {"en": "LATIN", "zh": "CJK"}[language]
    letters = [c for c in text if c.isalpha()]
    foreign = [c for c in letters if not unicodedata.name(c, "").startswith(script)]
    if foreign:
        yield Verdict("script", f"{part} holds '{''.join(foreign)[:20]}' in a text in '{language}'")


def check_repetition(text: str, part: str, language: str) -> Iterator[Verdict]:
    """Yield sentences said twice, phrases that loop and runs of one character."""
    run = re.search(r"([^\s\d])\1{3,}", text)
    if run:
        yield Verdict("repetition", f"{part} holds '{run[0][:20]}'")
    sentences = [s.strip().casefold() for s in re.split(r"[.!?。!?\n]+", text)]
    twice = [s for s, n in Counter(s for s in sentences if len(s) > 3).items() if n > 1]
    if twice:
        yield Verdict("repetition", f"{part} says twice '{twice[0][:30]}'")
    words = re.findall(r"[^\W\d_]+", text.casefold()) if language == "en" else list(re.sub(r"\W", "", text))
    span = 3 if language == "en" else 4
    grams = Counter(zip(*(words[i:] for i in range(span)), strict=False))
    looped = [gram for gram, n in grams.items() if n > 2]
    if looped:
        yield Verdict(
            "repetition",
            f"{part} loops over '{''.join(looped[0]) if language == 'zh' else ' '.join(looped[0])}'",
        )
