"""Salesforce Marketing Cloud: data extensions by subscriber key; files of its tracking extract."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import polars as pl

from allocator.campaign.instants import is_time_zone, to_utc
from allocator.errors import Finding, InputError
from allocator.export.events import Events, gather, together
from allocator.export.text_tables import column_of, read_text_table, require_cells, require_columns
from allocator.export.tool import Tool

FILES = {
    "sent": "sent",
    "opens": "opened",
    "clicks": "clicked",
    "bounces": "failed",
    "unsubs": "unsubscribed",
    "conversions": "converted",
}
"""What the files of the extract tell, by the beginning of their name."""
TIME = "%m/%d/%Y %I:%M:%S %p"


def read(files: Sequence[Path], time_zone: str | None) -> Events:
    """Read the CSV files of a tracking extract; its times are of `time_zone`."""
    if time_zone is None or not is_time_zone(time_zone):
        message = (
            "the times of a tracking extract state no time zone: say --time-zone Etc/GMT+6, the tool's own, "
            "unless the extract was made with a time zone of yours"
        )
        raise InputError(Finding(message, column="--time-zone", found=time_zone))
    return together([_read_file(path, time_zone) for path in files])


def _read_file(path: Path, time_zone: str) -> Events:
    kind = next((kind for start, kind in FILES.items() if path.stem.casefold().startswith(start)), None)
    if kind is None:
        message = "the name of the file does not say what it tells of"
        expected = ", ".join(f"{name.capitalize()}.csv" for name in FILES)
        raise InputError(Finding(message, str(path), expected=expected))
    table = read_text_table(path)
    require_columns(table, "SubscriberKey", "EventDate")
    local = column_of(table, "EventDate").str.to_datetime(TIME, time_unit="us", strict=False)
    require_cells(table, "EventDate", local.is_not_null(), "a time such as 6/1/2026 2:05:09 PM")
    frame = pl.DataFrame(
        {
            "at": to_utc(local, time_zone),
            "id": column_of(table, "SubscriberKey"),
            "email": column_of(table, "EmailAddress"),
            "send": column_of(table, "SendID"),
        }
    )
    channel = "email"
    return gather(
        frame.with_columns(kind=pl.lit(kind), channel=pl.lit(channel), phone=pl.lit(None, pl.String)),
        told=[(kind, channel)],
    )


TOOL = Tool(
    name="salesforce",
    title="Salesforce Marketing Cloud",
    keys={"id": "SubscriberKey"},
    read=read,
    imports=(
        "https://help.salesforce.com/s/articleView?id=mktg.mc_es_import_file_requirements.htm&type=5",
        "https://help.salesforce.com/s/articleView?id=mktg.mc_moc_prepare_file_for_import.htm&type=5",
    ),
    results=("https://help.salesforce.com/s/articleView?id=mktg.mc_as_tracking_extract.htm&type=5",),
    beside={"email": ("email", "EmailAddress"), "sms": ("phone", "MobileNumber")},
    phone_sign=False,
)
