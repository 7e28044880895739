"""Trained predictors on disk, and which past sends each has learnt from: on those it flatters itself."""

from __future__ import annotations

import hashlib
import json
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import polars as pl
from numpy.typing import NDArray

from allocator.campaign import Campaign, Config
from allocator.errors import Finding, InputError
from allocator.files import dump_json, require_new, versions, write_folder, write_text
from allocator.plugins import registry
from allocator.plugins.evaluation import Evaluation
from allocator.runs.stages import read_evaluation

if TYPE_CHECKING:
    from allocator.plugins.protocols import Predictor

MODEL = "model.json"


def is_model(folder: Path) -> bool:
    """Return whether a folder holds a predictor of ``allocate train``."""
    return (folder / MODEL).is_file()


def save_model(folder: Path, campaign: Campaign, predictor: Predictor, evaluation: Evaluation) -> None:
    """Save a trained predictor with its evaluation and what it was trained on."""
    require_new(folder)
    about = {
        "predictor": campaign.config.predict.predictor, "seed": campaign.config.seed,
        "digests": campaign.digests, "versions": versions(),
    }  # fmt: skip

    def fill(target: Path) -> None:
        (target / "predictor").mkdir()
        predictor.save(target / "predictor")
        write_seen(campaign.history, target)
        write_text(target / "evaluation.json", dump_json(asdict(evaluation)))
        write_text(target / MODEL, dump_json(about))

    folder.parent.mkdir(parents=True, exist_ok=True)
    write_folder(folder, fill)


def load_model(folder: Path, device: str = "auto") -> tuple[Predictor, str]:
    """Load a predictor that `save_model` saved; return it with the name of its plugin."""
    if not is_model(folder):
        raise InputError(
            Finding(
                "there is no trained model here", file=str(folder), expected="a folder of `allocate train`"
            )
        )
    try:
        name = str(json.loads((folder / MODEL).read_text(encoding="utf-8"))["predictor"])
    except (OSError, ValueError, LookupError, TypeError) as error:
        message = f"this is not what `allocate train` wrote; train again: {error}"
        raise InputError(Finding(message, str(folder / MODEL))) from error
    return _load_predictor(folder, name, device), name


def cautions_of_model(folder: Path) -> tuple[str, ...]:
    """Return what to know of a model's predictions before they are believed: as its evaluation says it."""
    path = folder / "evaluation.json"
    return read_evaluation(path).cautions if path.is_file() else ()


def find_predictor(folder: Path, config: Config, model: Path | None = None) -> tuple[Predictor, str] | None:
    """Load the predictor of a run or of a folder of ``allocate train``, with the name of its plugin.

    Parameters
    ----------
    folder
        The run or the folder.
    config
        Of the campaign; names the run's predictor, and the device.
    model
        Another folder of ``allocate train`` to take instead.

    Returns
    -------
    tuple or None
        None for a run that was made from scores or ready predictions.
    """
    device, name = config.predict.device, config.predict.predictor
    if model is not None or is_model(folder):
        return load_model(model or folder, device)
    if not (folder / "predictor").is_dir():
        return None
    return _load_predictor(folder, name, device), name


def _load_predictor(folder: Path, name: str, device: str) -> Predictor:
    cls = registry.load(registry.PREDICTORS, name)
    with registry.blamed(registry.PREDICTORS, name):
        predictor: Predictor = cls.load(folder / "predictor", device=device)
    return predictor


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
    try:
        seen = pl.read_parquet(folder / SEEN).select("user", "last")
    except (OSError, pl.exceptions.PolarsError) as error:
        message = f"this is not what `allocate train` wrote; train again: {str(error).splitlines()[0]}"
        raise InputError(Finding(message, str(folder / SEEN))) from error
    rows = rows.join(seen, on="user", how="left", maintain_order="left")
    unseen = rows["last"].is_null() | (rows["sent_at"] > rows["last"])
    return unseen.to_numpy().astype(bool)


def _hashes(users: pl.Series) -> pl.Series:
    hashed = [int.from_bytes(hashlib.blake2b(user.encode(), digest_size=8).digest()) for user in users]
    return pl.Series("user", hashed, dtype=pl.UInt64)
