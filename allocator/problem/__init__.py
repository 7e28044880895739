"""Users x coupons: values, measures and groups, in memory or on disk."""

from allocator.problem.problem import Problem

__all__ = ["Problem"]
