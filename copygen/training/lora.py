"""Low-rank adaptation (Hu et al., arXiv 2106.09685): the model stays as it is, matrices beside it learn.

Only the tokens of the hooks count for the loss. The state that does best on held-out hooks is kept.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import takewhile
from typing import Any

import torch
from peft import LoraConfig, get_peft_model, get_peft_model_state_dict

from allocator.progress import Progress
from copygen.backends.quiet import quiet_transformers

STEP = "train copy"
ROWS = 16
RATE = 5e-4
WARM_UP = 0.1  # of all steps
PATIENCE = 2  # epochs without a better held-out loss
LONGEST_STEP = 1.0  # norm that a gradient is cut to


@dataclass(frozen=True)
class Row:
    """A prompt and the hook that is to follow it, as tokens; prompts of one language begin alike."""

    language: str
    prompt: tuple[int, ...]
    hook: tuple[int, ...]


@dataclass(frozen=True)
class Tuned:
    """What came of a training.

    Parameters
    ----------
    tensors
        The adapter's, by name.
    config
        As PEFT writes it.
    losses
        Held-out loss before the training and after each epoch (mean negative log-likelihood of a token).
    training_losses
        Loss of each epoch on what is learned from.
    epoch
        That whose state was kept; 0 if none was better than the model as it was.
    """

    tensors: dict[str, torch.Tensor]
    config: LoraConfig
    losses: list[float]
    training_losses: list[float]
    epoch: int


def tune(
    model: Any,
    learned: Sequence[Row],
    held_out: Sequence[Row],
    *,
    epochs: int,
    rank: int,
    seed: int,
    progress: Progress,
) -> Tuned:
    """Return an adapter that makes the hooks of `learned` likely; `model` is not to be used after.

    The same for the same arguments on one machine; no random state of the caller's is touched.
    """
    devices = [model.device] if model.device.type == "cuda" else []
    with torch.random.fork_rng(devices=devices):
        torch.manual_seed(seed)
        config = LoraConfig(
            r=rank,
            lora_alpha=2 * rank,
            target_modules="all-linear",
            task_type="CAUSAL_LM",
        )
        with quiet_transformers():
            adapted = get_peft_model(model, config)
        return _Training(adapted, learned, held_out, epochs, seed, progress).run(config)


class _Training:
    def __init__(
        self,
        model: Any,
        learned: Sequence[Row],
        held_out: Sequence[Row],
        epochs: int,
        seed: int,
        progress: Progress,
    ) -> None:
        self._model, self._learned, self._held_out = model, learned, held_out
        self._epochs, self._progress, self._done = epochs, progress, 0
        self._order = torch.Generator().manual_seed(seed)
        self._steps = epochs * len(list(_batches(learned)))
        self._weights = [weight for weight in model.parameters() if weight.requires_grad]
        self._optimiser = torch.optim.AdamW(self._weights, lr=RATE)
        self._rate = torch.optim.lr_scheduler.LambdaLR(self._optimiser, self._share_of_rate)

    def run(self, config: LoraConfig) -> Tuned:
        losses, training_losses, kept, best = [self._judge()], [], 0, self._state()
        for epoch in range(1, self._epochs + 1):
            training_losses.append(self._learn())
            losses.append(self._judge())
            if losses[-1] < losses[kept]:
                best, kept = self._state(), epoch
            elif epoch - kept >= PATIENCE:
                break
        self._progress(STEP, self._steps, self._steps)
        return Tuned(best, config, losses, training_losses, kept)

    def _learn(self) -> float:
        """Go once through what is to be learned; return the mean loss of a token."""
        self._model.train()
        total, count = 0.0, 0
        for batch in _batches(self._learned, self._order):
            self._progress(STEP, self._done, self._steps)
            loss, tokens = _loss(self._model, batch)
            (loss / tokens).backward()  # type: ignore[no-untyped-call]
            torch.nn.utils.clip_grad_norm_(self._weights, LONGEST_STEP)
            self._optimiser.step()
            self._optimiser.zero_grad(set_to_none=True)
            self._rate.step()
            total, count = total + float(loss.detach()), count + tokens
            self._done += 1
        return total / count

    @torch.no_grad()
    def _judge(self) -> float:
        """Return the mean loss of a token of the held-out hooks."""
        self._model.eval()
        sums = [_loss(self._model, batch) for batch in _batches(self._held_out)]
        return sum(float(loss) for loss, _ in sums) / sum(tokens for _, tokens in sums)

    def _state(self) -> dict[str, torch.Tensor]:
        # Embeddings are not trained; left to itself, PEFT asks the Hub whether they were.
        state = get_peft_model_state_dict(self._model, save_embedding_layers=False)
        return {name: tensor.detach().cpu().clone().contiguous() for name, tensor in state.items()}

    def _share_of_rate(self, step: int) -> float:
        """Return the share of the learning rate at a step: up in a line, then down in a line."""
        warm = max(1, round(WARM_UP * self._steps))
        if step < warm:
            return (step + 1) / warm
        return max(0.0, (self._steps - step) / max(1, self._steps - warm))


def _batches(rows: Sequence[Row], order: torch.Generator | None = None) -> Iterator[list[Row]]:
    """Yield rows of one language at a time, shuffled if there is an order, batches shuffled as well."""
    batches = []
    for language in sorted({row.language for row in rows}):
        group = [row for row in rows if row.language == language]
        turn = range(len(group)) if order is None else torch.randperm(len(group), generator=order).tolist()
        shuffled = [group[i] for i in turn]
        batches += [shuffled[start : start + ROWS] for start in range(0, len(shuffled), ROWS)]
    turn = range(len(batches)) if order is None else torch.randperm(len(batches), generator=order).tolist()
    yield from (batches[i] for i in turn)


def _loss(model: Any, batch: Sequence[Row]) -> tuple[torch.Tensor, int]:
    """Return the summed negative log-likelihood of the tokens of the hooks, and their number.

    The examples that all prompts begin with are read once, and the gradient flows through them.
    """
    columns = zip(*(row.prompt for row in batch), strict=False)
    shared = sum(1 for _ in takewhile(lambda column: len(set(column)) == 1, columns))
    shared = min(shared, min(len(row.prompt) for row in batch) - 1)
    rest = [row.prompt[shared:] + row.hook for row in batch]
    width, longest = max(map(len, rest)), max(len(row.hook) for row in batch)
    device = model.device
    # Padding in front, so that all hooks end in the last column.
    ids = torch.tensor([[0] * (width - len(tokens)) + list(tokens) for tokens in rest], device=device)
    mask = torch.tensor(
        [[1] * shared + [0] * (width - len(tokens)) + [1] * len(tokens) for tokens in rest], device=device
    )
    cache = None
    if shared:
        prefix = torch.tensor([batch[0].prompt[:shared]], device=device)
        cache = model(prefix, use_cache=True, logits_to_keep=1).past_key_values
        cache.batch_repeat_interleave(len(batch))
    logits = model(
        ids,
        attention_mask=mask,
        position_ids=(mask.cumsum(1) - 1).clamp(min=0)[:, shared:],
        past_key_values=cache,
        logits_to_keep=longest + 1,
    ).logits[:, :-1]
    of_a_hook = torch.tensor(
        [[False] * (longest - len(row.hook)) + [True] * len(row.hook) for row in batch], device=device
    )
    loss = torch.nn.functional.cross_entropy(
        logits[of_a_hook].float(), ids[:, -longest:][of_a_hook], reduction="sum"
    )
    return loss, int(of_a_hook.sum())
