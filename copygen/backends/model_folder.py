"""A model in a folder of transformers, and an adapter beside it, read into memory."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any

import torch
from transformers import AutoModelForCausalLM, AutoTokenizer

from allocator.errors import PluginError
from allocator.progress import Progress
from copygen.backends.quiet import quiet_transformers

STEP = "load language model"
ABOUT_ADAPTER = "training.json"  # what `allocate copy train` says of an adapter, beside it


def device_of(wanted: str) -> str:
    """Return ``cpu`` or ``cuda`` for ``auto``, ``cpu`` or ``cuda``."""
    if wanted == "cuda" and not torch.cuda.is_available():
        raise PluginError('device = "cuda" under [copy.options], but torch sees no CUDA device here.')
    return "cuda" if wanted != "cpu" and torch.cuda.is_available() else "cpu"


def read_model(folder: Path, device: str, dtype: str, progress: Progress) -> tuple[Any, Any]:
    """Return model and tokenizer, on `device` (``cpu`` or ``cuda``), reading nothing but the folder.

    Raises
    ------
    PluginError
        If the folder holds no usable causal language model with a tokenizer.
    """
    if dtype == "float16" and device == "cpu":
        raise PluginError(
            'dtype = "float16" under [copy.options] is for CUDA, and torch sees no CUDA device here;'
            ' use "bfloat16" or "float32".'
        )
    progress(STEP, 0, 1)
    try:
        with quiet_transformers():
            tokenizer = AutoTokenizer.from_pretrained(folder, local_files_only=True)
            model = AutoModelForCausalLM.from_pretrained(
                folder, local_files_only=True, dtype=getattr(torch, dtype)
            )
        if tokenizer.eos_token_id is None:
            raise ValueError("its tokenizer names no end-of-text token")
        model = model.to(device).eval()
    except (OSError, ValueError, KeyError, AttributeError, RuntimeError) as error:
        raise PluginError(f"The language model in {folder} cannot be loaded: {error}") from error
    progress(STEP, 1, 1)
    return model, tokenizer


def with_adapter(model: Any, folder: Path, base: str) -> Any:
    """Return `model` with an adapter's matrices added to its own, which costs no time when it writes.

    Parameters
    ----------
    model
        From `read_model`.
    folder
        Of the adapter.
    base
        Label of the model.

    Raises
    ------
    PluginError
        If the adapter is another model's or cannot be read.
    """
    from peft import PeftModel
    from safetensors import SafetensorError

    about = folder / ABOUT_ADAPTER
    try:
        if about.is_file():
            trained_for = json.loads(about.read_text(encoding="utf-8"))["base"]
            if trained_for != base:
                raise ValueError(f"it was trained for {trained_for}, and this model is {base}")
        with quiet_transformers():
            return PeftModel.from_pretrained(model, folder).merge_and_unload().eval()
    except (OSError, ValueError, KeyError, TypeError, AttributeError, RuntimeError, SafetensorError) as error:
        raise PluginError(f"The adapter in {folder} cannot be used: {error}") from error


def label_of(folder: Path) -> str:
    """Return a folder's name and a digest of its files: what the record calls the model."""
    digest = hashlib.sha256()
    for file in sorted(path for path in folder.iterdir() if path.is_file()):
        with file.open("rb") as handle:
            digest.update(file.name.encode() + hashlib.file_digest(handle, "sha256").digest())
    return f"{folder.name} (sha256 {digest.hexdigest()[:12]})"
