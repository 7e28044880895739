"""Grammar-constrained, seeded sampling as one logits processor.

Every row has its own grammar and its own random stream, so what a row draws depends on its seed and
its logits, not on its neighbours. Masks by llguidance; sampling by the Gumbel-max trick on the top
tokens, so that `generate` can stay greedy.
"""

from __future__ import annotations

from collections.abc import Sequence

import llguidance.numpy as masks
import numpy as np
import torch
from llguidance import LLMatcher, LLTokenizer
from transformers import LogitsProcessor

from allocator.errors import PluginError

TOP = 40


class GrammarSampler(LogitsProcessor):  # type: ignore[misc]
    """Leaves each row one token: drawn from the model's distribution over what its grammar allows.

    Parameters
    ----------
    tokenizer
        The model's tokenizer as llguidance sees it.
    grammars
        A regular expression for each row.
    seeds
        A seed for each row.
    temperature
        Below 1 sharpens the distribution.
    """

    def __init__(
        self,
        tokenizer: LLTokenizer,
        grammars: Sequence[str],
        seeds: Sequence[int],
        temperature: float,
    ) -> None:
        self._matchers = [LLMatcher(tokenizer, LLMatcher.grammar_from_regex(grammar)) for grammar in grammars]
        self._streams = [torch.Generator().manual_seed(seed) for seed in seeds]
        self._eos, self._temperature = tokenizer.eos_token, temperature
        self._bits = masks.allocate_token_bitmask(1, tokenizer.vocab_size)
        self._done = [False] * len(grammars)
        self._log_probability = [0.0] * len(grammars)
        self._weakest = [0.0] * len(grammars)
        self._length = [0] * len(grammars)

    @property
    def scores(self) -> list[float]:
        """Mean log-probability of a token of each row, by the model without the grammar."""
        return [total / max(n, 1) for total, n in zip(self._log_probability, self._length, strict=True)]

    @property
    def weakest(self) -> list[float]:
        """Log-probability of the least likely token of each row: where the grammar forced its hand."""
        return self._weakest

    def __call__(self, input_ids: torch.LongTensor, scores: torch.FloatTensor) -> torch.FloatTensor:
        """Return scores in which each row's drawn token alone is possible."""
        logits = scores.float().cpu()
        plain = logits.log_softmax(-1)
        chosen = torch.full((len(logits),), self._eos)
        for row in range(len(logits)):
            if not self._done[row]:
                chosen[row] = self._draw(row, logits[row])
                likely = float(plain[row, chosen[row]])
                self._log_probability[row] += likely
                self._weakest[row] = min(self._weakest[row], likely)
                self._length[row] += 1
        only = torch.full_like(scores, float("-inf"))
        return only.scatter_(1, chosen.to(only.device)[:, None], 0.0)  # type: ignore[return-value]

    def _draw(self, row: int, logits: torch.Tensor) -> int:
        matcher = self._matchers[row]
        masks.fill_next_token_bitmask(matcher, self._bits, 0)
        if matcher.is_error():
            raise PluginError(f"The grammar of the copy writer failed: {matcher.get_error()}")
        allowed = np.unpackbits(self._bits.view(np.uint8), bitorder="little")[: len(logits)].astype(bool)
        possible = torch.from_numpy(np.flatnonzero(allowed))
        top = torch.topk(logits[possible], min(TOP, len(possible)))
        noise = -torch.log(-torch.log(torch.rand(TOP, generator=self._streams[row]).clamp_(1e-9, 1 - 1e-7)))
        token = int(
            possible[top.indices[torch.argmax(top.values / self._temperature + noise[: len(top.values)])]]
        )
        if token == self._eos or not matcher.consume_token(token) or matcher.is_stopped():
            self._done[row] = True
        return token
