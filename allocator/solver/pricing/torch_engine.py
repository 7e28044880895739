"""The torch engine: the pricing pass on any device that torch knows and that has float64.

Users are laid out by cell once, in groups of equal width, so that a price table is broadcast instead of
looked up and sums run along an axis: the same in every run, which scattered additions on a GPU are not.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from allocator.errors import Finding, InputError, PluginError
from allocator.problem.batch import SHELF, Batch
from allocator.solver.model import Model
from allocator.solver.pricing.engine import Array, Index, Pass, base_reduced
from allocator.solver.pricing.torch_pass import Slab, Sums

if TYPE_CHECKING:
    import torch

    from allocator.solver.step.on_device import Picks

WIDEST = 256  # users a group; fewer where cells are small, so that padding stays small
SLAB = {"cpu": 1 << 18, "cuda": 1 << 24}  # pairs priced at once: what caches, or spare memory, hold


def open_device(name: str | None) -> torch.device:
    """Return a device that is there and has float64.

    Raises
    ------
    PluginError
        If torch is not installed.
    InputError
        If there is no such device, or it has no float64.
    """
    try:
        import torch
    except ImportError as error:
        raise PluginError(
            f"The torch engine needs torch, which cannot be imported: {error}. "
            "In a checkout of Allocate, pip install '.[predict]' brings it."
        ) from error
    name = name or ("cuda" if torch.cuda.is_available() else "cpu")
    there = ", ".join(["cpu", *(f"cuda:{k}" for k in range(torch.cuda.device_count()))])

    def refused(message: str) -> InputError:
        return InputError(Finding(message, column="device", found=repr(name), expected=there))

    try:
        device = torch.device(name)
    except (RuntimeError, TypeError) as error:
        raise refused("torch knows no such device") from error
    try:
        torch.zeros(1, dtype=torch.float64, device=device).sum().item()
    except (RuntimeError, AssertionError, TypeError, NotImplementedError) as error:
        reason = str(error).strip().splitlines()[0]
        raise refused(f"the device cannot be used: {reason}") from error
    return device


@dataclass(frozen=True)
class _Layout:
    """Where each user stands: groups of `width` slots, each of one cell, in the order of cells.

    `slot` is (n_users,), `cell` (n_groups,). Slots that no user has are never eligible.
    """

    width: int
    slot: Index
    cell: Index

    @classmethod
    def of(cls, cell: NDArray[np.int32], n_cells: int) -> _Layout:
        sizes = np.bincount(cell, minlength=n_cells)
        width = WIDEST
        while width > 1 and 8 * width * n_cells > len(cell):
            width //= 2
        groups = -(-sizes // width)
        order = np.argsort(cell, kind="stable")
        first_user, first_slot = np.cumsum(sizes) - sizes, width * (np.cumsum(groups) - groups)
        slot = np.empty(len(cell), np.int64)
        slot[order] = np.arange(len(cell)) + (first_slot - first_user)[cell[order]]
        return cls(width, slot, np.repeat(np.arange(n_cells), groups))

    @property
    def n_slots(self) -> int:
        return self.width * len(self.cell)


@dataclass(frozen=True)
class _Data:
    """Users' rows on the device, by slot: (n_slots, n_coupons) each."""

    layout: _Layout
    value: torch.Tensor
    measures: dict[str, torch.Tensor]

    def rows(self, slots: Index) -> dict[str, torch.Tensor]:
        import torch

        at = torch.from_numpy(slots).to(self.value.device)
        return {name: array[at] for name, array in ({"value": self.value} | self.measures).items()}


def _lay_out(
    layout: _Layout, parts: Iterator[tuple[Index, dict[str, torch.Tensor]]], device: torch.device
) -> _Data:
    """Copy rows, (slots, rows) each, to where they stand; other slots are not eligible."""
    import torch

    arrays: dict[str, torch.Tensor] = {}
    try:
        for slots, rows in parts:
            at = torch.from_numpy(slots).to(device)
            for name, array in rows.items():
                if name not in arrays:
                    shape = (layout.n_slots, array.shape[1])
                    arrays[name] = torch.full(shape, np.nan, dtype=array.dtype, device=device)
                arrays[name].index_copy_(0, at, array.to(device))
    except torch.OutOfMemoryError as error:
        message = (
            "the users' values and measures do not fit on the device; store them as float32, or use the CPU"
        )
        raise InputError(Finding(message, column="device", found=repr(str(device)))) from error
    return _Data(layout, arrays.pop("value"), arrays)


