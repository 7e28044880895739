"""The training loop: the linear path to convergence, then epochs of all of the model."""

from __future__ import annotations

import copy
import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from predictors.features.columns import UNKNOWN
from predictors.transformer.checkpoint import Checkpoint
from predictors.transformer.losses import Objective
from predictors.transformer.network import CouponBatch, UpliftNetwork

Ints = NDArray[np.int64]

PAIRS_TO_CHECK = 8192
LINEAR_STEPS, LINEAR_RATE = 50, 0.1
STEPS_PER_EPOCH = 40
"""A short history is cut into smaller batches, so that an epoch has about this many steps."""
LEAST_ROWS = 16
"""A step sees so many rows at least."""


@dataclass(frozen=True)
class Settings:
    """How to train; see `predictors.transformer.predictor.TransformerPredictor` for the meaning."""

    loss: str = "dr"
    width: int = 32
    depth: int = 1
    attention_heads: int = 4
    dropout: float = 0.1
    epochs: int = 6
    batch_size: int = 1024
    accumulate: int = 1
    learning_rate: float = 5e-3
    weight_decay: float = 0.2
    coupon_dropout: float = 0.1
    patience: int = 8
    linear_penalty: float = 100.0
    folds: int = 3
    trim: float = 0.1


class Loop:
    """Everything that changes while the model is trained."""

    def __init__(
        self,
        model: UpliftNetwork,
        objective: Objective,
        learn: Ints,
        check: Ints,
        settings: Settings,
        rng: np.random.Generator,
    ) -> None:
        self._model, self._objective, self._settings, self._rng = model, objective, settings, rng
        self._learn, self._check = learn, check
        largest = settings.batch_size * settings.accumulate
        self._size = max(min(largest, len(learn) // STEPS_PER_EPOCH), LEAST_ROWS)
        self._steps = -(-len(learn) // self._size)
        rate = settings.learning_rate * math.sqrt(self._size / largest)
        linear = {id(parameter) for parameter in model.linear_parameters()}
        rest = [p for p in model.parameters() if id(p) not in linear]
        groups = [
            {"params": model.linear_parameters(), "weight_decay": 0.0},
            {"params": [p for p in rest if p.ndim > 1], "weight_decay": settings.weight_decay},
            {"params": [p for p in rest if p.ndim <= 1], "weight_decay": 0.0},
        ]
        self._optimiser = torch.optim.AdamW(groups, lr=rate)
        self._schedule = torch.optim.lr_scheduler.OneCycleLR(
            self._optimiser,
            [rate * LINEAR_RATE, rate, rate],
            total_steps=self._steps * settings.epochs,
            pct_start=0.2,
        )
        self._epoch, self._stale = 0, 0
        self._best, self._best_loss = copy.deepcopy(model.state_dict()), math.inf

    def run(self, kept: Checkpoint, progress: Callable[[int, int], None]) -> None:
        """Train, or go on from what was kept, and leave the model with its best weights."""
        total = self._steps * self._settings.epochs
        if (state := kept.read()) is not None:
            self._restore(*state)
        else:
            self._model.eval()
            self._fit_linear()
            self._judge()
        while self._epoch < self._settings.epochs and self._stale < self._settings.patience:
            self._model.train()
            for step in self._one_epoch():
                if step % 10 == 0:
                    progress(self._epoch * self._steps + step, total)
            self._epoch += 1
            self._judge()
            kept.write(*self._state())
        progress(total, total)
        self._model.load_state_dict(self._best)

    def _fit_linear(self) -> None:
        """Fit the linear path alone, to convergence; attention then learns what is left.

        With fixed coupon vectors it is a convex problem: logistic regression with an L2 penalty.
        """
        parameters = self._model.linear_parameters()
        rows = torch.as_tensor(self._learn, device=self._objective.rows.device)
        optimiser = torch.optim.LBFGS(parameters, max_iter=LINEAR_STEPS, line_search_fn="strong_wolfe")

        def closure() -> Tensor:
            optimiser.zero_grad()
            coupons = self._objective.rows.coupons
            conversion, rest = self._objective.of(self._model, rows, coupons, linear_only=True)
            squares = torch.stack([(weight**2).sum() for weight in parameters[1:]]).sum()
            loss = conversion + rest + self._settings.linear_penalty / (2 * len(rows)) * squares
            torch.autograd.backward(loss, inputs=parameters)
            return loss

        optimiser.step(closure)  # type: ignore[no-untyped-call]

    def _one_epoch(self) -> Iterator[int]:
        """See every row once; yields after each step."""
        device, order = self._objective.rows.device, self._rng.permutation(self._learn)
        for step in range(self._steps):
            rows = order[step * self._size : (step + 1) * self._size]
            coupons, asked = self._hide_ids(), self._objective.draw(self._rng)
            self._optimiser.zero_grad(set_to_none=True)
            for start in range(0, len(rows), self._settings.batch_size):
                part = torch.as_tensor(rows[start : start + self._settings.batch_size], device=device)
                conversion, others = self._objective.of(self._model, part, coupons, asked=asked)
                torch.autograd.backward((conversion + others) * (len(part) / len(rows)))
            torch.nn.utils.clip_grad_norm_(self._model.parameters(), 1.0)
            self._optimiser.step()
            self._schedule.step()
            yield step + 1

    def _hide_ids(self) -> CouponBatch:
        """Hide the id of some coupons, so that the model also learns to score a coupon it has not seen."""
        coupons = self._objective.rows.coupons
        hidden = self._rng.random(len(coupons.texts)) < self._settings.coupon_dropout
        texts = coupons.texts.clone()
        texts[torch.as_tensor(hidden, device=texts.device), -1] = UNKNOWN
        return replace(coupons, texts=texts)

    @torch.no_grad()
    def _judge(self) -> None:
        """Keep the weights if the loss of conversion and uplift on held-out rows is the least so far."""
        self._model.eval()
        total, size = 0.0, max(PAIRS_TO_CHECK // self._objective.pairs_a_row, LEAST_ROWS)
        for start in range(0, len(self._check), size):
            part = torch.as_tensor(self._check[start : start + size], device=self._objective.rows.device)
            total += float(self._objective.of(self._model, part, self._objective.rows.coupons)[0]) * len(part)
        if self._best_loss == math.inf or total < self._best_loss:
            self._best, self._best_loss, self._stale = copy.deepcopy(self._model.state_dict()), total, 0
        else:
            self._stale += 1

    def _state(self) -> tuple[dict[str, Tensor], dict[str, Any]]:
        """Return all that `_restore` needs, as tensors and plain values."""
        optimiser = self._optimiser.state_dict()
        tensors = {f"model.{name}": tensor for name, tensor in self._model.state_dict().items()}
        tensors |= {f"best.{name}": tensor for name, tensor in self._best.items()}
        for index, moments in optimiser["state"].items():
            tensors |= {f"optimiser.{index}.{name}": tensor for name, tensor in moments.items()}
        tensors["random.cpu"] = torch.random.get_rng_state()
        device = self._objective.rows.device
        if device.type == "cuda":
            tensors["random.cuda"] = torch.cuda.get_rng_state(device)
        return tensors, {
            "epoch": self._epoch,
            "stale": self._stale,
            "best_loss": self._best_loss,
            "groups": optimiser["param_groups"],
            "schedule": self._schedule.state_dict(),
            "rng": self._rng.bit_generator.state,
        }

    def _restore(self, tensors: dict[str, Tensor], values: dict[str, Any]) -> None:
        parts: dict[str, dict[str, Tensor]] = {"model": {}, "best": {}, "optimiser": {}, "random": {}}
        for key, tensor in tensors.items():
            part, name = key.split(".", 1)
            parts[part][name] = tensor
        moments: dict[int, dict[str, Tensor]] = {}
        for key, tensor in parts["optimiser"].items():
            index, name = key.split(".", 1)
            moments.setdefault(int(index), {})[name] = tensor
        device = self._objective.rows.device
        self._model.load_state_dict(parts["model"])
        self._best = {name: tensor.to(device) for name, tensor in parts["best"].items()}
        self._optimiser.load_state_dict({"state": moments, "param_groups": values["groups"]})
        self._schedule.load_state_dict(values["schedule"])
        self._rng.bit_generator.state = values["rng"]
        torch.random.set_rng_state(parts["random"]["cpu"])
        if device.type == "cuda":
            torch.cuda.set_rng_state(parts["random"]["cuda"], device)
        self._epoch, self._stale, self._best_loss = values["epoch"], values["stale"], values["best_loss"]
