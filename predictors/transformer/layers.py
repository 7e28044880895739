"""Layers of the uplift transformer: feature tokens, and attention of queries over tokens."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional


class Tokens(nn.Module):
    """One token for each number and each category, (b, n_numbers + n_categories, width)."""

    start: Tensor

    def __init__(self, n_numbers: int, sizes: list[int], width: int, bins: int) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.randn(n_numbers, bins, width) / bins**0.5)
        self.bias = nn.Parameter(torch.randn(n_numbers, width) * 0.3)
        self.missing = nn.Parameter(torch.randn(n_numbers, width) * 0.3)
        self.embedding = nn.Embedding(max(sum(sizes), 1), width)
        nn.init.normal_(self.embedding.weight, std=0.5)
        self.register_buffer(
            "start", torch.tensor([sum(sizes[:i]) for i in range(len(sizes))], dtype=torch.long)
        )

    def forward(self, pieces: Tensor, missing: Tensor, index: Tensor) -> Tensor:
        """Take piecewise values (b, n, bins), whether missing (b, n), and category indices (b, m)."""
        numbers = torch.einsum("bfk,fkd->bfd", pieces, self.weight) + self.bias
        numbers = torch.where(missing[..., None], self.missing.to(numbers.dtype), numbers)
        return torch.cat([numbers, self.embedding(index + self.start).to(numbers.dtype)], dim=1)


class Block(nn.Module):
    """Pre-norm attention of queries over a context, then a feed-forward layer."""

    def __init__(self, width: int, heads: int, dropout: float) -> None:
        super().__init__()
        self.heads, self.dropout = heads, dropout
        self.norm_query, self.norm_context, self.norm_hidden = (nn.LayerNorm(width) for _ in range(3))
        self.query, self.key, self.value, self.merge = (nn.Linear(width, width) for _ in range(4))
        self.hidden = nn.Sequential(
            nn.Linear(width, 2 * width), nn.GELU(), nn.Dropout(dropout), nn.Linear(2 * width, width)
        )

    def keys_values(self, context: Tensor) -> tuple[Tensor, Tensor]:
        """Return keys and values of a context, once for any number of queries."""
        context = self.norm_context(context)
        return self._split(self.key(context)), self._split(self.value(context))

    def attend(self, query: Tensor, keys: Tensor, values: Tensor, mask: Tensor) -> Tensor:
        """Update queries (b, q, width) from keys and values; `mask` (b, tokens) marks real tokens."""
        asked = self._split(self.query(self.norm_query(query)))
        drop = self.dropout if self.training else 0.0
        read = functional.scaled_dot_product_attention(
            asked, keys, values, attn_mask=mask[:, None, None, :], dropout_p=drop
        )
        query = query + self.merge(read.transpose(1, 2).flatten(2))
        updated: Tensor = query + self.hidden(self.norm_hidden(query))
        return updated

    def forward(self, tokens: Tensor, mask: Tensor) -> Tensor:
        """Self-attention."""
        return self.attend(tokens, *self.keys_values(tokens), mask)

    def _split(self, x: Tensor) -> Tensor:
        return x.view(*x.shape[:2], self.heads, -1).transpose(1, 2)
