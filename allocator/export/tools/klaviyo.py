"""Klaviyo: profiles by e-mail or phone number; events of its Events API."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from allocator.errors import Finding, InputError
from allocator.export.events import Events, Reader, gather, items_of, read_documents, text_of, together
from allocator.export.tool import Tool

METRICS = {
    "received email": (("sent", "delivered"), "email"),
    "opened email": (("opened",), "email"),
    "clicked email": (("clicked",), "email"),
    "bounced email": (("sent", "failed"), "email"),
    "dropped email": (("failed",), "email"),
    "unsubscribed": (("unsubscribed",), "email"),
    "unsubscribed from email marketing": (("unsubscribed",), "email"),
    "received sms": (("sent", "delivered"), "sms"),
    "clicked sms": (("clicked",), "sms"),
    "failed to deliver sms": (("sent", "failed"), "sms"),
    "unsubscribed from sms": (("unsubscribed",), "sms"),
    "unsubscribed from sms marketing": (("unsubscribed",), "sms"),
    "placed order": (("ordered",), None),
}
"""What metrics tell, in lower case; a message that bounced was sent all the same."""


def read(files: Sequence[Path], time_zone: str | None) -> Events:
    """Read answers of the Events API, which were asked for with ``include=metric,profile``."""
    return together([_read_file(path) for path in files])


def _read_file(path: Path) -> Events:
    rows, told, reader = [], set(), Reader(path)
    for page in items_of(read_documents(path)):
        if not isinstance(page, Mapping) or not isinstance(page.get("data"), list):
            message = "this is not an answer of Klaviyo's Events API"
            raise InputError(Finding(message, str(path), expected='{"data": [...], "included": [...]}'))
        included = _included(page)
        for event in page["data"]:
            kinds, channel = METRICS.get(_name(event, included, reader).casefold(), ((), None))
            told |= {(kind, channel) for kind in kinds}
            rows += [{**_row(event, included, reader), "kind": kind, "channel": channel} for kind in kinds]
    reader.close()
    # Where messages that did not arrive are told of, their absence says that the others did.
    return gather(rows, told=told)


def _included(page: Mapping[str, Any]) -> dict[tuple[Any, Any], Mapping[str, Any]]:
    """Return the attributes of what stands beside the events, by type and id."""
    found = page.get("included")
    resources = [each for each in found if isinstance(each, Mapping)] if isinstance(found, list) else []
    return {
        (text_of(each.get("type")), text_of(each.get("id"))): each.get("attributes") or {}
        for each in resources
    }


def _related(event: Any, kind: str, included: Mapping[tuple[Any, Any], Mapping[str, Any]]) -> Any:
    try:
        return included.get((kind, text_of(event["relationships"][kind]["data"]["id"])))
    except (LookupError, TypeError):
        return None


def _name(event: Any, included: Mapping[tuple[Any, Any], Mapping[str, Any]], reader: Reader) -> str:
    metric = _related(event, "metric", included)
    if isinstance(metric, Mapping) and isinstance(metric.get("name"), str):
        return str(metric["name"])
    reader.miss("the event does not say what happened; ask the API for include=metric,profile", event)
    return ""


def _row(event: Any, included: Mapping[tuple[Any, Any], Mapping[str, Any]], reader: Reader) -> dict[str, Any]:
    attributes = event.get("attributes")
    attributes = attributes if isinstance(attributes, Mapping) else {}
    properties = attributes.get("event_properties")
    properties = properties if isinstance(properties, Mapping) else {}
    profile = _related(event, "profile", included)
    if not isinstance(profile, Mapping):
        reader.miss("the event does not say of whom it is; ask the API for include=metric,profile", event)
        profile = {}
    return {
        "at": reader.iso(attributes.get("datetime"), "datetime"),
        "id": text_of(profile.get("external_id")),
        "email": text_of(profile.get("email")),
        "phone": text_of(profile.get("phone_number")),
        "send": text_of(properties.get("$message")),
        "revenue": reader.number(properties.get("$value"), "$value"),
    }


TOOL = Tool(
    name="klaviyo",
    title="Klaviyo",
    keys={"email": "Email", "phone": "Phone Number"},
    read=read,
    imports=(
        "https://help.klaviyo.com/hc/en-us/articles/360043841811",
        "https://help.klaviyo.com/hc/en-us/articles/115005078967",
    ),
    results=(
        "https://developers.klaviyo.com/en/reference/get_events",
        "https://help.klaviyo.com/hc/en-us/articles/360036974872",
        "https://help.klaviyo.com/hc/en-us/articles/360035345572",
    ),
    file_bytes=50 * 10**6,
)
