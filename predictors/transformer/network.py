"""The uplift transformer: user tokens are the memory, each coupon is a query over them.

Feature tokens follow FT-Transformer (Gorishniy et al., "Revisiting Deep Learning Models for Tabular
Data", NeurIPS 2021) with piecewise-linear numeric tokens (Gorishniy et al., "On Embeddings for
Numerical Features in Tabular Deep Learning", NeurIPS 2022); coupons attend to behaviour as in DIN
(Zhou et al., "Deep Interest Network for Click-Through Rate Prediction", KDD 2018).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, cast

import torch
from torch import Tensor, nn
from transformers import PretrainedConfig, PreTrainedModel

from predictors.features.behaviour import AFFINITY
from predictors.features.encoder import BINS
from predictors.transformer.layers import Block, Tokens

CONVERSION, EFFECT, REDEMPTION, REVENUE = range(4)
HEADS = 4
EVENT_NUMBERS = 4
OWN_SCALE = 0.3
"""How freely a single coupon's interactions with user features may differ from those of all coupons."""


class UpliftConfig(PretrainedConfig):  # type: ignore[misc]
    """Shape of an `UpliftNetwork`.

    Parameters
    ----------
    n_numeric, category_sizes
        Numeric user features; number of indices of each categorical one.
    coupon_numbers, coupon_sizes
        Numeric coupon attributes; number of indices of kind, category, channel and coupon id.
    n_event_kinds, max_events
        Event kinds with padding; length of the event sequence, 0 for none.
    width, depth, attention_heads, dropout
        Size of the transformer. ``depth - 1`` blocks of self-attention over the user's tokens come
        before the block in which user and coupons read them.
    rank
        Rank of the linear interactions between coupon and user features.
    description, description_size
        How a coupon's description is embedded (see `predictors.features.description`), and into how many
        numbers; 0 for not at all.
    """

    model_type = "allocate-uplift"

    def __init__(
        self,
        n_numeric: int = 0,
        category_sizes: tuple[int, ...] = (),
        coupon_numbers: int = 5,
        coupon_sizes: tuple[int, ...] = (2, 2, 2, 2),
        n_event_kinds: int = 5,
        max_events: int = 0,
        width: int = 32,
        depth: int = 1,
        attention_heads: int = 4,
        dropout: float = 0.1,
        rank: int = 8,
        description: str = "none",
        description_size: int = 0,
        **kwargs: Any,
    ) -> None:
        self.n_numeric = n_numeric
        self.category_sizes = list(category_sizes)
        self.coupon_numbers = coupon_numbers
        self.coupon_sizes = list(coupon_sizes)
        self.n_event_kinds = n_event_kinds
        self.max_events = max_events
        self.width = width
        self.depth = depth
        self.attention_heads = attention_heads
        self.dropout = dropout
        self.rank = rank
        self.description = description
        self.description_size = description_size
        super().__init__(**kwargs)


@dataclass
class UserBatch:
    """Tensors of `predictors.features.encoder.Contexts`, for b users; `affinity` is (b, k, AFFINITY)."""

    numeric: Tensor
    categorical: Tensor
    event_kind: Tensor
    event_category: Tensor
    event_numbers: Tensor
    affinity: Tensor


@dataclass
class CouponBatch:
    """Tensors of coupons: `numbers` (c, 5), `texts` (c, 4), `descriptions` (c, size), `own_control` (c,).

    `own_control` is 1 where the conversion without coupon is about the coupon's products.
    """

    numbers: Tensor
    texts: Tensor
    descriptions: Tensor
    own_control: Tensor


@dataclass
class Outputs:
    """Logits and log revenue, (b, k) each; `control` is that of a user with no coupon, (b,)."""

    conversion: Tensor
    effect: Tensor
    redemption: Tensor
    revenue: Tensor
    control: Tensor
    control_revenue: Tensor


