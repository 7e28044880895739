"""What `solve` returns, and what follows from its prices."""

from allocator.solution.solution import Improvement, LimitUsage, Solution, Status

__all__ = ["Improvement", "LimitUsage", "Solution", "Status"]
