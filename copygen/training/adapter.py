"""Approved hooks -> a folder with an adapter and a record of how it came about."""

from __future__ import annotations

import importlib.metadata
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from safetensors.torch import save_file

from allocator.errors import Finding, InputError
from allocator.plugins.copy import ApprovedHook
from allocator.progress import Progress
from copygen.backends import embedded
from copygen.backends.model_folder import ABOUT_ADAPTER, device_of, label_of, read_model
from copygen.backends.prompt_cache import PromptCache
from copygen.options import LocalOptions
from copygen.training.examples import Example, digest_of, hold_out, read_examples
from copygen.training.lora import Row, tune

WEIGHTS = "adapter_model.safetensors"
PACKAGES = ("allocate", "peft", "torch", "transformers")


def train_adapter(
    hooks: Sequence[ApprovedHook],
    folder: Path,
    options: LocalOptions,
    *,
    epochs: int,
    rank: int,
    seed: int,
    skip_bad: bool,
    progress: Progress,
) -> dict[str, Any]:
    """Write an adapter of the options' model into `folder`, which exists and is empty; return its record.

    Raises
    ------
    InputError
        Naming every hook that the guard does not let pass, unless they are to be left out; or if there
        are too few, or the training taught the model nothing.
    """
    examples, left_out = read_examples(hooks, options.languages, skip_bad=skip_bad)
    learned, held_out = hold_out(examples, seed)
    device = device_of(options.device)
    # Small steps are lost in bf16; on a GPU, where memory counts, PEFT keeps what learns as float32.
    dtype = options.dtype if device == "cuda" else "float32"
    base = options.model or embedded.prepare(progress)
    model, tokenizer = read_model(base, device, dtype, progress)
    prompts = PromptCache(model, tokenizer)

    def row(example: Example) -> Row:
        answer = tokenizer(example.hook, add_special_tokens=False).input_ids
        prompt = tuple(prompts.tokens(example.cell))
        return Row(example.cell.language, prompt, (*answer, tokenizer.eos_token_id))

    tuned = tune(
        model,
        [row(example) for example in learned],
        [row(example) for example in held_out],
        epochs=epochs,
        rank=rank,
        seed=seed,
        progress=progress,
    )
    if not tuned.epoch:
        message = "the training made held-out hooks no likelier, so nothing is written; give it more hooks"
        raise InputError(Finding(message, hooks[0].file or None))
    label = embedded.LABEL if options.model is None else label_of(options.model)
    record = {
        "base": label,
        "languages": sorted({example.cell.language for example in examples}),
        "hooks": len(learned),
        "held_out": len(held_out),
        "left_out": left_out,
        "loss_before": tuned.losses[0],
        "loss": tuned.losses[tuned.epoch],
        "losses": tuned.losses,
        "training_losses": tuned.training_losses,
        "epoch": tuned.epoch,
        "rank": rank,
        "seed": seed,
        "data": digest_of(examples),
        "versions": {name: importlib.metadata.version(name) for name in PACKAGES},
    }
    tuned.config.base_model_name_or_path = label
    tuned.config.inference_mode = True
    tuned.config.save_pretrained(str(folder))
    save_file(tuned.tensors, folder / WEIGHTS, metadata={"format": "pt"})
    (folder / ABOUT_ADAPTER).write_text(json.dumps(record, indent=2) + "\n", encoding="utf-8")
    return record
