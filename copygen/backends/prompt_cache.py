"""Prompts as tokens, and the model's memory of them: what all cells share is read once.

Rows are computed in batches of one shape, so that what a cell gets does not depend on its neighbours.
"""

from __future__ import annotations

import copy
from collections.abc import Sequence
from itertools import takewhile
from typing import Any

import torch

from copygen import prompts
from copygen.cells import Cell

WIDTH = 16  # questions are padded to a multiple of this many tokens


class PromptCache:
    """Reads prompts with a model.

    Parameters
    ----------
    model, tokenizer
        From transformers.
    """

    def __init__(self, model: Any, tokenizer: Any) -> None:
        self._model, self._tokenizer = model, tokenizer
        self._read: dict[tuple[int, ...], Any] = {}

    def tokens(self, cell: Cell) -> list[int]:
        """Return the whole prompt for a cell."""
        return self._tokens(prompts.messages(cell), answer=True)

    def shape(self, cell: Cell) -> tuple[int, int, str]:
        """Return how many tokens are shared and how many places the question takes; equal in one batch."""
        shared = len(self._shared(cell))
        question = len(self.tokens(cell)) - shared
        return shared, -(-question // WIDTH) * WIDTH, cell.language

    def read(self, cells: Sequence[Cell]) -> tuple[torch.Tensor, torch.Tensor, Any]:
        """Return ids, mask and the model's cache of all but the last token, for cells of one shape."""
        shared = self._shared(cells[0])
        _, width, _ = self.shape(cells[0])
        questions = [self.tokens(cell)[len(shared) :] for cell in cells]
        pad = self._tokenizer.eos_token_id
        ids = torch.tensor([[*shared, *[pad] * (width - len(q)), *q] for q in questions])
        mask = torch.tensor([[1] * len(shared) + [0] * (width - len(q)) + [1] * len(q) for q in questions])
        ids, mask = ids.to(self._model.device), mask.to(self._model.device)
        cache = copy.deepcopy(self._memory(shared)) if shared else None
        if cache is not None and len(cells) > 1:
            cache.batch_repeat_interleave(len(cells))
        cache = self._model(
            ids[:, len(shared) : -1],
            attention_mask=mask[:, :-1],
            position_ids=(mask.cumsum(1) - 1).clamp(min=0)[:, len(shared) : -1],
            past_key_values=cache,
            use_cache=True,
            logits_to_keep=1,
        ).past_key_values
        return ids, mask, cache

    def _memory(self, shared: Sequence[int]) -> Any:
        key = tuple(shared)
        if key not in self._read:
            ids = torch.tensor([shared], device=self._model.device)
            self._read = {key: self._model(ids, use_cache=True, logits_to_keep=1).past_key_values}
        return self._read[key]

    def _shared(self, cell: Cell) -> list[int]:
        """Return the tokens of the examples, which do not depend on the cell but on its language."""
        both = zip(self.tokens(cell), self._tokens(prompts.messages(cell)[:-1], answer=False), strict=False)
        return [token for token, _ in takewhile(lambda pair: pair[0] == pair[1], both)]

    def _tokens(self, chat: Sequence[prompts.Message], *, answer: bool) -> list[int]:
        if getattr(self._tokenizer, "chat_template", None):
            text = self._tokenizer.apply_chat_template(chat, tokenize=False, add_generation_prompt=answer)
        else:
            text = prompts.plain_prompt(chat)
        return list(self._tokenizer(text, add_special_tokens=False).input_ids)