class TorchEngine:
    """Prices users on a torch device, which holds their rows as given (float32 or float64).

    Implements `Engine`. Reduced values and sums are float64; they differ from the CPU engine's by rounding.

    Parameters
    ----------
    model
        The compiled model.
    device
        A device with float64, such as ``"cpu"`` or ``"cuda:1"``; the first GPU unless given, else the CPU.

    Raises
    ------
    PluginError
        If torch is not installed.
    InputError
        If there is no such device, it has no float64, or the data does not fit on it.
    """

    def __init__(self, model: Model, device: str | None = None) -> None:
        self.model = model
        self.device = open_device(device)
        self.base: Array | None = None
        self._users: Index | None = None
        layout = _Layout.of(model.cell, model.n_cells)
        self._data = _lay_out(layout, _parts(model, layout), self.device)

    @property
    def n_users(self) -> int:
        """Number of users priced."""
        return len(self._data.layout.slot)

    def price(self, prices: Array, choice: NDArray[np.int16] | None = None) -> Pass:
        """Let every user choose at the given prices, as `Engine.price`."""
        return self._choose(prices, choice, lambda slab, reduced, picks: None)

    def radius(
        self, prices: Array, box: Array, choice: NDArray[np.int16] | None = None
    ) -> tuple[Array, Pass]:
        """Let every user choose, and return each one's radius of unchanged choice, as `Engine.radius`."""
        import torch

        width = np.asarray(abs(self.model.weights).T @ box).reshape(self.model.shape)
        wide = torch.from_numpy(self._by_cell(width)).to(self.device)
        parts = []

        def measure(slab: Slab, reduced: torch.Tensor, picks: Picks) -> None:
            parts.append(picks.radius(reduced, slab.spread(wide)))

        done = self._choose(prices, choice, measure)
        return np.asarray(self._by_user(parts, 1)[:, 0], dtype=np.float64), done

    def _choose(
        self,
        prices: Array,
        choice: NDArray[np.int16] | None,
        also: Callable[[Slab, torch.Tensor, Picks], None],
    ) -> Pass:
        """Let every user choose; `also` sees each slab's reduced values and picks."""
        import torch

        table = self.model.price_table(prices)
        on_device = torch.from_numpy(self._by_cell(table)).to(self.device)
        sums = Sums(self.model)
        kept = []
        for slab in self._slabs():
            reduced = slab.reduced(on_device)
            picks = self.model.step.picks(reduced)
            sums.add(slab, picks.taken, picks.earned())
            also(slab, reduced, picks)
            if choice is not None:
                kept.append(picks.coupons())
        if choice is not None:
            choice[:] = self._by_user(kept, choice.shape[1])
        if self.base is None:
            return sums.done()
        done = sums.done()
        return Pass(done.reduced + base_reduced(self.model, self.base, table), done.table + self.base)

    def extent(self) -> Pass:
        """Return sizes of all eligible pairs, as `Engine.extent`."""
        sums = Sums(self.model)
        for slab in self._slabs():
            eligible = ~slab.value.isnan()
            best = slab.value.double().abs().masked_fill(~eligible, 0.0).amax(2)
            sums.add(slab, eligible, best, size=True)
        return sums.done()

    def take(self, places: Index) -> TorchEngine:
        """Return an engine for some of the users; their rows stay on the device."""
        part = self.with_model(self.model)
        part.base = None
        part._users = places if self._users is None else self._users[places]
        rows = self._data.rows(self._data.layout.slot[places])
        layout = _Layout.of(self.model.cell[part._users], self.model.n_cells)
        part._data = _lay_out(layout, iter([(layout.slot, rows)]), self.device)
        return part

    def with_model(self, model: Model) -> TorchEngine:
        """Return an engine for the same users under another model of the same problem and cells."""
        other = object.__new__(TorchEngine)
        other.__dict__ = self.__dict__ | {"model": model}
        return other

    def batch(self) -> Batch:
        """Return the raw rows of the engine's users in memory."""
        rows = {name: array.cpu().numpy() for name, array in self._data.rows(self._data.layout.slot).items()}
        users = slice(0, self.n_users) if self._users is None else self._users
        return Batch(users, rows.pop("value"), rows)

    def _slabs(self) -> Iterator[Slab]:
        """Yield groups of users whose temporaries fit."""
        import torch

        layout, data = self._data.layout, self._data
        if self.n_users == 0:
            return
        pairs = SLAB.get(self.device.type, SLAB["cuda"])
        step = max(pairs // (layout.width * self.model.problem.n_coupons), 1)
        cell = torch.from_numpy(layout.cell).to(self.device)
        shape = (-1, layout.width, self.model.problem.n_coupons)
        measures = [data.measures[name].view(shape) for name in self.model.measures[2:]]
        value = data.value.view(shape)
        for start in range(0, len(layout.cell), step):
            at = slice(start, start + step)
            yield Slab(value[at], tuple(m[at] for m in measures), cell[at], layout.cell[at])

    def _by_cell(self, table: Array) -> Array:
        """Return a table for each cell, which groups of slots share."""
        return np.ascontiguousarray(self.model.at(table, np.arange(self.model.n_cells)))

    def _by_user(self, by_slot: list[torch.Tensor], columns: int) -> NDArray[np.generic]:
        """Return numbers by user, (n_users, columns), from the slabs' numbers by group and slot."""
        import torch

        if not by_slot:
            return np.zeros((0, columns))
        at = torch.from_numpy(self._data.layout.slot).to(self.device)
        return torch.cat(by_slot).reshape(-1, columns)[at].cpu().numpy()


def _parts(model: Model, layout: _Layout) -> Iterator[tuple[Index, dict[str, torch.Tensor]]]:
    """Yield the rows of all users of a problem with their slots, a shelf at once."""
    import torch

    for batch in model.problem.batches(model.measures[2:]):
        arrays = {"value": batch.value, **batch.measures}
        slots = layout.slot[batch.users]
        for start in range(0, batch.n_users, SHELF):
            at = slice(start, start + SHELF)
            yield (
                slots[at],
                {
                    name: torch.from_numpy(np.require(array[at], requirements="W"))
                    for name, array in arrays.items()
                },
            )
