"""Errors -> words on standard error and an exit code."""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from typing import TYPE_CHECKING

from allocator.errors import InfeasibleError, InputError, NoPlanError, PluginError

if TYPE_CHECKING:
    import click
    from rich.console import Console

BUG, BAD_DATA, INFEASIBLE, TARGET_MISSED, PLUGIN, INTERRUPTED = 1, 3, 4, 5, 7, 130

_CODES: tuple[tuple[type[Exception], int], ...] = (
    (InputError, BAD_DATA),
    (InfeasibleError, INFEASIBLE),
    (NoPlanError, TARGET_MISSED),
    (PluginError, PLUGIN),
    (OSError, BAD_DATA),
)


def report(error: Exception, arguments: Sequence[str]) -> int:
    """Print an error and return its exit code; with ``--json`` print it as JSON."""
    known = next((code for kind, code in _CODES if isinstance(error, kind)), BUG)
    if os.environ.get("ALLOCATE_DEBUG"):
        import traceback

        traceback.print_exception(error)
    if "--json" in arguments:
        _print_json(error, known)
    console = _stderr(arguments)
    if isinstance(error, InputError):
        _print_findings(error, console)
    elif known != BUG:
        _print_line(console, "Error:", str(error))
    else:
        _print_line(console, "This is a bug:", repr(error))
        console.print(
            "Run it again with ALLOCATE_DEBUG=1 in the environment for the traceback, and report it."
        )
    return known


def misused(error: click.ClickException, arguments: Sequence[str]) -> int:
    """Print how the command line was misused; with ``--json`` print it as JSON too."""
    if "--json" in arguments:
        _print_json(error, error.exit_code, error.format_message())
    error.show()
    return error.exit_code


def interrupted(arguments: Sequence[str]) -> int:
    """Say how to go on after Ctrl-C."""
    text = "\n" if sys.stderr.isatty() else ""  # the terminal has echoed ^C on this line
    text += "Interrupted; nothing half-written was left."
    if "run" in arguments[:1]:
        text += " The same command with the same --out continues where it stopped."
    _stderr(arguments).print(text, soft_wrap=True)
    return INTERRUPTED


def _print_line(console: Console, head: str, text: str) -> None:
    """Print one line, as long as it is: a terminal wraps it, and a log can be searched."""
    from rich.text import Text

    console.print(Text.assemble((head, "bold red"), " ", text), soft_wrap=True)


def _print_findings(error: InputError, console: Console) -> None:
    from rich.table import Table
    from rich.text import Text

    many = len(error.findings)
    if many == 1:
        _print_line(console, "Error:", str(error.findings[0]))
        return
    console.print(Text(f"{many} problems in the input:", "bold red"))
    table = Table(box=None, padding=(0, 1), show_header=True, header_style="bold", expand=False)
    for name in ("where", "what is wrong", "found", "expected"):
        table.add_column(name, overflow="fold")
    for finding in error.findings:
        cells = (finding.where(), finding.message, finding.found or "", finding.expected or "")
        table.add_row(*cells)
    console.print(table)


def _print_json(error: Exception, code: int, message: str | None = None) -> None:
    from dataclasses import asdict

    from allocator.files import dump_json

    document: dict[str, object] = {"error": type(error).__name__, "exit_code": code}
    document["message"] = str(error) if message is None else message
    if isinstance(error, InputError):
        document["findings"] = [asdict(finding) for finding in error.findings]
    if isinstance(error, InfeasibleError):
        document["labels"], document["repairs"] = list(error.labels), error.repairs
        document["repairs_alone"] = error.repairs_alone
    sys.stdout.write(dump_json(document))


def _stderr(arguments: Sequence[str]) -> Console:
    from cli.console import open_console

    return open_console(sys.stderr, "--no-color" not in arguments)
