"""A causal language model in a local folder, run through transformers."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from itertools import takewhile
from pathlib import Path
from typing import Any, Self

import llguidance.hf
import torch
from transformers import AutoModelForCausalLM, AutoTokenizer, LogitsProcessorList

from allocator.errors import PluginError
from allocator.protocols import Progress, no_progress
from copygen import prompts
from copygen.backends import Hook
from copygen.backends.grammar import GrammarSampler
from copygen.backends.quiet import quiet_transformers
from copygen.cells import Cell

ROWS = 32
TEMPERATURE = 0.8
LEAST_SCORE = -4.5  # mean log-probability of a token; text that reads well lies above -3
MOST_TOKENS = 32
STEP = "write copy"


class LocalModel:
    """Proposes hooks with a local model; reads nothing but its folder.

    Parameters
    ----------
    model, tokenizer
        From transformers.
    guided
        Answer in phrases of ours (a small model) or in free words (a larger one).
    label
        The model's name and digest.
    """

    name = "local"

    def __init__(self, model: Any, tokenizer: Any, *, guided: bool, label: str = "") -> None:
        self._model, self._tokenizer, self._guided, self.model = model, tokenizer, guided, label
        self.unanswered: dict[Cell, str] = {}  # a model on this machine answers or fails for all
        # The words of a guided phrase were approved beforehand, however rare the model finds them.
        self.least_score = float("-inf") if guided else LEAST_SCORE
        self._grammar_tokenizer = llguidance.hf.from_tokenizer(tokenizer, n_vocab=model.config.vocab_size)

    @classmethod
    def load(
        cls, folder: Path, device: str, *, guided: bool, label: str = "", progress: Progress = no_progress
    ) -> Self:
        """Load a folder as bf16 on `device` (``auto``, ``cpu`` or ``cuda``).

        Raises
        ------
        PluginError
            If the folder holds no usable causal language model with a fast tokenizer.
        """
        if device == "auto":
            device = "cuda" if torch.cuda.is_available() else "cpu"
        if device == "cuda" and not torch.cuda.is_available():
            raise PluginError('device = "cuda" under [copy.options], but torch sees no CUDA device here.')
        progress("load language model", 0, 1)
        try:
            with quiet_transformers():
                tokenizer = AutoTokenizer.from_pretrained(folder, local_files_only=True)
                model = AutoModelForCausalLM.from_pretrained(
                    folder, local_files_only=True, dtype=torch.bfloat16
                )
            if tokenizer.eos_token_id is None:
                raise ValueError("its tokenizer names no end-of-text token")
            label = label or f"{folder.name} ({_digest(folder)})"
            writer = cls(model.to(device).eval(), tokenizer, guided=guided, label=label)
        except (OSError, ValueError, KeyError, AttributeError, RuntimeError) as error:
            raise PluginError(f"The language model in {folder} cannot be loaded: {error}") from error
        progress("load language model", 1, 1)
        return writer

    def prompt_digest(self, cell: Cell) -> str:
        """Return a digest of the chat and of the grammars from which an answer's is drawn."""
        asked = repr((self._tokens(cell), prompts.choices(cell, guided=self._guided)))
        return hashlib.sha256(asked.encode()).hexdigest()[:16]

    def propose(
        self, cells: Sequence[Cell], candidates: int, seed: tuple[int, int], progress: Progress
    ) -> list[list[Hook]]:
        """Return `candidates` hooks for each cell, written in batches."""
        step = max(1, ROWS // candidates)
        hooks: dict[Cell, list[Hook]] = {}
        progress(STEP, 0, len(cells))
        for language in sorted({cell.language for cell in cells}):  # one language shares its examples
            group = [cell for cell in cells if cell.language == language]
            for start in range(0, len(group), step):
                batch = group[start : start + step]
                hooks.update(zip(batch, self._batch(batch, candidates, seed), strict=True))
                progress(STEP, len(hooks), len(cells))
        return [hooks[cell] for cell in cells]

    @torch.inference_mode()
    def _batch(self, cells: Sequence[Cell], candidates: int, seed: tuple[int, int]) -> list[list[Hook]]:
        ids, mask, shared = self._encode(cells)
        length, eos = ids.shape[1], self._tokenizer.eos_token_id
        with quiet_transformers():
            cache = self._read(ids, mask, shared)
            cache.batch_repeat_interleave(candidates)
            sampler = GrammarSampler(
                self._grammar_tokenizer,
                [g for c in cells for g in prompts.grammars(c, candidates, seed, guided=self._guided)],
                [cell.seed("hook", *seed, i) for cell in cells for i in range(candidates)],
                TEMPERATURE,
            )
            out = self._model.generate(
                ids.repeat_interleave(candidates, 0),
                attention_mask=mask.repeat_interleave(candidates, 0),
                past_key_values=cache,
                logits_processor=LogitsProcessorList([sampler]),
                do_sample=False,
                num_beams=1,
                max_new_tokens=MOST_TOKENS,
                eos_token_id=eos,
                pad_token_id=eos,
            )
        texts = self._tokenizer.batch_decode(out[:, length:], skip_special_tokens=True)
        hooks = [Hook(text.strip(), score) for text, score in zip(texts, sampler.scores, strict=True)]
        return [hooks[i : i + candidates] for i in range(0, len(hooks), candidates)]

    def _read(self, ids: torch.Tensor, mask: torch.Tensor, shared: int) -> Any:
        """Return the cache of all tokens but the last: the examples read once, each question once."""
        cache = None
        if shared:
            cache = self._model(ids[:1, :shared], use_cache=True, logits_to_keep=1).past_key_values
            cache.batch_repeat_interleave(len(ids))
        if ids.shape[1] - 1 > shared:
            positions = (mask.cumsum(1) - 1).clamp(min=0)
            cache = self._model(
                ids[:, shared:-1],
                attention_mask=mask[:, :-1],
                position_ids=positions[:, shared:-1],
                past_key_values=cache,
                use_cache=True,
                logits_to_keep=1,
            ).past_key_values
        return cache

    def _encode(self, cells: Sequence[Cell]) -> tuple[torch.Tensor, torch.Tensor, int]:
        """Return ids and mask (cells, tokens), padded between the shared examples and the question."""
        sequences = [self._tokens(cell) for cell in cells]
        columns = zip(*sequences, strict=False)
        shared = sum(1 for _ in takewhile(lambda column: len(set(column)) == 1, columns))
        shared = min(shared, min(map(len, sequences)) - 1)
        width = max(map(len, sequences))
        pad = self._tokenizer.eos_token_id
        ids = [s[:shared] + [pad] * (width - len(s)) + s[shared:] for s in sequences]
        mask = [[1] * shared + [0] * (width - len(s)) + [1] * (len(s) - shared) for s in sequences]
        device = self._model.device
        return torch.tensor(ids, device=device), torch.tensor(mask, device=device), shared

    def _tokens(self, cell: Cell) -> list[int]:
        chat = prompts.messages(cell)
        if getattr(self._tokenizer, "chat_template", None):
            text = self._tokenizer.apply_chat_template(chat, tokenize=False, add_generation_prompt=True)
        else:
            text = prompts.plain_prompt(chat)
        return list(self._tokenizer(text, add_special_tokens=False).input_ids)


def _digest(folder: Path) -> str:
    """Return a digest of a model's files."""
    digest = hashlib.sha256()
    for file in sorted(path for path in folder.iterdir() if path.is_file()):
        with file.open("rb") as handle:
            digest.update(file.name.encode() + hashlib.file_digest(handle, "sha256").digest())
    return digest.hexdigest()[:12]
