"""Customer.io: people by id or e-mail; reporting webhooks."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from allocator.errors import Finding, InputError
from allocator.export.events import Events, Reader, gather, items_of, read_documents, text_of, together
from allocator.export.tool import Tool

METRICS = {
    "sent": "sent",
    "delivered": "delivered",
    "opened": "opened",
    "clicked": "clicked",
    "bounced": "failed",
    "dropped": "failed",
    "failed": "failed",
    "undeliverable": "failed",
    "unsubscribed": "unsubscribed",
    "converted": "converted",
}
CHANNELS = {"email": "email", "sms": "sms", "push": "push", "in_app": "in_app"}
SENDS = ("broadcast_id", "newsletter_id", "campaign_id", "transactional_message_id")


def read(files: Sequence[Path], time_zone: str | None) -> Events:
    """Read events of reporting webhooks, in lists or one a line."""
    return together([_read_file(path) for path in files])


def _read_file(path: Path) -> Events:
    rows, reader = [], Reader(path)
    for event in items_of(read_documents(path)):
        if not isinstance(event, Mapping) or not isinstance(event.get("data"), Mapping):
            message = "this is not an event of Customer.io's reporting webhooks"
            expected = '{"metric": "sent", "object_type": "email", "timestamp": ..., "data": {...}}'
            raise InputError(Finding(message, str(path), found=repr(event)[:100], expected=expected))
        kind = METRICS.get(str(event.get("metric")))
        channel = CHANNELS.get(str(event.get("object_type")))
        if kind is not None and channel is not None:
            rows.append({**_row(event, reader), "kind": kind, "channel": channel})
    reader.close()
    return gather(rows)


def _row(event: Mapping[str, Any], reader: Reader) -> dict[str, Any]:
    data = event["data"]
    identifiers = data.get("identifiers")
    identifiers = identifiers if isinstance(identifiers, Mapping) else {}
    sends = [f"{name.removesuffix('_id')} {data[name]}" for name in SENDS if text_of(data.get(name))]
    return {
        "at": reader.seconds(event.get("timestamp"), "timestamp"),
        "id": text_of(identifiers.get("id")) or text_of(data.get("customer_id")),
        "email": text_of(identifiers.get("email")) or text_of(data.get("email_address")),
        "send": sends[0] if sends else None,
    }


TOOL = Tool(
    name="customerio",
    title="Customer.io",
    keys={"id": "id", "email": "email"},
    read=read,
    imports=("https://customer.io/docs/uploading-people",),
    results=("https://docs.customer.io/journeys/webhooks/",),
    file_bytes=100 * 10**6,
)
