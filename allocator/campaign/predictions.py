"""Predictions as a file: one row a user and coupon, of `allocate predict`, of a run or of another tool."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
from numpy.typing import NDArray

from allocator.campaign.campaign import Campaign
from allocator.campaign.formats import FIRST_ROW, Place, Source, source_of_file
from allocator.campaign.formats.columnar import scan_columnar, text_of
from allocator.campaign.schema import COUPON_ID, USER_ID, Column, TableSchema
from allocator.campaign.table_reading import read_table
from allocator.errors import Finding, InputError
from allocator.files import restore_ids, sha256_of, write_table
from allocator.plugins.predictions import Predictions
from allocator.problem.alignment import Axis
from allocator.problem.frames import Matrix

PREDICTED = ("conversion", "uplift", "redemption", "revenue", "expected_cost")

PERHAPS_PREDICTED = ("uplift_error", "baseline_revenue", "cost_variance")

NEVER_NEGATIVE = ("expected_cost", "uplift_error", "cost_variance")

TABLE = TableSchema(
    "predictions",
    (
        USER_ID,
        COUPON_ID,
        *(Column(name, "number", required=True) for name in PREDICTED),
        *(Column(name, "number") for name in PERHAPS_PREDICTED),
    ),
    extra="features",
)


CAUTIONS = "allocate.cautions"
"""Under which a Parquet file of predictions holds what to know of them, as a JSON list."""


def write_predictions(predictions: Predictions, path: Path) -> None:
    """Write predictions as Parquet, one row a user-coupon pair."""
    write_table(predictions_frame(predictions), path, file_notes(predictions.cautions))


def file_notes(cautions: Sequence[str]) -> dict[str, str]:
    """Return cautions as the notes of a Parquet file."""
    return {CAUTIONS: json.dumps(list(cautions))}


def predictions_frame(predictions: Predictions) -> pl.DataFrame:
    """Return predictions as a table, one row a user-coupon pair."""
    n, m = predictions.uplift.shape
    users, coupons = (
        pl.Series(np.asarray(ids).tolist(), dtype=pl.String)
        for ids in (predictions.user_ids, predictions.coupon_ids)
    )
    columns: dict[str, Any] = {
        "user_id": users.gather(np.repeat(np.arange(n), m)),
        "coupon_id": coupons.gather(np.tile(np.arange(m), n)),
    }
    for name in (*PREDICTED, *PERHAPS_PREDICTED):
        array = getattr(predictions, name)
        if array is not None:
            columns[name] = np.ascontiguousarray(array).ravel()
    return pl.DataFrame(columns)


def read_predictions(path: Path) -> Predictions:
    """Read predictions that `write_predictions` wrote, or another tool in the same form; any row order.

    Raises
    ------
    InputError
        If the file, a column, a number or a pair is missing.
    """
    source = source_of_file(path, "predictions")
    cautions: tuple[str, ...] = ()
    if source.kind in ("parquet", "arrow"):
        frame, stands = _typed(source)
        cautions = _cautions(source)
    else:
        table = read_table(source, TABLE)
        frame, stands = restore_ids(table.frame), table.place
    numbers = [*PREDICTED, *(name for name in PERHAPS_PREDICTED if name in stands.columns)]
    findings = [
        stands.of(Finding("this value cannot be used", path.name, bad[0] + FIRST_ROW, name,
                         repr(frame[name][bad[0]]), "a number"))
        for name in numbers
        if len(bad := (~frame[name].is_finite().fill_null(False)).arg_true())
    ]  # fmt: skip
    findings += [
        stands.of(Finding("this cannot be negative", path.name, bad[0] + FIRST_ROW, name,
                          f"{frame[name][bad[0]]:g}", "0 or more"))
        for name in NEVER_NEGATIVE
        if name in numbers and len(bad := (frame[name] < 0).fill_null(False).arg_true())
    ]  # fmt: skip
    if findings:
        raise InputError(findings)
    users, user = _codes(frame["user_id"])
    coupons, coupon = _codes(frame["coupon_id"])
    place = user * len(coupons) + coupon
    if len(np.unique(place)) != len(users) * len(coupons) or len(place) != len(users) * len(coupons):
        raise InputError(
            Finding(
                "there is not one row for each user and coupon",
                file=path.name,
                found=f"{frame.height:,} rows",
                expected=f"{len(users) * len(coupons):,}",
            )
        )
    order = np.argsort(place)
    arrays: dict[str, Any] = {
        name: frame[name].to_numpy()[order].reshape(len(users), len(coupons)) for name in numbers
    }
    return Predictions(users, coupons, **arrays, cautions=cautions)


def _cautions(source: Source) -> tuple[str, ...]:
    """Return what a Parquet file says of its predictions; nothing, if another tool wrote it."""
    if source.kind != "parquet" or source.path is None:
        return ()
    stored = pl.read_parquet_metadata(source.path).get(CAUTIONS)
    return () if stored is None else tuple(map(str, json.loads(stored)))


def _typed(source: Source) -> tuple[pl.DataFrame, Place]:
    """Read a file whose columns have types, so that no number is made a text and back."""
    assert source.path is not None
    try:
        scan = scan_columnar(source.path, source.kind)
        schema = scan.collect_schema()
        missing = [name for name in ("user_id", "coupon_id", *PREDICTED) if name not in schema]
        if missing:
            raise InputError(
                [Finding("required column is missing", source.name, column=name) for name in missing]
            )
        ids = [text_of(name, schema[name]) for name in ("user_id", "coupon_id")]
        numbers = pl.col(*PREDICTED, *(name for name in PERHAPS_PREDICTED if name in schema))
        frame = scan.select(*ids, numbers.cast(pl.Float64, strict=False)).collect()
    except (pl.exceptions.PolarsError, pl.exceptions.PanicException, OSError) as error:
        message = f"these predictions cannot be read: {str(error).splitlines()[0]}"
        raise InputError(Finding(message, file=source.name)) from error
    return frame, Place(source.name, columns=tuple(frame.columns))


def _codes(labels: pl.Series) -> tuple[NDArray[np.str_], NDArray[np.int64]]:
    """Return the distinct labels in order of appearance, and each row's index among them."""
    distinct = labels.unique(maintain_order=True)
    codes = labels.replace_strict(distinct, pl.int_range(len(distinct), eager=True), return_dtype=pl.Int64)
    return np.asarray(distinct.to_list(), np.str_), codes.to_numpy()


