"""Prices where rows are many: Newton's method on a smoothed dual function."""

from allocator.solver.smoothed.newton import COOL, HOT, WARM_HEAT, minimise_smoothed, suits

__all__ = ["COOL", "HOT", "WARM_HEAT", "minimise_smoothed", "suits"]
