"""A channel's capacity counts every message on it, whichever coupon it carries."""

from __future__ import annotations

import csv
from pathlib import Path
from typing import Any

import polars as pl

from allocator.runs.pipeline import run_campaign


def test_channel_capacity_counts_coupons_without_a_channel_of_their_own(starter: Path):
    with (starter / "coupons.csv").open(encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    for row in rows:
        row["channel"] = ""  # every user gets every coupon on the first channel consented to
    pl.DataFrame(rows).write_csv(starter / "coupons.csv")
    text = (starter / "campaign.toml").read_text(encoding="utf-8")
    assert "at_most = 280" in text
    (starter / "campaign.toml").write_text(text.replace("at_most = 280", "at_most = 90"), encoding="utf-8")
    result = run_campaign(starter, starter / "run", predict=False, copy=False)
    assigned = pl.read_csv(starter / "run" / "assignments.csv")
    usage = {row.label: row for row in result.solution.usage}["sms capacity"]
    assert (assigned["channel"] == "sms").sum() == usage.used <= 90
    assert usage.binding
    assert "messages_sms" not in assigned.columns


def test_a_limit_may_count_the_messages_of_a_channel_by_measure(tiny: Any):
    limit = '[[limits]]\nkind = "limit"\nlabel = "texts"\nmeasure = "messages_sms"\nat_most = 1\n'
    result = run_campaign(tiny.replace("campaign.toml", "[copy]", limit + "[copy]").path, copy=False)
    usage = {row.label: row for row in result.solution.usage}["texts"]
    assert usage.used == result.summary["assigned"] == 1