def find_predictions(path: Path | None) -> Predictions | None:
    """Read predictions from a file, or from a run folder that holds them; None for no path."""
    return None if path is None else read_predictions(_predictions_file(path))


def digest_of(predictions: Path) -> str:
    """Return the SHA-256 of a predictions file, or of the one in a run folder."""
    return sha256_of(_predictions_file(predictions))


def _predictions_file(path: Path) -> Path:
    file = path / "predictions.parquet" if path.is_dir() else path
    if not file.is_file():
        raise InputError(
            Finding(
                "there are no predictions here",
                file=str(file),
                expected="a file of `allocate predict`, or a run folder",
            )
        )
    return file


def checked_predictions(predictions: Any) -> Predictions:
    """Return predictions whose arrays are finite numbers, users x coupons, as float64.

    Raises
    ------
    InputError
        With every array that is not, and names that come with one and are not those of its rows or columns.
    """
    if not isinstance(predictions, Predictions):
        found = type(predictions).__name__
        raise InputError(Finding("these are no Predictions", column="predictions", found=found))
    shape = (len(predictions.user_ids), len(predictions.coupon_ids))
    rows = Axis.of("rows", "users", predictions.user_ids)
    columns = Axis.of("columns", "coupons", predictions.coupon_ids)
    findings: list[Finding] = []
    changes: dict[str, Any] = {}
    for name in (*PREDICTED, *PERHAPS_PREDICTED):
        given = getattr(predictions, name)
        if given is None and name in PERHAPS_PREDICTED:
            continue
        table = Matrix.of(given, name, "these are no numbers", findings)
        rows.check(table.rows, name, findings)
        columns.check(table.columns, name, findings)
        array = changes[name] = table.array.astype(np.float64, copy=False)
        if array.shape != shape or not np.isfinite(array).all():
            message = f"it must be {shape[0]:,} users x {shape[1]:,} coupons of finite numbers"
            findings.append(Finding(message, "predictions", None, name, str(array.shape)))
        elif name in NEVER_NEGATIVE and (array < 0).any():
            findings.append(Finding("it must be 0 or more", "predictions", None, name, f"{array.min():g}"))
    if findings:
        raise InputError(findings)
    return replace(predictions, **changes)


def in_order_of(campaign: Campaign, predictions: Predictions) -> Predictions:
    """Return the predictions in the campaign's order of users and coupons.

    Raises
    ------
    InputError
        If they are of other users or coupons.
    """
    predictions = checked_predictions(predictions)
    labels = (
        ("user_id", campaign.user_ids, predictions.user_ids),
        ("coupon_id", campaign.coupon_ids, predictions.coupon_ids),
    )
    if all(np.array_equal(mine, theirs) for _, mine, theirs in labels):
        return predictions
    findings = []
    for name, mine, theirs in labels:
        if not np.array_equal(np.sort(mine), np.sort(theirs)):
            message = "the predictions are of other users or coupons than the campaign; predict again"
            found, expected = f"{len(theirs):,} labels", f"the {len(mine):,} of the campaign"
            findings.append(Finding(message, "predictions", column=name, found=found, expected=expected))
    if findings:
        raise InputError(findings)
    order = [np.argsort(theirs)[np.argsort(np.argsort(mine))] for _, mine, theirs in labels]
    changes = {
        name: getattr(predictions, name)[np.ix_(*order)]
        for name in (*PREDICTED, *PERHAPS_PREDICTED)
        if getattr(predictions, name) is not None
    }
    return replace(predictions, user_ids=campaign.user_ids, coupon_ids=campaign.coupon_ids, **changes)
