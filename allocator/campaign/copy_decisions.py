"""The decisions of people who read the texts: which hooks are approved and which are banned."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

import polars as pl

from allocator.campaign.languages import canonical_tag
from allocator.campaign.schema import REVIEWED_COPY
from allocator.campaign.tables import FIRST_ROW
from allocator.errors import Finding
from allocator.files import write_table

KEY = ("coupon_id", "segment", "channel", "language", "variant")
BY_A_PERSON = "approved by a person"  # what the record of a text notes
COLUMNS = tuple(column.name for column in REVIEWED_COPY.columns)

Key = tuple[str, ...]


@dataclass(frozen=True)
class Reviewed:
    """What the decisions come to, where a later one stands against an earlier.

    Parameters
    ----------
    approved
        Hooks by key of the message (coupon, segment, channel, language, variant), the latest first.
    banned
        Hooks that no message may carry, in lower case.
    """

    approved: Mapping[Key, tuple[str, ...]] = field(default_factory=dict)
    banned: frozenset[str] = frozenset()


def reviewed(decisions: pl.DataFrame | None) -> Reviewed:
    """Return what the rows of ``reviewed_copy.csv`` come to."""
    approved: dict[Key, dict[str, None]] = {}
    banned: set[str] = set()
    for row in () if decisions is None else decisions.iter_rows(named=True):
        hook = row["hook"]
        if row["decision"] == "banned":
            banned.add(hook.lower())
            continue
        banned.discard(hook.lower())
        hooks = approved.setdefault(tuple(row[name] for name in KEY), {})
        hooks.pop(hook, None)
        hooks[hook] = None
    kept = {
        key: tuple(hook for hook in reversed(hooks) if hook.lower() not in banned)
        for key, hooks in approved.items()
    }
    return Reviewed({key: hooks for key, hooks in kept.items() if hooks}, frozenset(banned))


def check_decisions(decisions: pl.DataFrame) -> Iterator[Finding]:
    """Yield a finding for each decision that does not say which message it is about."""
    for i, row in enumerate(decisions.iter_rows(named=True), start=FIRST_ROW):
        if row["decision"] == "banned":
            continue
        for name in KEY:
            if row[name] is None:
                message = f"a hook is {row['decision']} for one message; say which"
                yield Finding(message, "reviewed_copy", i, name, "an empty cell", "a value")
        try:
            canonical_tag(row["language"] or "en")
        except ValueError as error:
            yield Finding(str(error), "reviewed_copy", i, "language", repr(row["language"]))


def decisions_file(folder: Path) -> Path:
    """Return the campaign's file of decisions: the Parquet file if that is there, else the CSV."""
    parquet = folder / f"{REVIEWED_COPY.name}.parquet"
    return parquet if parquet.is_file() else folder / f"{REVIEWED_COPY.name}.csv"


def write_decisions(folder: Path, decisions: pl.DataFrame) -> None:
    """Write the campaign's decisions; without any, remove the file."""
    path = decisions_file(folder)
    if decisions.height:
        write_table(decisions.select(COLUMNS), path)
    else:
        path.unlink(missing_ok=True)
