"""What the model is asked, and the grammar of what it may answer."""

from __future__ import annotations

import re
from collections.abc import Sequence

from copygen.bank import Bank
from copygen.cells import Cell
from copygen.themes import load

Message = dict[str, str]

# Words of 2 to 12 letters keep a small model from running away inside one word; a last mark gives it a
# way out of the sentence.
OPEN_GRAMMAR = {
    "en": r"(A|[A-Z][a-z]{1,11})(,? [a-z]{1,12}){2,7}[.,?]?",
    "zh": r"[\u4e00-\u9fff]{3,9}(\uff0c[\u4e00-\u9fff]{3,9})?[\u3002]?",
}


def messages(cell: Cell) -> list[Message]:
    """Return the chat that asks for a hook: examples first, equal for all cells of a language."""
    table = load("prompts")[cell.language]
    chat = [{"role": "system", "content": table["system"]}]
    for category, audience, tone, hook in table["examples"]:
        asked = _ask(table["ask"], category, audience, tone)
        chat += [{"role": "user", "content": asked}, {"role": "assistant", "content": hook}]
    prompts = load("prompts")
    audience = prompts["personas"][cell.persona][cell.language]
    tone = cell.tone if cell.language == "en" else prompts["tones"][cell.tone]["zh"]
    return [*chat, {"role": "user", "content": _ask(table["ask"], cell.category, audience, tone)}]


def examples(language: str) -> list[str]:
    """Return the hooks that the model is shown."""
    return [hook for *_, hook in load("prompts")[language]["examples"]]


def plain_prompt(chat: Sequence[Message]) -> str:
    """Return a chat as text, for a model without a chat template."""
    return "\n".join(message["content"] for message in chat) + "\n"


def choices(cell: Cell, bank: Bank | None) -> list[str]:
    """Return the regular expressions that answers for a cell may match.

    Free ones, without a bank, bound words and length. With a bank they are its lines whose words
    the model chooses: a model of 135 M parameters, left to itself, writes sense about one time in five.
    """
    if bank is None:
        return [OPEN_GRAMMAR[cell.language]]
    lines = bank.suited(cell)
    return [line.pattern for line in lines if line.varies] or [line.pattern for line in lines]


def grammars(cell: Cell, candidates: int, seed: tuple[int, int], bank: Bank | None) -> list[str]:
    """Return the regular expression that each candidate's answer must match."""
    found = choices(cell, bank)
    turn = cell.seed("line", *seed)
    return [found[(turn + i) % len(found)] for i in range(candidates)] if found else []


def _ask(pattern: str, category: str, audience: str, tone: str) -> str:
    slots = {"category": category, "audience": audience, "tone": tone}
    return re.sub(r"\{(\w+)\}", lambda match: slots[match[1]], pattern)
