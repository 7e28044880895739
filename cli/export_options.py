"""What the export of a run and the reading of its results share."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from cli.options import Command

if TYPE_CHECKING:
    from allocator.export.tool import KeyKind

TOOLS = ("braze", "klaviyo", "salesforce", "customerio", "mailchimp", "hubspot", "csv")
HELP = {
    "id": "Column of users.csv with the tool's ids.  [default: the users' own ids]",
    "email": "Column of users.csv with e-mail addresses.  [default: by its name]",
    "phone": "Column of users.csv with phone numbers.  [default: by its name]",
}


def key_options(function: Command) -> Command:
    """Add ``--id``, ``--email`` and ``--phone``: columns of users.csv."""
    for kind, text in reversed(HELP.items()):
        function = click.option(f"--{kind}", kind, metavar="COLUMN", help=text)(function)
    return function


def named_keys(**columns: Any) -> dict[KeyKind, str]:
    """Return the columns that were named."""
    return {kind: column for kind, column in columns.items() if column is not None}  # type: ignore[misc]
