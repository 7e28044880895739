"""Campaign folders that callers may name."""

from __future__ import annotations

from pathlib import Path

import polars as pl

from allocator.campaign.config import table_settings
from allocator.campaign.formats import find_source
from allocator.campaign.formats.columnar import scan_columnar
from allocator.campaign.schema import SCORES
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
    """Return whether a campaign's scores have at most so many pairs, without reading large ones.

    Only of a plain CSV file and of Parquet is that known before they are read.
    """
    settings = table_settings(folder)
    try:
        source = None if settings is None else find_source(folder, SCORES.name, settings[0].of(SCORES.name))
        if source is None or source.path is None:
            return source is None  # there is nothing to solve with, which is said at once
        if source.kind == "parquet":
            return int(scan_columnar(source.path, source.kind).select(pl.len()).collect().item()) <= most
        plain = source.kind == "text" and source.path.suffix not in (".gz", ".zst")
        small = plain and source.path.stat().st_size <= 200 * most
        return small and source.path.read_bytes().count(b"\n") <= most + 1
    except (InputError, pl.exceptions.PolarsError, OSError):
        return True  # as above
