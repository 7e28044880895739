"""How long a text is, said as its channel counts."""

from __future__ import annotations

from collections.abc import Mapping

from copygen.guard.length import GSM7, GSM7_EXTENSION, LONGEST, sms_segments


def size_of(parts: Mapping[str, str], channel: str) -> str:
    """Return the length of a message in words: segments of an SMS, else characters of each part."""
    if channel != "sms":
        return (
            ", ".join(f"{part} {len(text)}{_of(channel, part)}" for part, text in parts.items())
            + " characters"
        )
    body = parts["body"]
    alphabet = "GSM-7" if GSM7.union(GSM7_EXTENSION).issuperset(body) else "UCS-2"
    segments = sms_segments(body)
    return f"{segments} SMS segment{'s' if segments > 1 else ''}, {len(body)} characters of {alphabet}"


def _of(channel: str, part: str) -> str:
    longest = LONGEST.get((channel, part))
    return f" of {longest}" if longest else ""
