"""Who gets what, read from a run folder or from a table of another tool."""

from __future__ import annotations

from pathlib import Path

import polars as pl

from allocator.campaign import Campaign
from allocator.campaign.schema import COUPON_ID, USER_ID, Column, TableSchema
from allocator.campaign.table_reading import read_file
from allocator.errors import Finding, InputError
from allocator.files import restore_ids
from allocator.runs.run_folder import MANIFEST

PLAN = TableSchema(
    "plan",
    (
        Column("user_id", required=True, unique=True, aliases=USER_ID.aliases),
        Column("coupon_id", aliases=COUPON_ID.aliases),
    ),
    required=True,
    extra="features",
)


def read_plan(path: Path, campaign: Campaign) -> dict[str, str]:
    """Return the coupon of each user who gets one.

    Parameters
    ----------
    path
        A finished run folder, or a file of any form with ``user_id`` and ``coupon_id`` (empty:
        nothing); other columns are not read.
    campaign
        Whose users and coupons it names.

    Raises
    ------
    InputError
        There is no plan, it names a user twice, or a coupon that the campaign does not have, or none of
        its users is in the campaign.
    """
    file = _plan_file(path)
    table = restore_ids(read_file(file, PLAN).frame).drop_nulls("coupon_id")
    known = set(campaign.coupons["coupon_id"].to_list())
    findings = [
        Finding("coupons.csv has no such coupon; add it with active = 0 if it is a past one", str(path),
                column="coupon_id", found=repr(name))
        for name in table["coupon_id"].unique().sort()
        if name not in known
    ]  # fmt: skip
    if len(table) and not table["user_id"].is_in(campaign.users["user_id"].implode()).any():
        found = repr(table["user_id"][0])
        findings.append(
            Finding("none of these users is in users.csv", str(path), column="user_id", found=found)
        )
    if findings:
        raise InputError(findings)
    return dict(table.select("user_id", "coupon_id").iter_rows())


def _plan_file(path: Path) -> Path:
    if path.is_file():
        return path
    found = [path / f"assignments.{ending}" for ending in ("parquet", "csv")]
    for file in found:
        if (path / MANIFEST).is_file() and file.is_file():
            return file
    raise InputError(
        Finding(
            "there is no plan here",
            str(path),
            expected="the folder of a finished run, or a file with user_id and coupon_id",
        )
    )


def read_assignments(folder: Path) -> pl.DataFrame:
    """Read the assignments; an id that was defused for spreadsheets gets its own form back."""
    parquet = folder / "assignments.parquet"
    if parquet.is_file():
        return pl.read_parquet(parquet)
    file = folder / "assignments.csv"
    columns = pl.read_csv(file, n_rows=0).columns
    there = [
        "user_id",
        "coupon_id",
        *(name for name in ("wave", "arm", "planned_coupon_id") if name in columns),
    ]
    return restore_ids(pl.read_csv(file, schema_overrides=dict.fromkeys(there, pl.String)), there)
