"""Plugins and the state of the installation."""

from __future__ import annotations

from collections.abc import Sequence

from rich.console import RenderableType
from rich.table import Table
from rich.text import Text

from allocator.plugins.registry import Plugin
from cli.installation import Check


def plugin_table(plugins: Sequence[Plugin]) -> RenderableType:
    """Return one row a plugin."""
    table = Table(box=None, padding=(0, 2, 0, 0), header_style="dim")
    for name in ("group", "name", "package", "state", "what it does"):
        table.add_column(name, overflow="fold")
    for plugin in plugins:
        state = Text(plugin.error, style="red") if plugin.error else Text("ok", style="green")
        label, package = Text(plugin.name, style="bold"), f"{plugin.package} {plugin.version}"
        table.add_row(plugin.group, label, package, state, Text(plugin.summary, style="dim"))
    return table


def doctor_table(checks: Sequence[Check]) -> RenderableType:
    """Return one row a check."""
    table = Table(box=None, padding=(0, 2, 0, 0), show_header=False)
    table.add_column()
    table.add_column(overflow="fold")
    table.add_column(overflow="fold")
    for check in checks:
        mark = (
            Text("ok", style="green")
            if check.ok
            else Text("missing", style="bold red" if check.needed else "yellow")
        )
        table.add_row(mark, Text(check.name), Text(check.detail, style="dim"))
    return table
