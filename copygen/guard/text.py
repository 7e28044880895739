"""What no message may contain: mark-up, links, control characters, loops, foreign script."""

from __future__ import annotations

import re
import unicodedata
from collections import Counter
from collections.abc import Iterator

from allocator.plugins.copy import Verdict
from copygen.guard.lookalikes import disguises

# Slots of template engines and mail systems: {x} {{x}} ${x} #{x} <%x%> %(x)s %s [x] <<x>> *|X|* %%x%% $x X_Y
SLOT = re.compile(
    r"[{}\[\]]|<<|>>|<%|%>|\$\(|\$[A-Za-z_]|%\(|%%|%[-+ #0]*\d*\.?\d*[sdifrx](?![A-Za-z])|\*\||\|\*|#\{"
    r"|__[A-Za-z]+__|(?<![A-Za-z])[A-Z]+_[A-Z_]+(?![A-Za-z])|【[^】]*$|^[^【]*】",
    re.MULTILINE,
)
MARKUP = re.compile(
    r"<[^\s]|[a-z]/?>|&(?:#\d+|#x[0-9a-f]+|[a-z]+);|```|\*\*|__|^#+ |`|\\|<\||\|>|~~|\x1b|\[\d+m",
    re.IGNORECASE | re.MULTILINE,
)
# A full stop between two letters or digits makes a link of any ending in most phones.
LINK = re.compile(
    r"[a-z][a-z0-9+.-]*:/|//|www\d?\.|[^\W_]\s?[.。．｡]\s?(?:com|cn|net|org|io|co|ly|me|ru|xyz|shop|top|info)(?![a-z])"
    r"|[^\W_][.。．｡][a-z]{2,}|[^\W_]\.[^\W\d_]{2,}|[^\s@]+@[^\s@]+|(?<!\w)@\w|mailto:|javascript:|data:|xn--"
    r"|\d{1,3}(?:\.\d{1,3}){3}|\(dot\)|\[dot\]|[(\[]at[)\]]|(?<=[a-z0-9])\s?点\s?(?=com|cn|net|org)|\.\./|/etc/|[a-z]:\\",
    re.IGNORECASE,
)
FORMULA = re.compile(r"^\s*[=+@\t|%]|^\s*-")
CHAT = re.compile(
    r"^\s*(?:system|assistant|user|human|ai|bot|instructions?|prompt)\s*[:>]|<\||\|>|\[/?inst\]|</?s>|###",
    re.IGNORECASE | re.MULTILINE,
)
SENTENCE_END = re.compile(r"[.!?。！？\n]+")
# Typographic characters besides letters and digits that either language uses.
PUNCTUATION = frozenset(" \n!\"'(),-./:;?&%+|–—‘’“”…·•、。，：；？！（）《》【】「」『』～")

# Both sets hold these, but where characters are traditional they mean something else, as 后 (empress) for 後.
MERGED = frozenset("里后制确干松云谷丰准几卷冲郁采")


def check_characters(text: str, part: str) -> Iterator[Verdict]:
    """Yield control, bidirectional and invisible characters, unfilled slots, mark-up and links."""
    for c in text:
        category = unicodedata.category(c)
        if (category[0] == "C" and c != "\n") or category in ("Zl", "Zp"):
            yield Verdict("control", f"{part} holds {unicodedata.name(c, f'U+{ord(c):04X}')}")
            break
    # Disguised, such as full-width, all of these are what they look like.
    for rule, pattern in (
        ("slot", SLOT),
        ("markup", MARKUP),
        ("link", LINK),
        ("formula", FORMULA),
        ("chat", CHAT),
    ):
        match = next((found for form in disguises(text)[:2] if (found := pattern.search(form))), None)
        if match:
            yield Verdict(rule, f"{part} holds '{match[0].strip()[:30]}'")


def check_symbols(text: str, part: str) -> Iterator[Verdict]:
    """Yield emoji, marks stacked on letters and symbols; `text` comes without brand and facts."""
    odd = next((c for c in text if not c.isalnum() and c not in PUNCTUATION and c.isprintable()), None)
    if odd:
        yield Verdict("symbol", f"{part} holds '{odd}' ({unicodedata.name(odd, 'unnamed')})")


def check_script(text: str, part: str, language: str, traditional: bool | None = None) -> Iterator[Verdict]:
    """Yield letters of another script than the language's; `text` comes without brand and code.

    `traditional` says which Chinese characters are right; None where either may be.
    """
    script = {"en": "LATIN", "zh": "CJK"}[language]
    letters = [c for c in text if c.isalpha()]
    foreign = [c for c in letters if not unicodedata.name(c, "").startswith(script)]
    if foreign:
        yield Verdict("script", f"{part} holds '{''.join(foreign)[:20]}' in a text in '{language}'")
    if language == "zh" and traditional is not None:
        other = [c for c in letters if _only_in(c, "gb2312" if traditional else "big5")]
        other += [c for c in letters if traditional and c in MERGED]
        if other:
            form = "traditional" if traditional else "simplified"
            yield Verdict("script", f"{part} holds '{''.join(other)[:20]}' in a text in {form} characters")


def check_repetition(text: str, part: str, language: str) -> Iterator[Verdict]:
    """Yield sentences said twice, phrases that loop and runs of one character."""
    run = re.search(r"([^\s\d])\1{3,}|([!?！？。，,.])\s?\2", text)
    if run:
        yield Verdict("repetition", f"{part} holds '{run[0][:20]}'")
    sentences = [s.strip().casefold() for s in SENTENCE_END.split(text)]
    twice = [s for s, n in Counter(s for s in sentences if len(s) > 3).items() if n > 1]
    if twice:
        yield Verdict("repetition", f"{part} says twice '{twice[0][:30]}'")
    looped = _loop(text, language)
    if looped:
        yield Verdict("repetition", f"{part} loops over '{looped}'")


def _loop(text: str, language: str) -> str | None:
    """Return what is said twice running, or so often that it loops."""
    english = language == "en"
    words = re.findall(r"[^\W\d_]+", text.casefold()) if english else list(re.sub(r"\W", "", text))
    between = " " if english else ""
    for span in range(1 if english else 3, len(words) // 2 + 1):
        for i in range(len(words) - 2 * span + 1):
            if words[i : i + span] == words[i + span : i + 2 * span]:
                return between.join(words[i : i + span])[:30]
    span = 3 if english else 4
    grams = Counter(zip(*(words[i:] for i in range(span)), strict=False))
    often = [gram for gram, n in grams.items() if n > 2]
    return between.join(often[0]) if often else None


def _only_in(c: str, charset: str) -> bool:
    """Return whether a character is in one national set and not in the other: simplified or traditional."""
    other = {"gb2312": "big5", "big5": "gb2312"}[charset]
    return c not in "着裏台" and _encodes(c, charset) and not _encodes(c, other)


def _encodes(c: str, charset: str) -> bool:
    try:
        c.encode(charset)
    except UnicodeEncodeError:
        return False
    return True
