"""Train the uplift model on treated and control rows.

The loss is factual: each row is judged by the outcome it had, under the treatment it got, with the
treated and control sides balanced as in TARNet (Shalit, Johansson and Sontag, "Estimating Individual
Treatment Effect", ICML 2017) and rows weighted by inverse propensity where it is recorded.
"""

from __future__ import annotations

import copy
import math
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, fields

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional

from allocator.protocols import Progress
from predictors.features import BINS, Contexts, Coupons, Encoder
from predictors.history import History, split_users
from predictors.model import CouponBatch, Outputs, UpliftConfig, UpliftModel, UserBatch
from predictors.training_data import TrainingData

REDEMPTION_WEIGHT, REVENUE_WEIGHT = 0.5, 0.1
SCORE_BATCH = 2048
LINEAR_STEPS, LINEAR_RATE = 50, 0.1
STEPS_PER_EPOCH = 40
"""A short history is cut into smaller batches, so that an epoch has about this many steps."""
REVENUE_LIMIT = 20.0
"""Largest revenue that the loss sees, in means; the level is corrected after training."""


@dataclass(frozen=True)
class Settings:
    """How to train; see `predictors.transformer.TransformerPredictor` for the meaning."""

    width: int = 32
    depth: int = 1
    attention_heads: int = 4
    dropout: float = 0.1
    epochs: int = 8
    batch_size: int = 1024
    learning_rate: float = 5e-3
    weight_decay: float = 0.05
    coupon_dropout: float = 0.1
    patience: int = 8
    linear_penalty: float = 100.0


def train(data: TrainingData, settings: Settings, *, device: torch.device, progress: Progress) -> UpliftModel:
    """Fit a model on the rows of `data`.

    A tenth of the users is kept to stop early: the weights of the best epoch are the result.
    The global random state is left as it was.
    """
    rng = np.random.default_rng(data.seed)
    learn, check = split_users(data.history, 0.1, rng)
    devices = [device] if device.type == "cuda" else []
    with torch.random.fork_rng(devices=devices), one_thread(device):
        torch.manual_seed(data.seed)
        model = _build(data.encoder, data.history, settings)
        model.to(device)
        rows = Rows(data, device)
        _optimise(model, rows, learn, check, settings, rng, progress)
        model.eval()
    return model


@contextmanager
def one_thread(device: torch.device) -> Iterator[None]:
    """Sum in one order whatever the machine: on the CPU use one thread, then restore the number."""
    threads = torch.get_num_threads()
    if device.type == "cpu":
        torch.set_num_threads(1)
    try:
        yield
    finally:
        if device.type == "cpu":
            torch.set_num_threads(threads)


class Rows:
    """History rows and their contexts as tensors on a device."""

    def __init__(self, data: TrainingData, device: torch.device) -> None:
        history, contexts, coupons = data.history, data.contexts, data.coupons
        self.device = device
        pair = np.maximum(history.coupon, 0)
        affinity = contexts.affinity[np.arange(len(history)), coupons.slot[pair]][:, None]
        self.users = user_batch(contexts, affinity, device)
        self.coupons = coupon_batch(coupons, history.own_control, device)
        self.pair = torch.as_tensor(pair, device=device)
        self.named = torch.as_tensor(history.coupon >= 0, device=device)
        self.treated = _float(history.treated, device)
        self.converted = _float(history.converted, device)
        self.redeemed = _float(history.redeemed, device)
        self.revenue = _float(history.revenue, device)
        self.log_mean_revenue = _log_mean_revenue(history)
        self.weight = _float(history.balanced(), device)

    def batch(self, rows: Tensor) -> UserBatch:
        """Return the user features of some rows."""
        return UserBatch(**{field.name: getattr(self.users, field.name)[rows] for field in fields(UserBatch)})


def user_batch(contexts: Contexts, affinity: NDArray[np.float32], device: torch.device) -> UserBatch:
    """Put contexts on the device; `affinity` is (n, n_pairs, AFFINITY)."""
    names = ("numeric", "categorical", "event_kind", "event_category", "event_numbers")
    tensors = {name: torch.as_tensor(getattr(contexts, name), device=device) for name in names}
    return UserBatch(**tensors, affinity=torch.as_tensor(affinity, device=device))


