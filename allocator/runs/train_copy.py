"""A brand's approved hooks -> a folder with what a copy writer learned from them."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import polars as pl

from allocator.campaign.campaign import Campaign
from allocator.campaign.reading import read_campaign
from allocator.campaign.schema import CHANNELS, DECISIONS, REVIEWED_COPY, Column, TableSchema
from allocator.campaign.table_reading import read_file
from allocator.errors import Finding, InputError, PluginError
from allocator.files import require_new, write_folder
from allocator.plugins import registry
from allocator.plugins.copy import ApprovedHook
from allocator.plugins.protocols import TrainableCopyWriter
from allocator.progress import Progress, no_progress
from allocator.runs.opening import is_run, open_run

HOOKS = TableSchema(
    "hooks",
    (
        Column("hook", required=True),
        Column("category"),
        Column("persona", default="everyone", aliases=("segment",)),
        Column("tone", default="warm"),
        Column("language", default="en", aliases=("locale",)),
        Column("channel", one_of=CHANNELS, default="sms"),
        Column("decision", one_of=DECISIONS, default="approved"),
    ),
    extra="features",
)
"""The file of hooks to learn from; other columns are welcome and do not matter."""


def train_copy(
    data: Path,
    out: Path,
    *,
    writer: str = "local",
    options: Mapping[str, Any] | None = None,
    epochs: int = 3,
    rank: int = 16,
    seed: int = 7,
    skip_bad: bool = False,
    progress: Progress = no_progress,
) -> dict[str, Any]:
    """Train a copy writer on approved hooks and write what it learned into a new folder.

    Parameters
    ----------
    data
        File of hooks in any form (see `HOOKS`), or a campaign folder or run with reviewed copy.
    out
        New folder; it appears when it is complete.
    writer, options
        Copy writer plugin and its ``[copy.options]``.
    epochs
        Times to go through the hooks, at most.
    rank
        Of the adapter's matrices: how much it can learn.
    seed
        Of everything random.
    skip_bad
        Leave out hooks that the guard does not let pass instead of raising an error.
    progress
        Called often.

    Raises
    ------
    InputError
        Naming everything that is wrong with the hooks.
    PluginError
        If the writer cannot be trained, or a library or model that it needs is missing.
    """
    require_new(out)
    hooks = read_approved(data)
    made = registry.create(registry.COPYWRITERS, writer, options or {})
    if not isinstance(made, TrainableCopyWriter):
        raise PluginError(f"The copy writer '{writer}' cannot be trained; 'local' can.")
    record: dict[str, Any] = {}

    def fill(target: Path) -> None:
        with registry.blamed(registry.COPYWRITERS, writer, progress) as report:
            record.update(
                made.train(
                    hooks, target, epochs=epochs, rank=rank, seed=seed, skip_bad=skip_bad, progress=report
                )
            )

    out.parent.mkdir(parents=True, exist_ok=True)
    write_folder(out, fill)
    return record


def read_approved(data: Path) -> list[ApprovedHook]:
    """Return the approved hooks of a file, a campaign folder or a run; what was banned is left out.

    Raises
    ------
    InputError
        Naming everything that is wrong with the file, or if it holds no approved hook.
    """
    if data.is_dir():
        campaign = open_run(data).campaign if is_run(data) else read_campaign(data)
        table, place = _of_campaign(campaign), campaign.places.of_table(REVIEWED_COPY.name)
    elif data.is_file():
        read = read_file(data, HOOKS)
        table, place = read.frame, read.place
    else:
        raise InputError(Finding("there is no such file or folder", file=str(data)))
    hook, decision = pl.col("hook").str.to_lowercase(), pl.col("decision")
    rows = [place.rows.row(record) for record in range(table.height)]
    table = table.with_columns(pl.Series("row", rows, pl.Int64))
    banned = table.filter(decision == "banned").select(hook).to_series()
    table = table.filter(~hook.is_in(banned.implode()))
    if not table.height:
        raise InputError(Finding("there is no approved hook to learn from", place.name, None, "hook"))
    return [
        ApprovedHook(
            row["hook"],
            row["category"],
            row["persona"],
            row["tone"],
            row["language"].partition("-")[0].lower(),
            row["channel"],
            place.name,
            row["row"],
        )
        for row in table.iter_rows(named=True)
    ]


def _of_campaign(campaign: Campaign) -> pl.DataFrame:
    """Return a campaign's reviewed copy as a file of hooks would hold it."""
    if campaign.reviewed is None:
        message = "no text of this campaign has been reviewed; `allocate copy review RUN` does that"
        raise InputError(Finding(message, file=f"{REVIEWED_COPY.name}.csv"))
    categories = campaign.coupons.select("coupon_id", "category")
    return campaign.reviewed.join(categories, on="coupon_id", how="left", maintain_order="left").with_columns(
        persona=pl.col("segment").fill_null("everyone"),
        tone=pl.lit(campaign.config.copy_.tone),
        language=pl.col("language").fill_null("en"),
        channel=pl.col("channel").fill_null("sms"),
    )
