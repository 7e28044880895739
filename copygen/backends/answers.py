"""What an endpoint answered, as untrusted text: out of it comes one bare line, or nothing."""

from __future__ import annotations

import json
import re
from typing import Any

THOUGHTS = re.compile(r"<think>.*?</think>", re.DOTALL)
LIST_MARK = re.compile(r"(?:[-*\u2022]|\(?\d{1,2}[.):\u3001\uff09])\s*(?=\S)")
QUOTES = "\"'`*\u201c\u201d\u2018\u2019\u300c\u300d\u300e\u300f\u00ab\u00bb "
FULL_STOPS = ".!\u3002\uff01"
LONGEST_LINE = 200


def hook_line(answer: str) -> str:
    """Return the first line of an answer without list mark, quotes and full stop; empty if there is none.

    Nothing else is repaired: what the line says is for the guard to judge.
    """
    text = THOUGHTS.sub("", answer)
    if "<think>" in text:  # cut off before it came to the point
        return ""
    line = next((line for line in map(str.strip, text.splitlines()) if line), "")[:LONGEST_LINE]
    return LIST_MARK.sub("", line, count=1).strip(QUOTES).rstrip(FULL_STOPS).strip(QUOTES)


def read_completion(body: bytes) -> list[str]:
    """Return the texts of a chat completion; one that holds no text is left out.

    Raises
    ------
    ValueError
        If the body is no chat completion or has no choices.
    """
    document = _json(body)
    choices = document.get("choices") if isinstance(document, dict) else None
    if not isinstance(choices, list) or not choices:
        raise ValueError("an answer without choices")
    messages = [choice.get("message") for choice in choices if isinstance(choice, dict)]
    texts = [message.get("content") for message in messages if isinstance(message, dict)]
    return [text for text in texts if isinstance(text, str)]


def read_complaint(body: bytes) -> str:
    """Return what an error response says is wrong, in whichever of the usual places it stands."""
    try:
        document = _json(body)
    except ValueError:
        return body[:1000].decode("utf-8", "replace")
    found = document
    for key in ("error", "detail", "message"):
        found = found[key] if isinstance(found, dict) and key in found else found
    return found if isinstance(found, str) else json.dumps(document, ensure_ascii=False)


def _json(body: bytes) -> Any:
    try:
        return json.loads(body)
    except RecursionError as error:
        raise ValueError("JSON nested too deeply") from error
