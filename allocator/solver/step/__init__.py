"""How one user chooses: what it may take, and what it takes at prices."""

from allocator.solver.step.coupons import Coupons
from allocator.solver.step.step import Rows, Step

__all__ = ["Coupons", "Rows", "Step"]
