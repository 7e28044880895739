"""Braze: users by external id, e-mail or phone number; events of Currents and of its SQL tables."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path

import polars as pl

from allocator.errors import Finding, InputError
from allocator.export.events import LAST_SECOND, Events, Kind, gather, together
from allocator.export.text_tables import column_of, read_text_table, require_cells, require_columns
from allocator.export.tool import Tool

CHANNELS = {"email": "email", "sms": "sms", "pushnotification": "push", "inappmessage": "in_app"}
EVENTS: dict[tuple[str, str], tuple[Kind, ...]] = {
    ("email", "send"): ("sent",),
    ("email", "delivery"): ("delivered",),
    ("email", "bounce"): ("failed",),
    ("email", "open"): ("opened",),
    ("email", "click"): ("clicked",),
    ("email", "unsubscribe"): ("unsubscribed",),
    ("sms", "send"): ("sent",),
    ("sms", "delivery"): ("delivered",),
    ("sms", "deliveryfailure"): ("failed",),
    ("sms", "rejection"): ("failed",),
    ("sms", "shortlinkclick"): ("clicked",),
    ("pushnotification", "send"): ("sent",),
    ("pushnotification", "bounce"): ("failed",),
    ("pushnotification", "open"): ("opened", "clicked"),  # it is opened by a tap
    ("inappmessage", "impression"): ("sent", "delivered", "opened"),  # it is sent when it is shown
    ("inappmessage", "click"): ("clicked",),
}
OF_ANYTHING: dict[str, Kind] = {
    "campaigns.conversion": "converted",
    "canvas.conversion": "converted",
    "behaviors.purchase": "ordered",
}
"""What happens without a message of its own."""
# The event stands in the path of a file of Currents (event_type=users.messages.email.Send/...), or in the
# name of a file that was made from a SQL table (USERS_MESSAGES_EMAIL_SEND_SHARED.csv).
MESSAGE = re.compile(r"users[._]messages[._]([a-z]+)[._]([a-z]+)", re.IGNORECASE)
ANYTHING = re.compile(
    r"users[._](campaigns|canvas|behaviors)[._](conversion|purchase)(?![a-z])", re.IGNORECASE
)


def read(files: Sequence[Path], time_zone: str | None) -> Events:
    """Read files of Currents (Avro), or tables of the same events as CSV or Parquet."""
    parts = [_read_file(path) for path in files]
    known = [part for part in parts if part is not None]
    if not known:
        message = "no file is of events that Allocate knows, such as users.messages.email.Send"
        raise InputError(Finding(message, ", ".join(map(str, files[:3]))))
    notes = (
        [f"{len(parts) - len(known):,} files of other events are left out"] if len(known) < len(parts) else []
    )
    events = together(known)
    return Events(events.frame, events.told, (*events.notes, *notes))


def _read_file(path: Path) -> Events | None:
    kinds, channel = _event_of(path)
    if not kinds:
        return None
    table = read_text_table(path)
    require_columns(table, "external_user_id", "time")
    seconds = column_of(table, "time").cast(pl.Float64, strict=False)
    require_cells(table, "time", seconds.is_between(0, LAST_SECOND), "seconds since 1970")
    frame = pl.DataFrame(
        {
            "at": (seconds * 1e6).cast(pl.Int64).cast(pl.Datetime("us")),
            "id": column_of(table, "external_user_id"),
            "email": column_of(table, "email_address"),
            "phone": column_of(table, "to_phone_number"),
            "send": column_of(table, "campaign_id").fill_null(column_of(table, "canvas_id")),
        }
    ).with_columns(channel=pl.lit(channel, pl.String))
    if kinds == ("ordered",):
        price = column_of(table, "price")
        revenue = price.cast(pl.Float64, strict=False)
        require_cells(table, "price", price.is_null() | revenue.is_finite(), "a number")
        frame = frame.with_columns(revenue=revenue, send=pl.lit(None, pl.String))
    rows = pl.concat([frame.with_columns(kind=pl.lit(kind)) for kind in kinds])
    return gather(rows, told=[(kind, channel) for kind in kinds])


def _event_of(path: Path) -> tuple[tuple[Kind, ...], str | None]:
    """Return what a file tells of, the innermost name of its path first; nothing if it is something else."""
    for part in reversed(path.parts):
        if found := MESSAGE.search(part):
            channel, event = (text.casefold() for text in found.groups())
            return EVENTS.get((channel, event), ()), CHANNELS.get(channel)
        if found := ANYTHING.search(part):
            return (OF_ANYTHING[".".join(text.casefold() for text in found.groups())],), None
    return (), None


GLOSSARY = "https://www.braze.com/docs/user_guide/data/distribution/braze_currents/event_glossary"
TOOL = Tool(
    name="braze",
    title="Braze",
    keys={"id": "external_id", "email": "email", "phone": "phone"},
    read=read,
    imports=("https://www.braze.com/docs/user_guide/audience/manage_audience/import_users/csv",),
    results=(f"{GLOSSARY}/message_engagement_events", f"{GLOSSARY}/customer_behavior_events"),
    file_bytes=500 * 10**6,
)
