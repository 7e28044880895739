"""The hook bank: approved lines, some with words to choose between, and who they suit."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from itertools import islice, product
from pathlib import Path
from typing import Any

from allocator.errors import Finding, InputError
from copygen.cells import Cell
from copygen.guard import check_hook
from copygen.themes import load, other_goods

CHOICE = re.compile(r"\[([^\[\]]*)\]")
MOST_TEXTS = 500  # that one line may stand for
FEW = 4  # lines of a theme, too few to choose from
LAYOUT = "[theme.language] tables of lists by tone, persona or any, as in copygen/data/hooks.toml"


@dataclass(frozen=True)
class Line:
    """One line of the bank.

    Parameters
    ----------
    text
        As written, with alternatives in square brackets.
    suits
        A tone, a persona or ``any``.
    """

    text: str
    suits: str

    @property
    def hook(self) -> str:
        """The line with the first of its alternatives: what is used without a model."""
        return next(self.texts())

    @property
    def varies(self) -> bool:
        """Whether the line has alternatives."""
        return "[" in self.text

    @property
    def pattern(self) -> str:
        """A regular expression of all texts that the line stands for."""
        return "".join(
            words[0].replace("?", r"\?") if len(words) == 1 else f"({'|'.join(words)})"
            for words in self._pieces()
        )

    def texts(self) -> Iterator[str]:
        """Yield the texts that the line stands for."""
        return ("".join(words) for words in product(*self._pieces()))

    def _pieces(self) -> list[list[str]]:
        return [
            piece.split("|") if i % 2 else [piece] for i, piece in enumerate(CHOICE.split(self.text)) if piece
        ]


@dataclass(frozen=True)
class Bank:
    """Approved lines by theme and language."""

    lines: Mapping[tuple[str, str], tuple[Line, ...]]

    def suited(self, cell: Cell) -> list[Line]:
        """Return the lines for a cell: its theme's, its persona's, and general ones if few of these fit."""
        general = self.lines.get(("general", cell.language), ())
        tones = (cell.tone, cell.persona, "any")
        own = [line for line in self.lines.get((cell.theme, cell.language), ()) if line.suits in tones]
        found = [line for line in own if not other_goods(cell.theme, cell.category, line.text)]
        few = len(found) < min(FEW, len(own))
        found += [line for line in general if line.suits == cell.persona or (few and line.suits in tones)]
        return list(dict.fromkeys(found))


def approved_hooks(cell: Cell, seed: int, bank: Bank | None = None) -> list[str]:
    """Return the texts of the bank for a cell in an order that depends on `seed`, its own theme's first."""
    lines = (bank or load_bank()).suited(cell)
    own = [line for line in lines if line.suits != cell.persona or cell.theme == "general"]
    turn = cell.seed("bank", seed) % len(own) if own else 0
    ordered = [*own[turn:], *own[:turn], *(line for line in lines if line not in own)]
    return [line.hook for line in ordered if not check_hook(line.hook, cell.channel, cell.language)]


@cache
def load_bank(path: Path | None = None) -> Bank:
    """Return our bank, with the lines of the file `path` in place of ours where it has any.

    Raises
    ------
    InputError
        Naming every line of `path` that the guard does not let pass, and every key that means nothing.
    """
    tables = dict(_read(load("hooks")))
    if path is not None:
        tables |= _read(_checked(path))
    return Bank(tables)


def _read(data: Mapping[str, Any]) -> dict[tuple[str, str], tuple[Line, ...]]:
    return {
        (theme, language): tuple(Line(text, suits) for suits, texts in lists.items() for text in texts)
        for theme, languages in data.items()
        for language, lists in languages.items()
    }


def _checked(path: Path) -> dict[str, Any]:
    try:
        source = path.read_text(encoding="utf-8")
        data = tomllib.loads(source)
    except (OSError, ValueError) as error:
        raise InputError(Finding(f"this hook bank cannot be read: {error}", path.name)) from None
    findings = [
        Finding(message, path.name, _row(source, found), place, found and found[:80])
        for place, found, message in _problems(data)
    ]
    if findings:
        raise InputError(findings)
    return data


def _problems(data: Mapping[str, Any]) -> Iterator[tuple[str, str | None, str]]:
    """Yield place, text and what is wrong with it."""
    suits = {"any", *load("prompts")["tones"], *load("prompts")["personas"]}
    for theme, languages in data.items():
        if theme not in load("themes"):
            yield theme, None, f"unknown theme; known are {', '.join(load('themes'))}"
        elif not isinstance(languages, dict):
            yield theme, None, f"a bank has {LAYOUT}"
        else:
            for language, lists in languages.items():
                place = f"{theme}.{language}"
                if language not in ("en", "zh") or not isinstance(lists, dict):
                    yield place, None, f"a bank has {LAYOUT}; languages are en and zh"
                    continue
                for suited, texts in lists.items():
                    if suited not in suits:
                        yield (
                            f"{place}.{suited}",
                            None,
                            f"unknown tone or persona; use {', '.join(sorted(suits))}",
                        )
                    elif not isinstance(texts, list) or not all(isinstance(text, str) for text in texts):
                        yield f"{place}.{suited}", None, "not a list of lines"
                    else:
                        for text in texts:
                            yield from (
                                (f"{place}.{suited}", text, problem)
                                for problem in line_problems(text, language)
                            )


def line_problems(text: str, language: str) -> list[str]:
    """Return why a line cannot stand in a bank, over all the texts that it stands for."""
    texts = list(islice(Line(text, "any").texts(), MOST_TEXTS + 1))
    if len(texts) > MOST_TEXTS:
        return [f"stands for more than {MOST_TEXTS} texts; use fewer alternatives"]
    # SMS has most room; a line too long for another channel is not used there.
    return list(
        dict.fromkeys(f"{v.rule}: {v.detail}" for hook in texts for v in check_hook(hook, "sms", language))
    )


def _row(source: str, text: str | None) -> int | None:
    at = source.find(text) if text else -1
    return source.count("\n", 0, at) + 1 if at >= 0 else None
