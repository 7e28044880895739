"""The examples at the end of a command's help, as a block of commands with comments."""

from __future__ import annotations

import re
from typing import Any

import click
from sphinx.application import Sphinx


def _examples(_app: Sphinx, context: click.Context, lines: list[str]) -> None:
    head, *examples = (context.command.epilog or "").replace("\b", "").strip().splitlines()
    block = []
    for line in examples:
        shown = re.sub(r"(?<=\S) {2,}(?=\w)", "    # ", line.strip())
        block.append(f"   $ {shown}" if shown.startswith("allocate") else f"   {line}")
    lines[:] = [f".. rubric:: {head.rstrip(':')}", "", ".. code-block:: console", "", *block, ""]


def setup(app: Sphinx) -> dict[str, Any]:
    """Listen to sphinx-click."""
    app.connect("sphinx-click-process-epilog", _examples)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
