"""`allocate doctor`: whether this installation can do its work."""

from __future__ import annotations

import click

from cli.console import Terminal, output_options

EPILOG = """\b
Examples:
  allocate doctor
  allocate doctor --json
"""


@click.command("doctor", epilog=EPILOG)
@output_options
def command(terminal: Terminal) -> int:
    """Check packages, plugins, the copy model and the accelerator; solve a small problem for real."""
    from cli.installation import examine
    from cli.render.plugins import doctor_table

    with terminal.progress() as progress:
        findings = examine(progress)
    terminal.show(doctor_table(findings))
    terminal.emit(
        {"checks": [{"name": f.name, "ok": f.ok, "needed": f.needed, "detail": f.detail} for f in findings]}
    )
    return 0 if all(f.ok or not f.needed for f in findings) else 1
