"""Errors -> words on standard error and an exit code."""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from typing import TYPE_CHECKING

from allocator.errors import AllocateError, InfeasibleError, InputError, NoPlanError, PluginError

if TYPE_CHECKING:
    from rich.console import Console

BUG, BAD_DATA, INFEASIBLE, TARGET_MISSED, PLUGIN, INTERRUPTED = 1, 3, 4, 5, 7, 130

_CODES: tuple[tuple[type[AllocateError], int], ...] = (
    (InputError, BAD_DATA),
    (InfeasibleError, INFEASIBLE),
    (NoPlanError, TARGET_MISSED),
    (PluginError, PLUGIN),
)


def report(error: Exception, arguments: Sequence[str]) -> int:
    """Print an error and return its exit code; with ``--json`` print it as JSON."""
    known = next((code for kind, code in _CODES if isinstance(error, kind)), BUG)
    if os.environ.get("ALLOCATE_DEBUG"):
        import traceback

        traceback.print_exception(error)
    if "--json" in arguments:
        _print_json(error, known)
    if isinstance(error, InputError):
        _print_findings(error)
    elif known != BUG:
        _stderr().print(f"[bold red]Error:[/] {_escape(str(error))}")
    else:
        _stderr().print(f"[bold red]This is a bug:[/] {_escape(repr(error))}")
        _stderr().print(
            "Run it again with ALLOCATE_DEBUG=1 in the environment for the traceback, and report it."
        )
    return known


def interrupted(arguments: Sequence[str]) -> int:
    """Say how to go on after Ctrl-C."""
    text = "\nInterrupted; nothing half-written was left."
    if "run" in arguments[:1]:
        text += " The same command with the same --out continues where it stopped."
    _stderr().print(text)
    return INTERRUPTED


def _print_findings(error: InputError) -> None:
    from rich.table import Table

    console = _stderr()
    many = len(error.findings)
    if many == 1:
        console.print(f"[bold red]Error:[/] {_escape(str(error.findings[0]))}")
        return
    console.print(f"[bold red]{many} problems in the input:[/]")
    table = Table(box=None, padding=(0, 1), show_header=True, header_style="bold", expand=False)
    for name in ("where", "what is wrong", "found", "expected"):
        table.add_column(name, overflow="fold")
    for finding in error.findings:
        cells = (finding.where(), finding.message, finding.found or "", finding.expected or "")
        table.add_row(*(_escape(cell) for cell in cells))
    console.print(table)


def _print_json(error: Exception, code: int) -> None:
    from dataclasses import asdict

    from allocator.campaign.run_folder import dump_json

    document: dict[str, object] = {"error": type(error).__name__, "exit_code": code, "message": str(error)}
    if isinstance(error, InputError):
        document["findings"] = [asdict(finding) for finding in error.findings]
    if isinstance(error, InfeasibleError):
        document["labels"], document["repairs"] = list(error.labels), error.repairs
    sys.stdout.write(dump_json(document))


def _stderr() -> Console:
    from rich.console import Console

    plain = "--no-color" in sys.argv or None
    return Console(stderr=True, no_color=plain, highlight=False)


def _escape(text: str) -> str:
    from rich.markup import escape

    return escape(text)
