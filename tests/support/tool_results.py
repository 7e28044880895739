"""Results as each sending tool gives them, of one small story, in the forms that the tools document."""

from __future__ import annotations

import datetime as dt
import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import polars as pl


@dataclass(frozen=True)
class Happened:
    """One thing that a person did or that was done: `send` is what the tool calls the campaign."""

    kind: str
    who: str
    at: str
    channel: str = "email"
    send: str = "june"
    revenue: float | None = None

    @property
    def time(self) -> dt.datetime:
        return dt.datetime.fromisoformat(self.at)

    @property
    def email(self) -> str:
        return f"{self.who}@Example.com"

    @property
    def phone(self) -> str:
        return f"+4915100000{self.who[1:]:0>3}"


Story = Sequence[Happened]


def _dump(path: Path, document: Any) -> None:
    path.write_text(json.dumps(document), encoding="utf-8")


def braze(folder: Path, story: Story) -> None:
    """Write files of Currents: Avro, the event in the path; orders are purchases."""
    names = {
        "sent": "Send", "delivered": "Delivery", "failed": "Bounce", "opened": "Open", "clicked": "Click",
        "unsubscribed": "Unsubscribe",
    }  # fmt: skip
    of_sms = {"failed": "DeliveryFailure", "clicked": "ShortLinkClick"}
    rows: dict[str, list[dict[str, Any]]] = {}
    for event in story:
        row = {
            "user_id": f"braze-{event.who}",
            "external_user_id": event.who,
            "time": int(event.time.timestamp()),
        }
        if event.kind == "ordered":
            name = "users.behaviors.Purchase"
            row |= {"product_id": "p1", "price": event.revenue, "currency": "USD", "properties": "{}"}
        else:
            one = of_sms.get(event.kind) if event.channel == "sms" else None
            name = f"users.messages.{event.channel}.{one or names[event.kind]}"
            row |= {"campaign_id": event.send, "dispatch_id": "d1"}
        rows.setdefault(name, []).append(row)
    for name, found in rows.items():
        place = folder / f"event_type={name}" / "date=2026-06-02-09" / "version=6"
        place.mkdir(parents=True)
        pl.DataFrame(found).write_avro(place / "dataexport.prod-01.S3.integration.1+0+1.avro")
    other = folder / "event_type=users.behaviors.Uninstall"
    other.mkdir()
    pl.DataFrame({"user_id": ["braze-u1"], "time": [1]}).write_avro(other / "part.avro")


def klaviyo(folder: Path, story: Story) -> None:
    """Write pages of the Events API, with metrics and profiles beside."""
    names = {
        ("delivered", "email"): "Received Email", ("failed", "email"): "Bounced Email",
        ("opened", "email"): "Opened Email", ("clicked", "email"): "Clicked Email",
        ("unsubscribed", "email"): "Unsubscribed from Email Marketing", ("delivered", "sms"): "Received SMS",
        ("failed", "sms"): "Failed to Deliver SMS", ("clicked", "sms"): "Clicked SMS",
    }  # fmt: skip
    data, included = [], {}
    for i, event in enumerate(story):
        name = "Placed Order" if event.kind == "ordered" else names.get((event.kind, event.channel))
        if name is None:
            continue
        properties: dict[str, Any] = {"Campaign Name": event.send, "$message": event.send}
        if event.kind == "ordered":
            properties = {"$value": event.revenue, "OrderId": str(i)}
        data.append(
            {
                "type": "event",
                "id": f"e{i}",
                "attributes": {
                    "timestamp": int(event.time.timestamp()),
                    "datetime": event.time.isoformat(),
                    "event_properties": properties,
                    "uuid": f"uuid{i}",
                },
                "relationships": {
                    "profile": {"data": {"type": "profile", "id": f"p-{event.who}"}},
                    "metric": {"data": {"type": "metric", "id": f"m-{name}"}},
                },
            }
        )
        profile = {"email": event.email, "phone_number": event.phone, "external_id": None}
        included[f"p-{event.who}"] = {"type": "profile", "id": f"p-{event.who}", "attributes": profile}
        included[f"m-{name}"] = {"type": "metric", "id": f"m-{name}", "attributes": {"name": name}}
    half = len(data) // 2
    for page, part in enumerate((data[:half], data[half:])):
        _dump(
            folder / f"events-{page}.json", {"data": part, "included": list(included.values()), "links": {}}
        )


