"""What tools tell of messages that were sent, in one form: events, one row each."""

from __future__ import annotations

import datetime as dt
import json
import math
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import polars as pl

from allocator.campaign.cell_types import MOST_AMOUNT
from allocator.errors import Finding, InputError

Kind = str
KINDS: tuple[Kind, ...] = (
    "sent",
    "delivered",
    "failed",  # bounced, rejected, dropped
    "opened",
    "clicked",
    "unsubscribed",
    "converted",  # as the tool counts it: after a message, so that people without one have none
    "ordered",  # whoever it was, with a message or without
)
SCHEMA: dict[str, pl.DataType | type[pl.DataType]] = {
    "kind": pl.Enum(KINDS),
    "at": pl.Datetime("us"),  # in UTC
    "id": pl.String,
    "email": pl.String,
    "phone": pl.String,
    "channel": pl.String,
    "send": pl.String,  # what the tool calls a campaign, a broadcast or a job
    "revenue": pl.Float64,
}
MOST_FINDINGS = 5
START, LAST_SECOND = dt.datetime(1970, 1, 1), 4_102_444_800  # the latter is of the year 2100


@dataclass(frozen=True)
class Events:
    """Events of some files.

    Parameters
    ----------
    frame
        The columns of `SCHEMA`; null where the tool does not say.
    told
        Kinds that the files tell of, with their channel (None: of any), even if nothing of the kind happened.
    notes
        What was left out, as sentences.
    """

    frame: pl.DataFrame
    told: frozenset[tuple[Kind, str | None]]
    notes: tuple[str, ...] = ()

    def tells(self, kind: Kind, channel: str | None = None) -> bool:
        """Return whether the files tell of a kind, on a channel if one is given."""
        return any(k == kind and (channel is None or c in (None, channel)) for k, c in self.told)


def gather(
    rows: Sequence[Mapping[str, Any]] | pl.DataFrame,
    *,
    told: Collection[tuple[Kind, str | None]] = (),
    notes: Sequence[str] = (),
) -> Events:
    """Return events of rows that have some of the columns; kinds that occur are told of."""
    frame = rows if isinstance(rows, pl.DataFrame) else _frame(rows)
    missing = [pl.lit(None, dtype).alias(name) for name, dtype in SCHEMA.items() if name not in frame.columns]
    frame = frame.with_columns(missing).select(pl.col(name).cast(dtype) for name, dtype in SCHEMA.items())
    found = frame.select("kind", "channel").unique().rows()
    return Events(frame, frozenset([*told, *found]), tuple(notes))


def together(parts: Sequence[Events]) -> Events:
    """Return the events of several files."""
    frame = pl.concat([part.frame for part in parts]) if parts else pl.DataFrame(schema=SCHEMA)
    told: frozenset[tuple[Kind, str | None]] = frozenset().union(*(part.told for part in parts))
    return Events(frame, told, tuple(dict.fromkeys(note for part in parts for note in part.notes)))


def _frame(rows: Sequence[Mapping[str, Any]]) -> pl.DataFrame:
    columns = {name: [row.get(name) for row in rows] for name in SCHEMA}
    return pl.DataFrame(columns, schema=SCHEMA)


def read_documents(path: Path) -> list[Any]:
    """Return the JSON documents of a file: one, or one a line.

    Raises
    ------
    InputError
        If it is not JSON, with the line.
    """
    try:
        text = path.read_text(encoding="utf-8-sig")
    except (OSError, ValueError) as error:
        raise InputError(Finding(f"this file cannot be read: {error}", str(path))) from error
    try:
        return [json.loads(text)]
    except RecursionError as error:
        raise InputError(Finding("this JSON is too deep", str(path))) from error
    except json.JSONDecodeError as error:
        if error.msg != "Extra data":  # what follows where the first line is a document of its own
            raise InputError(Finding(f"this is not JSON: {error.msg}", str(path), error.lineno)) from error
    return list(_lines(text, path))


def _lines(text: str, path: Path) -> Iterator[Any]:
    for i, line in enumerate(text.split("\n"), 1):
        try:
            if line.strip():
                yield json.loads(line)
        except (ValueError, RecursionError) as error:
            message = f"this line is not JSON: {getattr(error, 'msg', error)}"
            raise InputError(Finding(message, str(path), i)) from error


def items_of(documents: Sequence[Any]) -> Iterator[Any]:
    """Yield documents, and one by one what stands in those that are lists."""
    for document in documents:
        if isinstance(document, list):
            yield from document
        else:
            yield document


class Reader:
    """Takes fields from the objects of one file, and keeps what is wrong with them."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.findings: list[Finding] = []
        self.wrong = 0

    def seconds(self, value: Any, what: str, *, per_second: int = 1) -> dt.datetime | None:
        """Return the time, in UTC, that a number of seconds since 1970 stands for; None if it is none."""
        number = isinstance(value, int | float) and not isinstance(value, bool)
        if not number or not 0 < value < LAST_SECOND * per_second:
            self.miss(f"{what} is no time since 1970", value)
            return None
        return START + dt.timedelta(seconds=value / per_second)

    def iso(self, value: Any, what: str) -> dt.datetime | None:
        """Return the time, in UTC, that a text such as 2026-11-30T18:00:00+00:00 states; None if none."""
        try:
            found = dt.datetime.fromisoformat(value)
            if found.tzinfo is not None:
                return found.astimezone(dt.UTC).replace(tzinfo=None)
            self.miss(f"{what} does not say of which time zone it is", value)
        except (ValueError, TypeError, OverflowError):
            self.miss(f"{what} is no date and time", value)
        return None

    def number(self, value: Any, what: str) -> float | None:
        """Return a number, also one that stands there as text; None if there is none."""
        if value is None or value == "":
            return None
        try:
            number = float(value)
        except (TypeError, ValueError, OverflowError):
            number = math.nan
        if isinstance(value, bool) or not abs(number) < MOST_AMOUNT:
            self.miss(f"{what} is no amount", value)
            return None
        return number

    def miss(self, message: str, found: Any = None) -> None:
        """Keep on record that something is wrong."""
        self.wrong += 1
        if len(self.findings) < MOST_FINDINGS:
            self.findings.append(Finding(message, str(self.path), found=repr(found)[:100]))

    def close(self) -> None:
        """Raise InputError with all that is wrong, if anything is."""
        if self.wrong > len(self.findings):
            rest = self.wrong - len(self.findings)
            self.findings.append(Finding(f"and {rest:,} more like these", str(self.path)))
        if self.findings:
            raise InputError(self.findings)


def text_of(value: Any) -> str | None:
    """Return an id as text, whether it is a text or a number there; None if there is none."""
    if value is None or isinstance(value, bool | dict | list) or value == "":
        return None
    return str(value).encode("utf-8", "replace").decode()  # half a character, as JSON may hold
