"""Draw what is spent over time, and what is earned of the optimum, from the recorded simulation, as SVG."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from benchmarks.record import RESULTS, Row, read

WAYS = {"adaptive": "paced", "fixed": "fixed prices", "first come": "first come, first served"}
COLOURS = {"adaptive": "#1f77b4", "fixed": "#ff7f0e", "first come": "#7f7f7f"}
SHOWN = "x0.5 rising to x2, mix shifted", "x2, mix shifted"


def draw(picture: Path, folder: Path = RESULTS) -> bool:
    """Write the plot; False if nothing is recorded yet."""
    found = read("pacing", folder)
    if found is None:
        return False
    import matplotlib as mpl

    mpl.use("svg")
    mpl.rcParams["svg.hashsalt"] = "pacing"  # the same picture for the same results
    import matplotlib.pyplot as plt

    users = max(row["users"] for row in found["rows"])
    rows = [row for row in found["rows"] if row["users"] == users]
    figure, axes = plt.subplot_mosaic(
        [["first", "second"], ["shares", "shares"]],
        figsize=(10, 9),
        height_ratios=(3, 5),
        layout="constrained",
    )
    for name, shown in zip(("first", "second"), SHOWN, strict=True):
        _spend(axes[name], next(row for row in rows if row["traffic"] == shown))
    _shares(axes["shares"], rows)
    figure.savefig(picture, metadata={"Date": None})
    plt.close(figure)
    return True


def _spend(axes: Any, row: Row) -> None:
    """Draw the share of the budget that is spent over time, beside the share of users who came."""
    time = [100 * k / (len(row["arrived"]) - 1) for k in range(len(row["arrived"]))]
    axes.plot(time, [100 * n / row["arrivals"] for n in row["arrived"]], "k:", label="users who came")
    for key, name in WAYS.items():
        axes.plot(time, [100 * s for s in row[key]["spent"]], color=COLOURS[key], label=name)
    axes.set_title(row["traffic"], fontsize="medium")
    axes.set_xlabel("time of the campaign, %")
    axes.set_ylabel("budget spent, %")
    axes.grid(visible=True, alpha=0.3)
    axes.legend(fontsize="small")


def _shares(axes: Any, rows: list[Row]) -> None:
    """Draw the share of the optimum that each way earns, a line each kind of traffic."""
    names = [row["traffic"] + ("" if row["expected"] else " *") for row in rows]
    for key, name in reversed(WAYS.items()):
        axes.plot([100 * row[key]["share"] for row in rows], names, "o", color=COLOURS[key], label=name)
    axes.axvline(99.5, color="k", linestyle="--", linewidth=0.8, label="99.5%")
    axes.invert_yaxis()
    axes.set_xlabel("earned of the optimum in hindsight, %")
    axes.grid(visible=True, alpha=0.3)
    axes.legend(loc="lower center", fontsize="small")
