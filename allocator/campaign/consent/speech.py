"""What the name of a column says of who may be contacted."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

from allocator.campaign.columns.names import words_of
from allocator.campaign.consent import vocabulary as v
from allocator.campaign.schema import CHANNELS

Polarity = Literal["in", "out", "either"]


@dataclass(frozen=True)
class Speech:
    """What a name says.

    Parameters
    ----------
    about
        ``contact`` or ``holdout``; empty where the name speaks of neither.
    says
        What a yes means: ``in``, one may write; ``out``, one may not; ``either`` where only values can say.
    channels
        Channels it is about; all of them where the name has none. Empty for a channel that is not sent on.
    general
        It names no channel.
    grants
        Who is not ruled out by it may be written to; without, it only rules out.
    timed
        Values are times at which it happened.
    noun
        It names no act, so that a time may be when something changed.
    aside
        It is about consent, and not whether there is one: its source, its wording, its last change.
    unclear
        Values may be amounts or ends of validity.
    strong
        The name alone is enough; without, values must speak too.
    """

    about: Literal["", "contact", "holdout"] = ""
    says: Polarity = "either"
    channels: tuple[str, ...] = CHANNELS
    general: bool = True
    grants: bool = True
    timed: bool = False
    noun: bool = False
    aside: bool = False
    unclear: bool = False
    strong: bool = True


SILENT = Speech()


@dataclass(frozen=True)
class _Part:
    """A part of a name that speaks, and where it stands among the letters."""

    start: int
    end: int
    says: Literal["in", "out", "about"]
    noun: bool = False
    grants: bool = True


def speech_of(name: str) -> Speech:
    """Return what a column's name says, in whatever case, spacing and language of exports it is written."""
    words = words_of(name)
    key = "".join(words)
    if _is_holdout(words, key):
        turned = any(v.NOT_BEFORE.search(key[: found.start()]) for found in v.HOLDOUT.finditer(key))
        unclear = turned or not v.COUNTS.isdisjoint(words)
        return Speech("holdout", "either" if turned else "in", unclear=unclear)
    parts = list(_parts(words, key))
    status = not v.STATUS.isdisjoint(words)
    if not parts and not (status or _is_preference(words)):
        return _weak(words, key)
    says = _polarity(parts, words, key)
    strong = bool(parts) or not status or not v.OF_CONTACT.isdisjoint(words) or _is_bare_status(words)
    channels, general, grants = _channels(words, key, says)
    after = _words_after(words, max((part.end for part in parts), default=len(key)))
    act = any(part.says != "about" and not part.noun for part in parts)
    else_ = bool(_other_words(words, key, parts))
    return Speech(
        "contact",
        says,
        channels,
        general,
        grants and all(part.grants for part in parts) and not (else_ and says == "out"),
        timed=not v.TIMES.isdisjoint(words),
        noun=not act,
        aside=not v.ABOUT_IT.isdisjoint(after) or (says != "out" and not v.CHANGES.isdisjoint(words)),
        unclear=not (v.COUNTS | v.EXPIRES).isdisjoint(words)
        or (says == "in" and (else_ or (general and _may_be_bought(words)))),
        strong=strong,
    )


def _is_holdout(words: tuple[str, ...], key: str) -> bool:
    alone = v.HOLDOUT_WORDS & set(words) and set(words) <= v.HOLDOUT_WORDS | v.HOLDOUT_FILLERS
    return bool(v.HOLDOUT.search(key) or alone)


def _is_preference(words: tuple[str, ...]) -> bool:
    return not v.PREFERENCES.isdisjoint(words) and not (v.OF_CONTACT | {"communications"}).isdisjoint(words)


def _is_bare_status(words: tuple[str, ...]) -> bool:
    return set(words) <= v.STATUS | v.OF_A_PERSON | v.FILLERS


def _weak(words: tuple[str, ...], key: str) -> Speech:
    """Return what is said by a name of nothing but channels and marketing, such as ``email_marketing``."""
    spoken = v.MARKETING | v.CHANNEL_WORDS
    if not words or v.FILLERS.issuperset(words) or not set(words) <= spoken | v.FILLERS:
        return SILENT
    channels, general, _ = _channels(words, key, "in")
    says: Polarity = "either" if v.MARKETING.isdisjoint(words) else "in"
    return Speech("contact", says, channels, general, unclear=says == "either", strong=False)


