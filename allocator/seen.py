"""Which past sends a saved model has learnt from: judged on them, it would flatter itself."""

from __future__ import annotations

import hashlib
from pathlib import Path

import numpy as np
import polars as pl
from numpy.typing import NDArray

SEEN = "seen.parquet"


def write_seen(history: pl.DataFrame | None, folder: Path) -> None:
    """Record the users of a history, hashed, with the time of their last send."""
    if history is None:
        return
    last = history.group_by("user_id").agg(last=pl.col("sent_at").max()).sort("user_id")
    table = pl.DataFrame({"user": _hashes(last["user_id"]), "last": last["last"]}).sort("user")
    table.write_parquet(folder / SEEN)


def unseen_rows(history: pl.DataFrame, folder: Path) -> NDArray[np.bool_]:
    """Return which rows of a history are of other users than the model's, or later than it saw of them.

    None of them where the model does not say what it saw.
    """
    if not (folder / SEEN).is_file():
        return np.zeros(history.height, dtype=bool)
    rows = pl.DataFrame({"user": _hashes(history["user_id"]), "sent_at": history["sent_at"]})
    rows = rows.join(pl.read_parquet(folder / SEEN), on="user", how="left", maintain_order="left")
    unseen = rows["last"].is_null() | (rows["sent_at"] > rows["last"])
    return unseen.to_numpy().astype(bool)


def _hashes(users: pl.Series) -> pl.Series:
    hashed = [int.from_bytes(hashlib.blake2b(user.encode(), digest_size=8).digest()) for user in users]
    return pl.Series("user", hashed, dtype=pl.UInt64)
