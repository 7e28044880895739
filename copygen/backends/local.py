"""A causal language model in a local folder, run through transformers."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Sequence
from itertools import groupby
from pathlib import Path
from typing import Any, Self

import llguidance.hf
import torch
from transformers import LogitsProcessorList

from allocator.errors import PluginError
from allocator.progress import Progress, no_progress
from copygen import prompts
from copygen.backends.grammar import GrammarSampler
from copygen.backends.model_folder import device_of, label_of, read_model, with_adapter
from copygen.backends.prompt_cache import PromptCache
from copygen.backends.quiet import quiet_transformers
from copygen.bank import Bank
from copygen.cells import Cell, Hook
from copygen.options import LocalOptions

TEMPERATURE = 0.8
LEAST_SCORE = -4.5  # mean log-probability of a token; text that reads well lies above -3
LEAST_TOKEN = -7.0  # log-probability of a token below which it is no choice of the model's
MOST_TOKENS = 32
STEP = "write copy"


class LocalModel:
    """Proposes hooks with a local model; reads nothing but its folder.

    Parameters
    ----------
    model, tokenizer
        From transformers.
    bank
        Compose hooks from the lines of this bank (a small model); from free words (a larger one) if None.
    label
        The model's name and digest.
    batch
        Texts written at a time.
    """

    name = "local"

    def __init__(
        self, model: Any, tokenizer: Any, *, bank: Bank | None, label: str = "", batch: int = 32
    ) -> None:
        self._model, self._tokenizer, self.model = model, tokenizer, label
        self._bank, self._rows = bank, batch
        self._prompts = PromptCache(model, tokenizer)
        self.unanswered: dict[Cell, str] = {}  # a model on this machine answers or fails for all
        # The words of a line were approved beforehand, however rare the model finds them.
        self.least_score = LEAST_SCORE if bank is None else float("-inf")
        self._grammar_tokenizer = llguidance.hf.from_tokenizer(tokenizer, n_vocab=model.config.vocab_size)

    @classmethod
    def load(
        cls,
        folder: Path,
        options: LocalOptions,
        *,
        bank: Bank | None,
        label: str = "",
        progress: Progress = no_progress,
    ) -> Self:
        """Load a folder.

        Raises
        ------
        PluginError
            If the folder holds no usable causal language model with a fast tokenizer, or the adapter is
            not this model's.
        """
        model, tokenizer = read_model(folder, device_of(options.device), options.dtype, progress)
        label = label or label_of(folder)
        if options.adapter is not None:
            model = with_adapter(model, options.adapter, label)
            label = f"{label} with adapter {label_of(options.adapter)}"
        try:
            return cls(model, tokenizer, bank=bank, label=label, batch=options.batch)
        except (ValueError, AttributeError, RuntimeError) as error:
            raise PluginError(f"The tokenizer in {folder} cannot be used: {error}") from error

    def prompt_digest(self, cell: Cell) -> str:
        """Return a digest of the chat and of what an answer may be."""
        asked = repr((prompts.messages(cell), prompts.choices(cell, self._bank), TEMPERATURE, MOST_TOKENS))
        return hashlib.sha256(asked.encode()).hexdigest()[:16]

    def propose(
        self, cells: Sequence[Cell], candidates: int, seed: tuple[int, int], progress: Progress
    ) -> list[list[Hook]]:
        """Return `candidates` hooks for each cell, written in batches of one shape."""
        hooks: dict[Cell, list[Hook]] = {}
        progress(STEP, 0, len(cells))
        # A bank of the brand's own may have nothing for a cell.
        asked = [cell for cell in cells if prompts.choices(cell, self._bank)]
        for batch in self._batches(asked, max(1, self._rows // candidates)):
            alone = len(batch) * candidates == 1  # a matrix of one row is multiplied, and rounded, otherwise
            written = self._write(batch * 2 if alone else batch, candidates, seed)
            hooks.update(zip(batch, written[: len(batch)], strict=True))
            progress(STEP, len(hooks), len(cells))
        return [hooks.get(cell, []) for cell in cells]

    def _batches(self, cells: Sequence[Cell], size: int) -> Iterator[list[Cell]]:
        ordered = sorted(dict.fromkeys(cells), key=lambda cell: (self._prompts.shape(cell), cell))
        for _, group in groupby(ordered, key=self._prompts.shape):
            alike = list(group)
            yield from (alike[start : start + size] for start in range(0, len(alike), size))

    @torch.inference_mode()
    def _write(self, cells: Sequence[Cell], candidates: int, seed: tuple[int, int]) -> list[list[Hook]]:
        grammars = [prompts.grammars(cell, candidates, seed, self._bank) for cell in cells]
        eos = self._tokenizer.eos_token_id
        with quiet_transformers():
            ids, mask, cache = self._prompts.read(cells)
            cache.batch_repeat_interleave(candidates)
            sampler = GrammarSampler(
                self._grammar_tokenizer,
                [grammar for row in grammars for grammar in row],
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
        texts = self._tokenizer.batch_decode(out[:, ids.shape[1] :], skip_special_tokens=True)
        scores = sampler.scores
        if self._bank is None:  # a word that the model was forced to go on with spoils a hook
            pairs = zip(scores, sampler.weakest, strict=True)
            scores = [mean if weakest > LEAST_TOKEN else weakest for mean, weakest in pairs]
        hooks = [Hook(text.strip().rstrip(".,。"), score) for text, score in zip(texts, scores, strict=True)]
        return [hooks[i : i + candidates] for i in range(0, len(hooks), candidates)]

    def judge(self, cells: Sequence[Cell], lines: Sequence[Sequence[str]]) -> list[list[float]]:
        """Return how likely the model finds each line as the answer for its cell; one pass a cell."""
        judged: dict[tuple[tuple[int, ...], tuple[str, ...]], list[float]] = {}
        answers = []
        for cell, texts in zip(cells, lines, strict=True):
            asked = (tuple(self._prompts.tokens(cell)), tuple(texts))  # channels and variants ask the same
            if asked not in judged:
                judged[asked] = self._judge(cell, texts) if texts else []
            answers.append(judged[asked])
        return answers

    @torch.inference_mode()
    def _judge(self, cell: Cell, texts: Sequence[str]) -> list[float]:
        ids, mask, cache = self._prompts.read([cell])
        cache.batch_repeat_interleave(len(texts))
        spoken = [self._tokenizer(text, add_special_tokens=False).input_ids for text in texts]
        width = max(map(len, spoken))
        pad = self._tokenizer.eos_token_id
        rows = torch.tensor(
            [[*tokens, *[pad] * (width - len(tokens))] for tokens in spoken], device=ids.device
        )
        said = torch.tensor([[1] * len(t) + [0] * (width - len(t)) for t in spoken], device=ids.device)
        asked = mask.repeat_interleave(len(texts), 0)
        seen = torch.cat([asked, said[:, :-1]], 1)
        logits = self._model(
            torch.cat([ids[:, -1:].repeat_interleave(len(texts), 0), rows[:, :-1]], 1),
            attention_mask=seen,
            position_ids=(seen.cumsum(1) - 1)[:, -width:],
            past_key_values=cache,
        ).logits
        likely = logits.float().log_softmax(-1).gather(2, rows[:, :, None])[:, :, 0]
        return [float(total) for total in (likely * said).sum(1) / said.sum(1)]
