"""A training's state on disk, so that one that was cut short goes on where it was."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor

from predictors.features.encoder import Contexts
from predictors.history.training_data import TrainingData

ARRAYS = ("numeric", "categorical", "event_kind", "event_category", "event_numbers", "affinity")
OUTCOMES = ("user", "coupon", "treated", "converted", "redeemed", "revenue", "weight")


class Checkpoint:
    """One file of tensors and JSON in a folder; its name tells the training from any other.

    Parameters
    ----------
    folder
        Where it is kept; None for nowhere.
    data, settings
        What is trained on, and how.
    """

    def __init__(self, folder: Path | None, data: TrainingData, settings: Mapping[str, Any]) -> None:
        self._path = None if folder is None else folder / f"{_digest(data, settings)}.safetensors"

    def write(self, tensors: Mapping[str, Tensor], values: Mapping[str, Any]) -> None:
        """Keep a state in place of the one before."""
        if self._path is None:
            return
        self._path.parent.mkdir(parents=True, exist_ok=True)
        part = self._path.with_suffix(".part")
        contiguous = {name: tensor.detach().cpu().contiguous() for name, tensor in tensors.items()}
        save_file(contiguous, part, metadata={"values": json.dumps(values)})
        part.replace(self._path)

    def read(self) -> tuple[dict[str, Tensor], dict[str, Any]] | None:
        """Return what was written last; None if there is nothing, or nothing readable."""
        if self._path is None or not self._path.is_file():
            return None
        try:
            with safe_open(self._path, framework="pt") as file:
                tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
                return tensors, json.loads(file.metadata()["values"])
        except (OSError, SafetensorError, ValueError):
            return None


def _digest(data: TrainingData, settings: Mapping[str, Any]) -> str:
    """Return a name for a training: any other data, setting, seed or version of torch changes it."""
    digest = hashlib.blake2b(digest_size=12)
    told = {
        "settings": settings,
        "seed": data.seed,
        "encoder": data.encoder.to_json(),
        "torch": torch.__version__,
    }
    digest.update(json.dumps(told, sort_keys=True).encode())
    contexts: Contexts = data.contexts
    arrays = [getattr(contexts, name) for name in ARRAYS]
    arrays += [getattr(data.history, name) for name in OUTCOMES]
    arrays += [data.coupons.numbers, data.coupons.texts, data.coupons.slot]
    for array in arrays:
        digest.update(str(array.shape).encode())
        digest.update(np.ascontiguousarray(array).tobytes())
    return digest.hexdigest()
