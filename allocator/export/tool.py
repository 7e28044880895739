"""What is known of a tool that messages are sent with: what it imports, and what it tells afterwards."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from allocator.export.events import Events

KeyKind = Literal["id", "email", "phone"]
KEY_KINDS: tuple[KeyKind, ...] = ("id", "email", "phone")

PREFIX = "allocate"
FIELDS = {
    "run": "The run. Select who is written to by it: values of earlier runs stay in the tool.",
    "coupon_id": "The coupon, as in coupons.csv.",
    "code": "What the customer types in.",
    "ends_at": "Last day of the coupon, YYYY-MM-DD.",
    "segment": "Whom the message is for, where messages are segmented.",
    "language": "Language tag of the message.",
    "variant": "Which of the texts that are tried against each other.",
    "subject": "Of an e-mail.",
    "preheader": "Of an e-mail: what inboxes show beside the subject.",
    "title": "Of a push or in-app message.",
    "body": "The message.",
}
"""The columns beside the key, without what is before their names, and what they mean."""
PARTS = ("subject", "preheader", "title", "body")
OF_CHANNEL = {
    "sms": ("body",),
    "push": ("title", "body"),
    "email": ("subject", "preheader", "body"),
    "in_app": ("title", "body"),
}
"""The parts that a message has on each channel."""
SUPPRESSED_RUN, REASON = f"{PREFIX}_suppressed_run", f"{PREFIX}_reason"
SUPPRESSED = {
    SUPPRESSED_RUN: "The run that the row is of.",
    REASON: "Why the user gets nothing in it, such as that they are in the holdout.",
}
"""The columns of ``suppression.csv`` beside the key."""

Read = Callable[[Sequence[Path], str | None], Events]


@dataclass(frozen=True)
class Tool:
    """A tool that messages are sent with.

    Parameters
    ----------
    name, title
        As on the command line, and as people write it.
    keys
        By what it knows people, and the header of the column that holds it; the first that is there is used.
    read
        Reads files of results as events; the second argument is the time zone of times that state none. None
        where outcomes are filled in as they are.
    imports, results
        Where the formats of its imports and of its results are documented.
    beside
        The address that must stand beside the key in the file of a channel, with its header.
    own_id
        Whether its ids are those that a shop gives its customers, and not its own.
    phone_sign
        Whether phone numbers begin with a plus sign.
    cell_bytes
        What is longer is cut by the tool.
    file_bytes, file_rows
        Most of one file.
    one_row_each
        Whether each coupon of a user has a row of its own, and columns have no prefix.
    """

    name: str
    title: str
    keys: Mapping[KeyKind, str]
    read: Read | None = field(default=None, repr=False)
    imports: tuple[str, ...] = ()
    results: tuple[str, ...] = ()
    beside: Mapping[str, tuple[KeyKind, str]] = field(default_factory=dict)
    own_id: bool = True
    phone_sign: bool = True
    cell_bytes: int | None = None
    file_bytes: int | None = None
    file_rows: int | None = None
    one_row_each: bool = False

    def header(self, channel: str, name: str, place: int = 1) -> str:
        """Return the header of a field: of a channel, and of which of a user's coupons on it."""
        if self.one_row_each:
            return name
        return f"{PREFIX}_{channel}_{name}" + ("" if place == 1 else f"_{place}")

    def columns(self, channel: str) -> dict[str, str]:
        """Return the columns beside the key in the file of a channel, and what they mean."""
        kept = [name for name in FIELDS if name not in PARTS or name in OF_CHANNEL[channel]]
        return {self.header(channel, name): FIELDS[name] for name in kept}
