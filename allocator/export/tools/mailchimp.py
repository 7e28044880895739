"""Mailchimp: contacts by e-mail; the reports of its Marketing API."""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from allocator.errors import Finding, InputError
from allocator.export.events import Events, Reader, gather, items_of, read_documents, text_of
from allocator.export.tool import Tool

ACTIONS = {"open": "opened", "click": "clicked", "bounce": "failed"}
LISTS = ("emails", "sent_to", "unsubscribes")
EXPECTED = "email-activity, sent-to, unsubscribed, or the report of a campaign, which says when it was sent"


def read(files: Sequence[Path], time_zone: str | None) -> Events:
    """Read answers of the Reports API: who it was sent to, what they did, and when the campaign was sent."""
    pages = [(path, page) for path in files for page in items_of(read_documents(path))]
    readers = {path: Reader(path) for path in files}
    sent_at = {}
    for path, page in pages:
        if _is_report(page):
            sent_at[text_of(page["id"])] = readers[path].iso(page["send_time"], "send_time")
    rows, told = [], set()
    for path, page in pages:
        if _is_report(page):
            continue
        name = next((n for n in LISTS if isinstance(page, Mapping) and isinstance(page.get(n), list)), None)
        if name is None:
            message = "this is not an answer of Mailchimp's Reports API"
            raise InputError(Finding(message, str(path), expected=EXPECTED))
        told |= {"emails": _told("opened", "clicked"), "unsubscribes": _told("unsubscribed")}.get(name, set())
        for entry in page[name]:
            if not isinstance(entry, Mapping) or text_of(entry.get("email_address")) is None:
                readers[path].miss("the entry names no email_address", entry)
                continue
            common = {
                "email": text_of(entry["email_address"]),
                "channel": "email",
                "send": text_of(entry.get("campaign_id")) or text_of(page.get("campaign_id")),
            }
            made = {"emails": _activity, "sent_to": _sent, "unsubscribes": _unsubscribed}[name]
            rows += [{**common, **row} for row in made(entry, common["send"], sent_at, readers[path])]
    for reader in readers.values():
        reader.close()
    return gather(rows, told=told)


def _told(*kinds: str) -> set[tuple[str, str | None]]:
    return {(kind, "email") for kind in kinds}


def _is_report(page: Any) -> bool:
    return isinstance(page, Mapping) and "send_time" in page and "id" in page


Row = dict[str, Any]
Times = Mapping[str | None, dt.datetime | None]


def _activity(entry: Mapping[str, Any], send: str | None, sent_at: Times, reader: Reader) -> list[Row]:
    activity = entry.get("activity")
    if not isinstance(activity, list):
        reader.miss("the entry has no activity", entry)
        return []
    done = [each for each in activity if isinstance(each, Mapping) and str(each.get("action")) in ACTIONS]
    return [
        {"kind": ACTIONS[each["action"]], "at": reader.iso(each.get("timestamp"), "timestamp")}
        for each in done
    ]


def _sent(entry: Mapping[str, Any], send: str | None, sent_at: Times, reader: Reader) -> list[Row]:
    at = sent_at.get(send)  # the list itself does not say
    rows = [{"kind": "sent", "at": at}]
    if entry.get("status") in ("hard", "soft"):  # bounces
        rows.append({"kind": "failed", "at": at})
    elif entry.get("status") == "sent":
        rows.append({"kind": "delivered", "at": at})
    else:
        reader.miss("status is none of sent, hard and soft", entry.get("status"))
    return rows


def _unsubscribed(entry: Mapping[str, Any], send: str | None, sent_at: Times, reader: Reader) -> list[Row]:
    return [{"kind": "unsubscribed", "at": reader.iso(entry.get("timestamp"), "timestamp")}]


TOOL = Tool(
    name="mailchimp",
    title="Mailchimp",
    keys={"email": "Email Address"},
    read=read,
    imports=("https://mailchimp.com/help/format-guidelines-for-your-import-file/",),
    results=(
        "https://mailchimp.com/developer/marketing/api/sent-to-reports/list-campaign-recipients/",
        "https://mailchimp.com/developer/marketing/api/email-activity-reports/",
        "https://mailchimp.com/developer/marketing/api/unsub-reports/",
        "https://mailchimp.com/developer/marketing/api/reports/",
    ),
    cell_bytes=255,
)
