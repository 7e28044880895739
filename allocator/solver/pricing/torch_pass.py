"""What a pass computes on a torch device, for some groups of users at once."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from allocator.solver.model import Model
from allocator.solver.pricing.engine import Index, Pass

if TYPE_CHECKING:
    import torch


@dataclass(frozen=True)
class Slab:
    """Some groups' rows, (n_groups, width, n_coupons) each, and their cells, there and here."""

    value: torch.Tensor
    measures: tuple[torch.Tensor, ...]
    cell: torch.Tensor
    cell_here: Index

    def reduced(self, price: torch.Tensor) -> torch.Tensor:
        """Return reduced values, -inf where not eligible; operation by operation as the compiled kernel."""
        of_cell = price[:, self.cell, None, :]
        value = self.value.double()
        result = value - value * of_cell[1] - of_cell[0]
        for k, measure in enumerate(self.measures, start=2):
            result -= of_cell[k] * measure.double()
        return result.masked_fill_(self.value.isnan(), -np.inf)

    def spread(self, width: torch.Tensor) -> torch.Tensor:
        """Return by how much reduced values move for each unit of the price box's radius."""
        of_cell = width[:, self.cell, None, :]
        result = of_cell[0] + of_cell[1] * self.value.double().abs()
        for k, measure in enumerate(self.measures, start=2):
            result += of_cell[k] * measure.double().abs()
        return result.masked_fill_(self.value.isnan(), 0.0)


class Sums:
    """Adds slabs up, in float64 and in order."""

    def __init__(self, model: Model) -> None:
        self.model = model
        n_measures, _, n_coupons = model.shape
        self.table = np.zeros((n_measures, model.n_cells, n_coupons))
        self.total = 0.0

    def add(self, slab: Slab, taken: torch.Tensor, earned: torch.Tensor, *, size: bool = False) -> None:
        """Add the taken pairs (their sizes if `size`), and what each user earns."""
        import torch

        parts = [taken.double().sum(1)]
        for amount in (slab.value, *slab.measures):
            kept = amount.double().masked_fill(~taken, 0.0)
            parts.append((kept.abs() if size else kept).sum(1))
        by_group = torch.stack(parts).cpu().numpy()
        cells, starts = np.unique(slab.cell_here, return_index=True)
        self.table[:, cells] += np.add.reduceat(by_group, starts, axis=1)
        self.total += float(earned.sum(1).cpu().numpy().sum())

    def done(self) -> Pass:
        """Return the sums."""
        return Pass(self.total, self.model.by_place(self.table))
