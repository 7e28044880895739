"""How long a part may be on each channel, and how many SMS segments a text takes."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from allocator.plugins.copy import Verdict

# GSM 03.38, default alphabet and its extension table (an extension character takes two places).
GSM7 = frozenset(
    "@£$¥èéùìòÇ\nØø\rÅåΔ_ΦΓΛΩΠΨΣΘΞÆæßÉ !\"#¤%&'()*+,-./0123456789:;<=>?"
    "¡ABCDEFGHIJKLMNOPQRSTUVWXYZÄÖÑܧ¿abcdefghijklmnopqrstuvwxyzäöñüà"
)
GSM7_EXTENSION = frozenset("\f^{}\\[~]|€")

MOST_SMS_SEGMENTS = 3
# What a channel cannot carry, not what looks best: about 40 + 110 characters of a push and 35 of a
# subject show at first sight. Push: Mi's title and OPPO's body (vendors' documentation).
LONGEST: Mapping[tuple[str, str], int] = {
    ("push", "title"): 50,
    ("push", "body"): 200,
    ("email", "subject"): 60,
    ("email", "preheader"): 130,
    ("email", "body"): 2000,
    ("in_app", "title"): 50,
    ("in_app", "body"): 240,
}


def sms_segments(text: str) -> int:
    """Return the number of segments that `text` is sent in.

    One character outside GSM-7 turns the whole text to UCS-2, counted in 16-bit units. A character
    that takes two units (an extension character, a surrogate pair) is not split between segments.
    """
    if all(c in GSM7 or c in GSM7_EXTENSION for c in text):
        units, single, joined = [2 if c in GSM7_EXTENSION else 1 for c in text], 160, 153
    else:
        units, single, joined = [2 if ord(c) > 0xFFFF else 1 for c in text], 70, 67
    if sum(units) <= single:
        return 1
    segments, room = 1, joined
    for unit in units:
        if unit > room:
            segments, room = segments + 1, joined
        room -= unit
    return segments


def check_length(parts: Mapping[str, str], channel: str) -> Iterator[Verdict]:
    """Yield what is too long or empty."""
    for part, text in parts.items():
        if not text.strip():
            yield Verdict("length", f"{part} is empty")
        longest = LONGEST.get((channel, part))
        if longest is not None and len(text) > longest:
            yield Verdict("length", f"{part} has {len(text)} characters, at most {longest}")
    if channel == "sms":
        segments = sms_segments(parts.get("body", ""))
        if segments > MOST_SMS_SEGMENTS:
            yield Verdict("length", f"{segments} SMS segments, at most {MOST_SMS_SEGMENTS}")