def coupon_batch(coupons: Coupons, own_control: NDArray[np.bool_], device: torch.device) -> CouponBatch:
    """Put coupons on the device."""
    return CouponBatch(
        torch.as_tensor(coupons.numbers, device=device),
        torch.as_tensor(coupons.texts, device=device),
        _float(own_control, device),
    )


def _float(values: NDArray[np.generic], device: torch.device) -> Tensor:
    return torch.as_tensor(np.asarray(values, dtype=np.float32), device=device)


def _build(encoder: Encoder, history: History, settings: Settings) -> UpliftModel:
    """Return a model that predicts the averages of the training rows."""
    config = UpliftConfig(
        n_numeric=len(encoder.numeric),
        category_sizes=tuple(feature.size for feature in encoder.categorical),
        coupon_sizes=tuple(text.size for text in encoder.coupon_texts),
        max_events=encoder.max_events,
        width=settings.width,
        depth=settings.depth,
        attention_heads=settings.attention_heads,
        dropout=settings.dropout,
    )
    model = UpliftModel(config)
    for i, feature in enumerate(encoder.numeric):
        knots = torch.tensor(feature.knots)
        model.knots[i, : len(knots) - 1] = knots[:-1]
        model.bin_width[i, : min(len(knots) - 1, BINS)] = knots.diff()
    treated, w = history.treated, history.weight
    control_logit = _logit(history.converted[~treated], w[~treated])
    redeemed = _logit(history.redeemed[treated], w[treated])
    effect = _logit(history.converted[treated], w[treated]) - control_logit
    averages = [control_logit, effect, redeemed, _log_mean_revenue(history)]
    model.bias.data = torch.tensor(averages, dtype=torch.float32)
    return model


def _log_mean_revenue(history: History) -> float:
    """Return the log of the mean revenue of a conversion; 0 if there is no revenue."""
    bought = history.revenue[history.converted]
    return float(np.log(bought.mean())) if bought.any() else 0.0


def _logit(outcome: NDArray[np.bool_], weight: NDArray[np.float64]) -> float:
    """Return the log odds of a rate, with one half added to each side."""
    weight = weight / weight.mean() if len(weight) else weight
    yes = float(weight @ outcome) + 0.5
    return float(np.log(yes / (len(outcome) + 1.0 - yes)))


def _fit_linear(model: UpliftModel, data: Rows, learn: NDArray[np.int64], penalty: float) -> None:
    """Fit the linear path alone, to convergence; attention then learns what is left.

    With fixed coupon vectors it is a convex problem: logistic regression with an L2 penalty.
    """
    parameters = model.linear_parameters()
    rows = torch.as_tensor(learn, device=data.device)
    optimiser = torch.optim.LBFGS(parameters, max_iter=LINEAR_STEPS, line_search_fn="strong_wolfe")

    def closure() -> Tensor:
        optimiser.zero_grad()
        conversion, rest = _loss(model, data, rows, data.coupons, linear_only=True)
        squares = torch.stack([(weight**2).sum() for weight in parameters[1:]]).sum()
        loss = conversion + rest + penalty / (2 * len(rows)) * squares
        torch.autograd.backward(loss, inputs=parameters)
        return loss

    optimiser.step(closure)  # type: ignore[no-untyped-call]


