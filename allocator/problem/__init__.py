"""Users x coupons: values, measures and groups, in memory or on disk."""

from allocator.problem.label_sets import LabelSets
from allocator.problem.problem import Problem

__all__ = ["LabelSets", "Problem"]
