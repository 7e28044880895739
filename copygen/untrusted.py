"""Text from files is data: what may reach a prompt or a message, and what is left out."""

from __future__ import annotations

import re
import unicodedata

LONGEST_LABEL = 30
CHAT_TOKEN = re.compile(r"<\|.*?\|>|</?s>|\[/?INST\]|<</?SYS>>", re.DOTALL)
PLAIN = re.compile(r"[^\W\d_]+(?:(?: | & |-|'|\u2019)[^\W\d_]+){0,3}")
# Words that address a model rather than a shopper: a label that holds one is left out.
ADDRESSES_A_MODEL = re.compile(
    r"\b(?:ignore|disregard|forget|override|instructions?|previous|above|prompts?|system|assistant|user|jailbreak"
    r"|pretend|reveal|repeat|respond|reply|answer|output|print|write|translate|execute|script|say|tell|you|your"
    r"|select|drop|delete|rules?)\b|忽略|无视|忘记|指令|指示|系统|提示词|助手|用户|扮演|输出|回复|重复|翻译|执行|规则",
    re.IGNORECASE,
)


def visible(text: str) -> str:
    """Return `text` in NFC without control, format and bidirectional characters, and without chat tokens."""
    text = CHAT_TOKEN.sub(" ", unicodedata.normalize("NFC", text))
    kept = "".join(
        " " if c.isspace() else c for c in text if c.isspace() or unicodedata.category(c)[0] != "C"
    )
    # Removing one token may join the halves of another.
    return " ".join(CHAT_TOKEN.sub(" ", kept).split())


def plain_label(text: str | None) -> str | None:
    """Return a category or segment label if it is a few plain words, else None.

    Digits, punctuation, mark-up, links, letters that pose as others, long text and words that address a
    model all make a label unfit for a prompt or a message; it is then left out, never repaired.
    """
    if not text or len(text) > 200 or unicodedata.normalize("NFKC", text) != text:
        return None
    if any(c.isspace() and c != " " for c in text) or len(scripts(text)) > 1:
        return None
    label = visible(text)
    if label != " ".join(text.split()) or len(label) > LONGEST_LABEL or not PLAIN.fullmatch(label):
        return None
    return None if ADDRESSES_A_MODEL.search(label) else label


def script_of(text: str) -> str:
    """Return ``latin``, ``han`` or ``other`` for the letters of `text`."""
    found = scripts(text)
    if found <= {"LATIN"}:
        return "latin"
    return "han" if found <= {"CJK"} else "other"


def scripts(text: str) -> set[str]:
    """Return the scripts of the letters of `text`, as Unicode names them."""
    return {unicodedata.name(c, "").split(" ")[0] for c in text if c.isalpha()}