def _optimise(
    model: UpliftModel,
    data: Rows,
    learn: NDArray[np.int64],
    check: NDArray[np.int64],
    settings: Settings,
    rng: np.random.Generator,
    progress: Progress,
) -> None:
    size = max(min(settings.batch_size, len(learn) // STEPS_PER_EPOCH), 16)
    steps = -(-len(learn) // size)
    total = steps * settings.epochs
    progress("train", 0, total)
    model.eval()
    _fit_linear(model, data, learn, settings.linear_penalty)
    linear = {id(parameter) for parameter in model.linear_parameters()}
    rest = [p for p in model.parameters() if id(p) not in linear]
    rate = settings.learning_rate * math.sqrt(size / settings.batch_size)
    groups = [
        {"params": model.linear_parameters(), "weight_decay": 0.0},
        {"params": [p for p in rest if p.ndim > 1], "weight_decay": settings.weight_decay},
        {"params": [p for p in rest if p.ndim <= 1], "weight_decay": 0.0},
    ]
    rates = [rate * LINEAR_RATE, rate, rate]
    optimiser = torch.optim.AdamW(groups, lr=rate)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimiser, rates, total_steps=total, pct_start=0.2)
    best, best_loss, stale = copy.deepcopy(model.state_dict()), _check(model, data, check), 0
    for epoch in range(settings.epochs):
        model.train()
        order = rng.permutation(learn)
        for step in range(steps):
            rows = torch.as_tensor(order[step * size : (step + 1) * size], device=data.device)
            optimiser.zero_grad(set_to_none=True)
            conversion, others = _loss(model, data, rows, _hide(data.coupons, settings.coupon_dropout, rng))
            torch.autograd.backward(conversion + others)
            torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
            optimiser.step()
            schedule.step()
            if step % 10 == 9:
                progress("train", epoch * steps + step + 1, total)
        loss = _check(model, data, check)
        stale = 0 if loss < best_loss else stale + 1
        if stale == 0:
            best, best_loss = copy.deepcopy(model.state_dict()), loss
        if stale >= settings.patience:
            break
    progress("train", total, total)
    model.load_state_dict(best)


def _hide(coupons: CouponBatch, share: float, rng: np.random.Generator) -> CouponBatch:
    """Hide the id of some coupons, so that the model also learns to score a coupon it has not seen."""
    hidden = torch.as_tensor(rng.random(len(coupons.texts)) < share, device=coupons.texts.device)
    texts = coupons.texts.clone()
    texts[hidden, -1] = 1
    return CouponBatch(coupons.numbers, texts, coupons.own_control)


def _forward(
    model: UpliftModel, data: Rows, rows: Tensor, coupons: CouponBatch, linear_only: bool
) -> Outputs:
    # The linear fit needs full precision; steps of the network do not.
    half = data.device.type == "cuda" and not linear_only
    with torch.autocast(data.device.type, dtype=torch.bfloat16, enabled=half):
        output: Outputs = model(data.batch(rows), coupons, data.pair[rows], linear_only)
    return output


def _factual(output: Outputs, data: Rows, rows: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Return each row's baseline logit, effect and log revenue; no coupon named, no coupon's part."""
    named = data.named[rows]
    return (
        torch.where(named, output.conversion[:, 0], output.control),
        output.effect[:, 0],
        torch.where(named, output.revenue[:, 0], output.control_revenue),
    )


def _loss(
    model: UpliftModel, data: Rows, rows: Tensor, coupons: CouponBatch, linear_only: bool = False
) -> tuple[Tensor, Tensor]:
    """Return the mean loss of conversions, and that of redemptions and revenue."""
    output = _forward(model, data, rows, coupons, linear_only)
    baseline, effect, log_revenue = _factual(output, data, rows)
    treated, converted, weight = data.treated[rows], data.converted[rows], data.weight[rows]
    logit = baseline + treated * effect
    conversion = weight * functional.binary_cross_entropy_with_logits(logit, converted, reduction="none")
    redemption = treated * functional.binary_cross_entropy_with_logits(
        output.redemption[:, 0], data.redeemed[rows], reduction="none"
    )
    # Poisson deviance in units of the mean: consistent for the mean, and steps stay bounded where
    # revenue is skewed (see also Santos Silva and Tenreyro, "The Log of Gravity", 2006).
    relative = log_revenue - data.log_mean_revenue
    share = data.revenue[rows] * math.exp(-data.log_mean_revenue)
    revenue = converted * (torch.exp(relative.clamp(max=5.0)) - share.clamp(max=REVENUE_LIMIT) * relative)
    return conversion.mean(), (REDEMPTION_WEIGHT * redemption + REVENUE_WEIGHT * revenue).mean()


@torch.no_grad()
def _check(model: UpliftModel, data: Rows, rows: NDArray[np.int64]) -> float:
    """Return the loss of conversions on held-out rows; uplift, the aim, has no loss of its own."""
    model.eval()
    if not len(rows):
        return 0.0
    total = 0.0
    for part in _chunks(rows, data.device):
        total += float(_loss(model, data, part, data.coupons)[0]) * len(part)
    return total / len(rows)


def _chunks(rows: NDArray[np.int64], device: torch.device) -> Iterator[Tensor]:
    for start in range(0, len(rows), SCORE_BATCH):
        yield torch.as_tensor(rows[start : start + SCORE_BATCH], device=device)