class UpliftNetwork(PreTrainedModel):  # type: ignore[misc]
    """Estimates conversion without coupon, uplift, redemption and revenue for users and coupons.

    Every output is the sum of attention and a linear path, and of a part that depends on the user
    alone and one that depends on user and coupon. All heads start at zero, so training starts from
    the averages in `bias`. The user is encoded once, however many coupons ask.
    """

    config_class = UpliftConfig
    base_model_prefix = "uplift"

    def __init__(self, config: UpliftConfig) -> None:
        super().__init__(config)
        width, outputs = config.width, HEADS * (1 + config.rank)
        sizes = config.category_sizes
        # Unused bins have an infinite width, and so a value of 0.
        self.register_buffer("knots", torch.zeros(config.n_numeric, BINS))
        self.register_buffer("bin_width", torch.full((config.n_numeric, BINS), torch.inf))
        self.user_tokens = Tokens(config.n_numeric, sizes, width, BINS)
        self.coupon_tokens = Tokens(config.coupon_numbers, config.coupon_sizes, width, 1)
        self.event_kind = nn.Embedding(config.n_event_kinds, width)
        self.event_numbers = nn.Linear(EVENT_NUMBERS, width)
        self.user_query = nn.Parameter(torch.randn(1, 1, width) * 0.3)
        self.blocks = nn.ModuleList(
            Block(width, config.attention_heads, config.dropout) for _ in range(config.depth)
        )
        if config.description_size:
            self.description = nn.Linear(config.description_size, width, bias=False)
            nn.init.normal_(self.description.weight, std=0.5)
        self.coupon_norm = nn.LayerNorm(width)
        self.coupon_hidden = nn.Sequential(nn.Linear(width, width), nn.GELU(), nn.Linear(width, width))
        self.affinity_query = nn.Linear(AFFINITY, width, bias=False)
        self.norm = nn.LayerNorm(width)
        self.linear_numbers = _zero(nn.Linear(2 * config.n_numeric, outputs, bias=False))
        self.linear_categories = nn.Embedding(max(sum(sizes), 1), outputs)
        nn.init.zeros_(self.linear_categories.weight)
        self.linear_coupon = nn.Linear(width, HEADS * config.rank)
        for parameter in self.linear_coupon.parameters():
            parameter.data *= OWN_SCALE
        self.linear_affinity = _zero(nn.Linear(AFFINITY, HEADS, bias=False))
        self.coupon_head = _zero(nn.Linear(width, HEADS, bias=False))
        self.user_head = _zero(nn.Linear(width, HEADS, bias=False))
        self.pair_head = _zero(nn.Linear(width, HEADS, bias=False))
        self.bias = nn.Parameter(torch.zeros(HEADS))
        self.post_init()

    def _init_weights(self, module: nn.Module) -> None:
        """Leave everything as the constructor set it."""

    def linear_parameters(self) -> list[Tensor]:
        """Return the parameters in which the linear path is linear."""
        layers = (self.linear_numbers, self.linear_categories, self.linear_affinity, self.coupon_head)
        return [self.bias, *(layer.weight for layer in layers)]

    def forward(
        self, users: UserBatch, coupons: CouponBatch, pair: Tensor | None = None, linear_only: bool = False
    ) -> Outputs:
        """Score users against coupons.

        Parameters
        ----------
        users, coupons
            b users, c coupons.
        pair
            (b, k) the coupons to score for each user; all c coupons if None.
        linear_only
            Leave the attention out.

        Returns
        -------
        Outputs
            (b, k) each, where k = c if `pair` is None.
        """
        vectors = self._coupon_vectors(coupons)
        factors = self.linear_coupon(vectors).view(-1, HEADS, self.config.rank)
        attributes, own = self.coupon_head(vectors), coupons.own_control
        if pair is None:
            pair = torch.arange(len(vectors), device=vectors.device)[None]
        vectors, factors, attributes, own = (x[pair] for x in (vectors, factors, attributes, own))
        linear = self._linear(users)
        alone = (linear[:, :HEADS] + self.bias).float()
        mixed = linear[:, HEADS:].view(-1, HEADS, self.config.rank)
        # (b, heads, rank) x (1 or b, k, heads, rank) -> (b, k, heads)
        together = (mixed[:, None] * factors).sum(dim=-1)
        joint = (self.linear_affinity(users.affinity) + attributes + together).float()
        if not linear_only:
            states = self._read(users, vectors + self.affinity_query(users.affinity))
            alone = alone + self.user_head(states[:, 0]).float()
            joint = joint + self.pair_head(states[:, 1:]).float()
        total = alone[:, None] + joint
        baseline = alone[:, None, CONVERSION] + own * joint[..., CONVERSION]
        return Outputs(
            conversion=baseline,
            effect=total[..., EFFECT],
            redemption=total[..., REDEMPTION],
            revenue=total[..., REVENUE],
            control=alone[:, CONVERSION],
            control_revenue=alone[:, REVENUE],
        )

    def _read(self, users: UserBatch, asked: Tensor) -> Tensor:
        """Return what the user's own query and each coupon's read from the user, (b, 1 + c, width)."""
        tokens, mask = self._user_tokens(users)
        for block in self.blocks[:-1]:
            tokens = block(tokens, mask)
        readout = cast(Block, self.blocks[-1])
        user_query = self.user_query.expand(len(asked), -1, -1).to(asked.dtype)
        queries = torch.cat([user_query, asked], dim=1)
        states: Tensor = self.norm(readout.attend(queries, *readout.keys_values(tokens), mask))
        return states

    def _user_tokens(self, users: UserBatch) -> tuple[Tensor, Tensor]:
        missing = users.numeric.isnan()
        numbers = users.numeric.nan_to_num(0.0)
        pieces = ((numbers[..., None] - self.knots) / self.bin_width).clamp(0.0, 1.0)
        tokens = self.user_tokens(pieces, missing, users.categorical)
        always = self.user_query.expand(len(tokens), -1, -1).to(tokens.dtype)
        parts = [always, tokens]
        mask = torch.ones(tokens.shape[0], tokens.shape[1] + 1, dtype=torch.bool, device=tokens.device)
        if self.config.max_events:
            age = torch.expm1(3 * users.event_numbers[..., 1:])
            numbers = torch.cat([users.event_numbers, torch.exp(-age / 7), torch.exp(-age / 60)], dim=-1)
            category = users.event_category + self.coupon_tokens.start[1]
            events = self.event_kind(users.event_kind) + self.event_numbers(numbers)
            parts.append((events + self.coupon_tokens.embedding(category)).to(tokens.dtype))
            mask = torch.cat([mask, users.event_kind > 0], dim=1)
        return torch.cat(parts, dim=1), mask

    def _coupon_vectors(self, coupons: CouponBatch) -> Tensor:
        missing = coupons.numbers.isnan()
        tokens = self.coupon_tokens(coupons.numbers.nan_to_num(0.0)[..., None], missing, coupons.texts)
        summed = tokens.sum(dim=1)
        if self.config.description_size:
            summed = summed + self.description(coupons.descriptions)
        pooled = self.coupon_norm(summed)
        vectors: Tensor = pooled + self.coupon_hidden(pooled)
        return vectors

    def _linear(self, users: UserBatch) -> Tensor:
        numbers = torch.cat([users.numeric.nan_to_num(0.0), users.numeric.isnan().float()], dim=1)
        linear: Tensor = self.linear_numbers(numbers)
        if self.config.category_sizes:
            linear = linear + self.linear_categories(users.categorical + self.user_tokens.start).sum(dim=1)
        return linear


def _zero(layer: nn.Linear) -> nn.Linear:
    nn.init.zeros_(layer.weight)
    return layer