def _parts(words: tuple[str, ...], key: str) -> Iterator[_Part]:
    """Yield the parts that speak; what one expression has taken is not looked at by the next."""
    left = key
    for pattern, says, grants in (
        (v.UNREACHABLE, "out", False),
        (v.OPTED_OUT, "out", True),
        (v.OPTED_IN, "in", True),
        (v.MARKETING_CONTACT, "in", False),
        (v.ABOUT_CONTACT, "about", True),
    ):
        for found in pattern.finditer(left):
            start, end = found.span()
            turned = v.NOT_BEFORE.search(key[:start]) or (says != "out" and v.NOT_AFTER.search(key[end:]))
            if turned:
                said: Literal["in", "out", "about"] = "in" if says == "out" else "out"
            else:
                said = says  # type: ignore[assignment]
            noun = said == "about" or (said == "in" and bool(v.NOUNS.search(found[0])))
            yield _Part(start, end, said, noun, grants)
        left = pattern.sub(lambda found: "\0" * len(found[0]), left)
    spaced = " ".join(words)
    if v.MAY_NOT.search(spaced):
        yield _Part(0, 0, "out")
    elif v.MAY.search(spaced):
        yield _Part(0, 0, "in")
    for word in words:
        if word in v.SHORT_OUT | v.SHORT_UNREACHABLE:
            start = key.index(word)
            yield _Part(start, start + len(word), "out", grants=word in v.SHORT_OUT)


def _polarity(parts: list[_Part], words: tuple[str, ...], key: str) -> Polarity:
    said = {part.says for part in parts} - {"about"}
    if v.BOTH_WAYS.search(key) or said == {"in", "out"}:
        return "either"
    if said:
        return "out" if said == {"out"} else "in"
    named = not v.MARKETING.isdisjoint(words) or any(found.search(key) for found in v.CHANNEL_NAMES.values())
    return "in" if parts and named else "either"  # a subscription alone may be to what is sold


def _may_be_bought(words: tuple[str, ...]) -> bool:
    """Return whether a name may be of a subscription to what is sold, such as ``subscriber_since``."""
    subscribed = [word for word in words if word.startswith("subscribe")]
    named = subscribed and v.MARKETING.isdisjoint(words)
    return bool(named) and ("subscriber" in subscribed or not v.TIMES.isdisjoint(words))


def _other_words(words: tuple[str, ...], key: str, parts: list[_Part]) -> list[str]:
    """Return the words that are neither of being contacted nor of a channel: what else the name is about."""
    spoken = [(part.start, part.end) for part in parts]
    others = (v.MOBILE,) if any(part.says == "out" for part in parts) else ()
    for pattern in (*v.CHANNEL_NAMES.values(), v.OTHER_CHANNELS, v.TELEPHONE, *others):
        spoken += [found.span() for found in pattern.finditer(key)]
    known = (
        v.NEUTRAL
        | v.STATUS
        | v.TIMES
        | v.CHANNEL_WORDS
        | v.MARKETING
        | v.ABOUT_IT
        | v.CHANGES
        | v.PREFERENCES
    )
    place, found = 0, []
    for word in words:
        touched = any(start < place + len(word) and end > place for start, end in spoken)
        if not touched and word not in known and not word.isdigit():
            found.append(word)
        place += len(word)
    return found


def _channels(words: tuple[str, ...], key: str, says: Polarity) -> tuple[tuple[str, ...], bool, bool]:
    """Return the channels that a name is about, whether it names none, and whether it can grant anything."""
    found = [name for name, pattern in v.CHANNEL_NAMES.items() if pattern.search(key)]
    texted = not v.TEXT_WORDS.isdisjoint(words[:-1]) or (says == "out" and v.MOBILE.search(key))
    if "sms" not in found and "push" not in found and texted:
        found.append("sms")
    if says == "out" and "push" not in found and "sms" not in found and v.TELEPHONE.search(key):
        # Who must not be called on a telephone is not texted either; nobody is texted for that alone.
        return (*(name for name in CHANNELS if name in found), "sms"), False, bool(found)
    if found:
        return tuple(name for name in CHANNELS if name in found), False, True
    if v.OTHER_CHANNELS.search(key):
        return (), False, True
    return CHANNELS, True, True


def _words_after(words: tuple[str, ...], end: int) -> list[str]:
    place, after = 0, []
    for word in words:
        if place >= end:
            after.append(word)
        place += len(word)
    return after
