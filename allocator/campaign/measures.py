"""What limits of a campaign can count."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from typing import Any

from allocator.campaign.schema import CHANNELS, MESSAGE_MEASURES

PREDICTED = ("cost", "cost_variance", "conversions", "redemptions")
"""What limits can count where predictions are used."""


def known_measures(scored: Collection[str]) -> list[str]:
    """Return the measures that limits can name, with predictions or with scores of these columns."""
    return sorted({*measures_of(scored, predicted=True), *measures_of(scored, predicted=False)})


def measures_of(scored: Collection[str], *, predicted: bool) -> list[str]:
    """Return the measures that limits can name with predictions, or else with scores of these columns."""
    others = {"user_id", "coupon_id", "value", "value_error"}
    return sorted({*MESSAGE_MEASURES, *(PREDICTED if predicted else set(scored) - others)})


def message_measures(tables: Sequence[Mapping[str, Any]]) -> dict[str, int]:
    """Return the measures ``messages_<channel>`` that limits' tables count, by `channel` or by `measure`,
    and the place of each channel in `CHANNELS`.
    """
    channels, measures = ({table.get(key) for table in tables} for key in ("channel", "measure"))
    return {
        name: code
        for code, (channel, name) in enumerate(zip(CHANNELS, MESSAGE_MEASURES, strict=True))
        if channel in channels or name in measures
    }
