"""Campaign folders that callers may name."""

from __future__ import annotations

from pathlib import Path

from allocator.errors import Finding, InputError

CONFIG = "campaign.toml"


def find_campaign(folder: Path | None, name: str) -> Path:
    """Return a campaign folder by its name: one that is there, so that no name can be a path.

    Raises
    ------
    InputError
        If there is none.
    """
    if folder is None:
        message = "this service was started without --campaigns, so that it knows no campaign"
        raise InputError(Finding(message, "request", column="campaign"))
    known = {child.name: child for child in folder.iterdir() if (child / CONFIG).is_file()}
    if name not in known:
        raise InputError(
            Finding("there is no campaign of this name", "request", column="campaign", found=repr(name))
        )
    return known[name]


def is_small(folder: Path, most: int) -> bool:
    """Return whether a campaign's scores have at most so many pairs, without reading large ones."""
    table = folder / "scores.csv"
    if table.is_file():
        return table.stat().st_size <= 200 * most and table.read_bytes().count(b"\n") <= most + 1
    table = folder / "scores.parquet"
    if not table.is_file():
        return True  # there is nothing to solve with, which is said at once
    import polars as pl

    try:
        return int(pl.scan_parquet(table).select(pl.len()).collect().item()) <= most
    except (pl.exceptions.PolarsError, OSError):
        return True  # as above
