"""Train, score and price on a GPU beside the CPU: one script for the hour in which there is one.

Training is of the transformer on past sends (bf16 on CUDA), scoring of every user against ten coupons,
pricing one pass of the solver over all pairs. What each device finds is compared: predictions by the
correlation and the largest difference of uplifts, prices by the largest relative difference of the aggregate
table.
"""

from __future__ import annotations

import time
from argparse import Namespace
from collections.abc import Generator, Iterator
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np

from benchmarks.measure import in_process
from benchmarks.ours import device_task
from benchmarks.record import Columns, Row
from benchmarks.scoring import COUPONS, few_sends, write_campaign

ABOUT = "training, scoring and pricing on a GPU beside the CPU"
COMPARED = 20_000
"""Users whose uplifts on both devices are compared."""


def rows(settings: Namespace) -> Iterator[Row]:
    """Yield a row for each step; none, after saying so, where torch finds no such device."""
    if (reason := missing(settings.device)) is not None:
        print(f"skipped: {reason}")
        return
    for users in settings.sizes:
        found = in_process(learning_task, users, settings.device, limit=settings.limit).row()
        for step in ("train", "score"):
            yield (
                found
                | {"users": users, "step": step}
                | {name: found.get(f"{step}_{name}") for name in ("cpu", "there")}
            )
        priced = in_process(device_task, users, settings.device, limit=settings.limit).row()
        yield priced | {
            "users": users,
            "step": "price",
            "cpu": priced.get("cpu_seconds"),
            "there": priced.get("device_seconds"),
            "agreement": None,
        }


def missing(device: str) -> str | None:
    """Return why nothing can be measured on a device; None if it can."""
    try:
        import torch
    except ImportError as error:
        return f"torch cannot be imported ({error})"
    if device.startswith("cuda") and not torch.cuda.is_available():
        return f"torch {torch.__version__} finds no CUDA device here, so nothing was measured"
    return None


def learning_task(users: int, device: str) -> Generator[None, None, dict[str, Any]]:
    """Train the transformer on a device and on the CPU, and score all users by the former on both."""
    import torch

    from allocator.campaign import read_campaign
    from predictors import TransformerPredictor

    with TemporaryDirectory() as temporary:
        folder = Path(temporary)
        write_campaign(folder, users)
        campaign = read_campaign(folder)
        small = few_sends(campaign)
        yield
        seconds: dict[str, float] = {}
        fitted = {}
        for name, where in (("cpu", "cpu"), ("there", device)):
            began = time.perf_counter()
            fitted[name] = TransformerPredictor()
            fitted[name].fit(small, seed=1, device=where)
            seconds[f"train_{name}"] = time.perf_counter() - began
        saved = folder / "model"
        saved.mkdir()
        fitted["there"].save(saved)
        uplift = {}
        for name, where in (("cpu", "cpu"), ("there", device)):
            predictor = TransformerPredictor.load(saved, device=where)
            began = time.perf_counter()
            parts = [part.uplift for part in predictor.predict_parts(campaign)]
            seconds[f"score_{name}"] = time.perf_counter() - began
            uplift[name] = np.concatenate(parts)[:COMPARED].ravel()
        there = torch.device(device)
        return seconds | {
            "device": torch.cuda.get_device_name(there) if there.type == "cuda" else device,
            "torch": torch.__version__,
            "agreement": float(np.corrcoef(uplift["cpu"], uplift["there"])[0, 1]),
            "difference": float(np.abs(uplift["cpu"] - uplift["there"]).max()),
        }


def _number(key: str, form: str) -> Any:
    return lambda row: "" if row.get(key) is None else format(row[key], form)


COLUMNS: Columns = {
    "users x coupons": lambda row: f"{row['users']:,} x {COUPONS}",
    "step": lambda row: str(row["step"]),
    "device": lambda row: str(row.get("device") or row.get("error")),
    "CPU, s": _number("cpu", ".3f"),
    "device, s": _number("there", ".3f"),
    "correlation": _number("agreement", ".5f"),
    "largest difference": _number("difference", ".1e"),
}
SETTINGS = {"sizes": [1_000_000], "device": "cuda", "limit": 600.0}
