"""A hook before it is used: no fact of any kind, and short, plain and sensible enough to send."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterator
from functools import lru_cache

from allocator.plugins.copy import Verdict
from copygen.guard.facts import NUMERAL_WITH_UNIT
from copygen.guard.lookalikes import check_lookalikes
from copygen.guard.personal import check_personal, private_words
from copygen.guard.text import check_characters, check_repetition, check_script
from copygen.guard.words import listed_words

LONGEST_HOOK = {"sms": 50, "push": 42, "email": 48, "in_app": 42}
SIZE = {"en": (2, 9), "zh": (4, 20)}
PLAIN = {
    "en": re.compile(r"[A-Za-zÀ-ÿ'’ ,:?-]+"),
    "zh": re.compile(r"[\u4e00-\u9fff\uff0c\u3001\uff1a\uff1f]+"),
}
NO_WORD = re.compile(r"\b[^aeiouy'’-]{2,}\b|[^aeiouy'’-]{6,}|[aeiou]{5,}|(.)\1\1")
# Words that carry no sense of their own, and those of them that leave a phrase hanging at its end.
SMALL_WORDS = frozenset(
    "a an the and or but for of to in on at with from by your you it is are be that this my our who".split()  # noqa: SIM905
)
DANGLING = frozenset("a an the and or but for of with from by your that this my our who".split())  # noqa: SIM905


def check_hook(
    hook: str,
    channel: str,
    language: str,
    *,
    banned: frozenset[str] = frozenset(),
    private: frozenset[str] = frozenset(),
) -> tuple[Verdict, ...]:
    """Return why `hook` cannot stand in front of an offer; empty if it can.

    Parameters
    ----------
    hook, channel, language
        The sentence, and where it is to stand.
    banned, private
        Hooks, in lower case, that a person banned, and words from customers' rows; as in the brief.
    """
    theirs = [Verdict("banned", "a person banned this hook")] if hook.strip().lower() in banned else []
    return (*theirs, *private_words(hook, private), *_of_the_sentence(hook, channel, language))


@lru_cache(maxsize=1 << 16)
def _of_the_sentence(hook: str, channel: str, language: str) -> tuple[Verdict, ...]:
    return tuple(_findings(hook, channel, language))


def _findings(hook: str, channel: str, language: str) -> Iterator[Verdict]:
    if any(unicodedata.category(c)[0] == "N" for c in hook):
        yield Verdict("hook_fact", "a hook states no number")
    if any(unicodedata.category(c) == "Sc" or c in "%‰" for c in hook):
        yield Verdict("hook_fact", "a hook states no amount")
    numeral = NUMERAL_WITH_UNIT.search(hook)
    if numeral:
        yield Verdict("hook_fact", f"'{numeral[0]}' states a number")
    if not PLAIN[language].fullmatch(hook):
        yield Verdict("hook_characters", "a hook is plain words")
    yield from check_characters(hook, "hook")
    yield from check_lookalikes(hook, "hook")
    yield from check_personal(hook, "hook")
    yield from check_script(hook, "hook", language)
    yield from check_repetition(hook, "hook", language)
    yield from listed_words(hook, "hook")
    yield from listed_words(hook, "claims")
    words = hook.split() if language == "en" else list(re.sub(r"\W", "", hook))
    least, most = SIZE[language]
    if not least <= len(words) <= most:
        yield Verdict("length", f"a hook of {len(words)} words or characters, {least} to {most} are allowed")
    if len(hook) > LONGEST_HOOK[channel]:
        yield Verdict(
            "length", f"a hook of {len(hook)} characters, at most {LONGEST_HOOK[channel]} for {channel}"
        )
    if language == "en":
        yield from _english(hook)


def _english(hook: str) -> Iterator[Verdict]:
    words = re.findall(r"[a-z'’-]+", hook.casefold())
    content = [word for word in words if word not in SMALL_WORDS]
    repeated = sorted(
        {stem for word in content if (stem := _stem(word)) and [_stem(w) for w in content].count(stem) > 1}
    )
    if repeated:
        yield Verdict("repetition", f"'{repeated[0]}' twice")
    if words and words[-1] in DANGLING:
        yield Verdict("sense", f"ends with '{words[-1]}'")
    odd = next((word for word in words if NO_WORD.search(word)), None)
    if odd:
        yield Verdict("sense", f"'{odd}' is no English word")
    if any(len(word) > 14 for word in words):
        yield Verdict("sense", "a word of more than 14 letters")
    if not hook[:1].isupper():
        yield Verdict("sense", "does not start with a capital letter")


def _stem(word: str) -> str:
    return word[:-1] if word.endswith("s") and len(word) > 3 else word
