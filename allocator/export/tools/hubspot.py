"""HubSpot: contacts by e-mail or record id; its e-mail events, and its timeline of subscriptions."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from allocator.errors import Finding, InputError
from allocator.export.events import Events, Reader, gather, items_of, read_documents, text_of, together
from allocator.export.tool import Tool

TYPES = {
    "SENT": "sent",
    "DELIVERED": "delivered",
    "OPEN": "opened",
    "CLICK": "clicked",
    "BOUNCE": "failed",
    "DROPPED": "failed",
}
OUT = "UNSUBSCRIBED"
MILLISECONDS = 1000


def read(files: Sequence[Path], time_zone: str | None) -> Events:
    """Read answers of the e-mail events API (``events``) and of the subscriptions timeline (``timeline``)."""
    return together([_read_file(path) for path in files])


def _read_file(path: Path) -> Events:
    rows: list[dict[str, Any]] = []
    told: set[tuple[str, str | None]] = set()
    reader = Reader(path)
    for page in items_of(read_documents(path)):
        page = page if isinstance(page, Mapping) else {}
        events, timeline = page.get("events"), page.get("timeline")
        if isinstance(events, list):
            rows += [row for event in events for row in _of_event(event, reader)]
        elif isinstance(timeline, list):
            told.add(("unsubscribed", "email"))
            rows += [row for item in timeline for row in _of_change(item, reader)]
        else:
            message = "this is not an answer of HubSpot's e-mail events or subscriptions timeline"
            raise InputError(Finding(message, str(path), expected='{"events": [...]} or {"timeline": [...]}'))
    reader.close()
    return gather(rows, told=told)


def _of_event(event: Any, reader: Reader) -> list[dict[str, Any]]:
    if not isinstance(event, Mapping) or "type" not in event:
        reader.miss("this is no e-mail event", event)
        return []
    kind = TYPES.get(str(event["type"]))
    if event["type"] == "STATUSCHANGE" and event.get("portalSubscriptionStatus") == OUT:
        kind = "unsubscribed"
    if kind is None:
        return []
    row = {
        "kind": kind,
        "at": reader.seconds(event.get("created"), "created", per_second=MILLISECONDS),
        "email": text_of(event.get("recipient")),
        "channel": "email",
        "send": text_of(event.get("emailCampaignId")),
    }
    return [row]


def _of_change(item: Any, reader: Reader) -> list[dict[str, Any]]:
    changes = item.get("changes") if isinstance(item, Mapping) else None
    if not isinstance(changes, list):
        reader.miss("this is no item of a subscriptions timeline", item)
        return []
    if not any(isinstance(change, Mapping) and change.get("change") == OUT for change in changes):
        return []
    at = reader.seconds(item.get("timestamp"), "timestamp", per_second=MILLISECONDS)
    return [{"kind": "unsubscribed", "at": at, "email": text_of(item.get("recipient")), "channel": "email"}]


TOOL = Tool(
    name="hubspot",
    title="HubSpot",
    keys={"email": "Email", "id": "Record ID"},
    own_id=False,
    read=read,
    imports=("https://knowledge.hubspot.com/import-and-export/set-up-your-import-file",),
    results=(
        "https://legacydocs.hubspot.com/docs/methods/email/email_events_overview",
        "https://legacydocs.hubspot.com/docs/methods/email/email_subscriptions_overview",
    ),
    file_bytes=512 * 10**6,
    file_rows=1_048_575,  # and a header
)
