"""The approved hooks: lines of ours that a person has read."""

from __future__ import annotations

from copygen.cells import Cell
from copygen.guard import check_hook
from copygen.themes import load


def approved_hooks(cell: Cell, seed: int) -> list[str]:
    """Return the bank's hooks for a cell, its own theme first, in an order that depends on `seed`."""
    found: list[str] = []
    for theme in dict.fromkeys((cell.theme, "general")):
        lines = load("hooks").get(theme, {}).get(cell.language, {})
        for tone in dict.fromkeys((cell.tone, "any")):
            usable = [
                line for line in lines.get(tone, ()) if not check_hook(line, cell.channel, cell.language)
            ]
            turn = cell.seed("bank", seed) % len(usable) if usable else 0
            found += usable[turn:] + usable[:turn]
    return found
