"""Draw time and memory by size from the recorded results, as SVG."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from benchmarks.record import RESULTS, read

STREAMED = "hundred_million"  # the streamed run's document, where it is recorded


def draw(picture: Path, folder: Path = RESULTS) -> bool:
    """Write the plot; False if nothing is recorded yet."""
    found = read("growth", folder)
    if found is None:
        return False
    import matplotlib as mpl

    mpl.use("svg")
    mpl.rcParams["svg.hashsalt"] = "growth"  # the same picture for the same results
    import matplotlib.pyplot as plt

    rows = [row for row in found["rows"] if row.get("error") is None]
    streamed = _streamed(read(STREAMED, folder))
    figure, (time, memory) = plt.subplots(1, 2, figsize=(10, 4), layout="constrained")
    users = [row["users"] for row in rows]
    time.loglog(users, [row["seconds"] for row in rows], "o-", label="in memory")
    memory.loglog(users, [row["peak_mb"] for row in rows], "o-", label="peak while solving")
    memory.loglog(users, [row["input_mb"] for row in rows], "k:", label="arrays")
    memory.loglog(users, [row["allowed_mb"] for row in rows], "k--", label="1.3 x arrays + 500 MB")
    if streamed is not None:
        time.loglog(streamed["users"], streamed["seconds"], "s", label="streamed from Parquet")
        memory.loglog(streamed["users"], streamed["peak_mb"], "s", label="streamed from Parquet")
    for axes, label in ((time, "seconds"), (memory, "MB")):
        axes.set_xlabel("users (10 coupons each, 26 rows)")
        axes.set_ylabel(label)
        axes.grid(visible=True, which="major", alpha=0.3)
        axes.legend()
    figure.savefig(picture, metadata={"Date": None})
    plt.close(figure)
    return True


def _streamed(document: dict[str, Any] | None) -> dict[str, Any] | None:
    """Return the streamed run with the names of the other rows."""
    if document is None:
        return None
    rows = document.get("rows", [document])
    row = rows[-1]
    return row if {"users", "seconds", "peak_mb"} <= set(row) else None
