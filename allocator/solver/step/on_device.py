"""What users take on a torch device: several coupons at most."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    import torch


class Picks:
    """What users take: the coupons of greatest positive reduced value (ties: lower index first).

    `taken` is (n_groups, width, n_coupons); each list has one (n_groups, width) a rank.
    """

    def __init__(self, reduced: torch.Tensor, fewest: int, most: int) -> None:
        import torch

        self.fewest, self.most = fewest, most
        self.taken = torch.zeros_like(reduced, dtype=torch.bool)
        self.coupon, self.best, self.takes = [], [], []
        numbers = torch.arange(reduced.shape[2], device=reduced.device)
        left = reduced
        for rank in range(min(most, len(numbers))):
            best, coupon = left.max(2)
            takes = best > (-np.inf if rank < fewest else 0.0)
            at = numbers == coupon[..., None]
            self.taken |= at & takes[..., None]
            self.coupon.append(coupon)
            self.best.append(best)
            self.takes.append(takes)
            if rank + 1 < most:
                left = left.masked_fill(at, -np.inf)

    def earned(self) -> torch.Tensor:
        """Return each user's sum of reduced values, (n_groups, width)."""
        parts = (best.masked_fill(~takes, 0.0) for best, takes in zip(self.best, self.takes, strict=True))
        return sum(parts, start=self.best[0].new_zeros(()))

    def coupons(self) -> torch.Tensor:
        """Return coupon indices, -1 for none, (n_groups, width, most) int16."""
        import torch

        found = [
            coupon.masked_fill(~takes, -1) for coupon, takes in zip(self.coupon, self.takes, strict=True)
        ]
        found += [torch.full_like(found[0], -1)] * (self.most - len(found))
        return torch.stack(found, dim=2).to(torch.int16)

    def radius(self, reduced: torch.Tensor, spread: torch.Tensor) -> torch.Tensor:
        """Return the least radius at which a coupon is swapped, dropped or added, (n_groups, width)."""
        others = ~self.taken & (reduced > -np.inf)
        count = self.taken.sum(2)
        least = _ratio(-reduced, spread, others & (count < self.most)[..., None]).amin(2)
        for coupon, best, takes in zip(self.coupon, self.best, self.takes, strict=True):
            own = spread.gather(2, coupon[..., None])
            swap = _ratio(best[..., None] - reduced, own + spread, others & takes[..., None]).amin(2)
            drop = _ratio(best, own[..., 0], takes & (count > self.fewest))
            least = least.minimum(swap).minimum(drop)
        return least


def _ratio(margin: torch.Tensor, spread: torch.Tensor, counts: torch.Tensor) -> torch.Tensor:
    return (margin / spread).masked_fill(~counts | (spread <= 0.0), np.inf)
