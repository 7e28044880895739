"""Limits: what must hold for a plan, each under its own label.

Every limit is *measure x where (user groups x coupons) x bounds*, stated as `allocator.limits.rows.Row`
objects; a limit knows nothing of the solver.
"""

from allocator.limits.budget import Budget
from allocator.limits.capacity import Capacity
from allocator.limits.exclude import Exclude
from allocator.limits.floor import Floor
from allocator.limits.inventory import Inventory
from allocator.limits.limit import Limit
from allocator.limits.parity import Parity
from allocator.limits.return_floor import ReturnFloor
from allocator.limits.share import Share

__all__ = ["Budget", "Capacity", "Exclude", "Floor", "Inventory", "Limit", "Parity", "ReturnFloor", "Share"]
