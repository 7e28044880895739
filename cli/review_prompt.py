"""Going through texts in the terminal, one key a decision; works from a pipe, too."""

from __future__ import annotations

import contextlib
import sys
from collections.abc import Sequence
from typing import TYPE_CHECKING

from rich.text import Text as Styled

from cli.render.message import review_page, verdict_lines

if TYPE_CHECKING:
    from allocator.runs.review_copy import Review
    from cli.console import Terminal

KEYS = "[a]pprove  [e]dit the hook  [b]an  [s]kip  [u]ndo  [q]uit"


def go_through(review: Review, numbers: Sequence[int], terminal: Terminal) -> None:
    """Show texts one by one and keep what the user decides on each, until the last or a `q`."""
    at, decided, shown = 0, list[int](), -1
    while at < len(numbers):
        number = numbers[at]
        if shown != at:
            terminal.show(review_page(review.text(number), f"{at + 1} of {len(numbers)}"))
        shown, key = at, _key(terminal)
        if key == "q":
            return
        if key == "u":
            at, shown = decided.pop() if review.undo() else max(at - 1, 0), -1
        elif key == "s":
            at += 1
        elif _decide(review, number, key, terminal):
            decided.append(at)
            at += 1
    terminal.show(Styled("That was the last text.", style="dim"))


def _decide(review: Review, number: int, key: str, terminal: Terminal) -> bool:
    """Do what a key asks for; return whether anything was decided."""
    if key == "e":
        return _edit(review, number, terminal)
    if key not in ("a", "b"):
        terminal.show(Styled(f"'{key}' is no key here.", style="yellow"))
        return False
    hook = review.text(number).row["hook"]
    if not hook:
        words = "This text has no hook, only the facts; [e]dit puts one in front of them."
        terminal.show(Styled(words, style="yellow"))
        return False
    if key == "a":
        review.approve(number)
    else:
        review.ban(hook, number)
    return True


def _edit(review: Review, number: int, terminal: Terminal) -> bool:
    hook = review.text(number).row["hook"] or ""
    while answer := _line("hook> ", hook):
        if not (verdicts := review.edit(number, answer)):
            return True
        terminal.show(verdict_lines(verdicts))
        terminal.show(Styled("The facts are the program's. Other words, or an empty line to leave it:"))
        hook = answer
    return False


def _key(terminal: Terminal) -> str:
    """Return the next key, `q` at the end of the input."""
    terminal.show(Styled(KEYS, style="bold"))
    if not sys.stdin.isatty():
        line = sys.stdin.readline()
        return line.strip().lower()[:1] or ("s" if line else "q")
    import click

    try:
        key = click.getchar().lower()
    except EOFError:
        return "q"
    return "s" if key in ("\r", "\n", " ", "\x1b[c") else "q" if key in ("\x04", "\x1b") else key


def _line(prompt: str, text: str) -> str:
    """Return a line that starts as `text` where the terminal can do that; empty if the user leaves it."""
    if not sys.stdin.isatty():
        return sys.stdin.readline().strip()
    with contextlib.suppress(ImportError):
        import readline

        readline.set_startup_hook(lambda: readline.insert_text(text))
    try:
        return input(prompt).strip()
    except (EOFError, KeyboardInterrupt):
        sys.stdout.write("\n")
        return ""
    finally:
        with contextlib.suppress(ImportError):
            import readline

            readline.set_startup_hook(None)
