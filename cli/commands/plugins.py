"""`allocate plugins`: what is installed."""

from __future__ import annotations

from dataclasses import asdict

import click

from cli.console import Terminal, output_options

EPILOG = """\b
Examples:
  allocate plugins
  allocate plugins --json | jq '.plugins[].name'
"""


@click.command("plugins", epilog=EPILOG)
@output_options
def command(terminal: Terminal) -> int:
    """List predictors, copy writers and limit kinds, and say which cannot be used."""
    from allocator.plugins.registry import installed
    from cli.failures import PLUGIN
    from cli.render.plugins import plugin_table

    found = installed()
    terminal.show(plugin_table(found))
    terminal.emit({"plugins": [asdict(plugin) for plugin in found]})
    return PLUGIN if any(plugin.error for plugin in found) else 0