def salesforce(folder: Path, story: Story) -> None:
    """Write the files of a tracking extract, in the tool's own time (UTC-6)."""
    names = {
        "sent": "Sent", "failed": "Bounces", "opened": "Opens", "clicked": "Clicks", "unsubscribed": "Unsubs",
        "converted": "Conversions",
    }  # fmt: skip
    header = "ClientID,SendID,SubscriberKey,EmailAddress,SubscriberID,ListID,EventDate,EventType,BatchID"
    for kind, name in names.items():
        rows = []
        for event in story:
            if event.kind == kind and event.channel == "email":
                local = event.time.astimezone(dt.timezone(dt.timedelta(hours=-6)))
                time = f"{local.month}/{local.day}/{local:%Y} {int(local.strftime('%I'))}:{local:%M:%S %p}"
                rows.append(f"1,{event.send},{event.who},{event.email},7,8,{time},{name},1")
        (folder / f"{name}.csv").write_text("\n".join([header, *rows, ""]), encoding="utf-8")


def customerio(folder: Path, story: Story) -> None:
    """Write events of reporting webhooks, one a line."""
    metrics = {"failed": "bounced"}
    lines = [
        json.dumps(
            {
                "data": {
                    "broadcast_id": event.send,
                    "customer_id": event.who,
                    "delivery_id": f"d-{event.who}",
                    "identifiers": {"id": event.who, "email": event.email},
                    "recipient": event.email,
                },
                "event_id": f"01-{i}",
                "metric": metrics.get(event.kind, event.kind),
                "object_type": event.channel,
                "timestamp": int(event.time.timestamp()),
            }
        )
        for i, event in enumerate(story)
        if event.kind != "ordered"
    ]
    (folder / "webhooks.jsonl").write_text("\n".join(lines) + "\n", encoding="utf-8")


def mailchimp(folder: Path, story: Story) -> None:
    """Write the report of the campaign, and who it was sent to, what they did, who left."""
    ours = [event for event in story if event.channel == "email"]
    for send in sorted({event.send for event in ours}):
        of = [event for event in ours if event.send == send]
        sent = [event for event in of if event.kind == "sent"]
        failed = {event.who for event in of if event.kind == "failed"}
        actions = {"opened": "open", "clicked": "click", "failed": "bounce"}
        _dump(folder / f"{send}-report.json", {"id": send, "emails_sent": len(sent), "send_time": sent[0].at})
        people = [
            {"email_id": e.who, "email_address": e.email, "status": "hard" if e.who in failed else "sent",
             "open_count": 0, "last_open": "", "campaign_id": send}
            for e in sent
        ]  # fmt: skip
        _dump(
            folder / f"{send}-sent.json", {"sent_to": people, "campaign_id": send, "total_items": len(people)}
        )
        activity = [
            {"campaign_id": send, "email_id": who, "email_address": f"{who}@Example.com", "activity": [
                {"action": actions[e.kind], "timestamp": e.at, "ip": "192.0.2.1"}
                for e in of if e.who == who and e.kind in actions
            ]}
            for who in sorted({e.who for e in of})
        ]  # fmt: skip
        _dump(folder / f"{send}-activity.json", {"emails": activity, "campaign_id": send})
        left = [
            {"email_id": e.who, "email_address": e.email, "timestamp": e.at, "reason": "None given",
             "campaign_id": send}
            for e in of if e.kind == "unsubscribed"
        ]  # fmt: skip
        _dump(folder / f"{send}-unsubscribed.json", {"unsubscribes": left, "campaign_id": send})


def hubspot(folder: Path, story: Story) -> None:
    """Write answers of the e-mail events API, and of the subscriptions timeline."""
    types = {
        "sent": "SENT",
        "delivered": "DELIVERED",
        "failed": "BOUNCE",
        "opened": "OPEN",
        "clicked": "CLICK",
    }
    ours = [event for event in story if event.channel == "email"]
    events = []
    for i, e in enumerate(ours):
        if e.kind in types:
            what = {"type": types[e.kind], "recipient": e.email, "emailCampaignId": e.send}
            of = {"portalId": 62515, "appId": 113, "appName": "Batch"}
            events.append({"id": f"h{i}", "created": int(e.time.timestamp() * 1000), **what, **of})
    _dump(folder / "events.json", {"hasMore": False, "offset": "", "events": events})
    timeline = [
        {"timestamp": int(e.time.timestamp() * 1000), "portalId": 62515, "recipient": e.email, "changes": [
            {"change": "UNSUBSCRIBED", "source": "SOURCE_RECIPIENT", "portalId": 62515,
             "changeType": "PORTAL_STATUS"}
        ]}
        for e in ours if e.kind == "unsubscribed"
    ]  # fmt: skip
    _dump(folder / "timeline.json", {"hasMore": False, "offset": "", "timeline": timeline})


WRITERS: dict[str, Callable[[Path, Story], None]] = {
    writer.__name__: writer for writer in (braze, klaviyo, salesforce, customerio, mailchimp, hubspot)
}
