"""Campaign folders that cannot be meant, by kind, and the words by which `allocate check` must say so."""

from benchmarks.nonsense import coupons, files, history, scores, settings, users
from benchmarks.nonsense.draft import KINDS, Draft, Nonsense

__all__ = ["KINDS", "Draft", "Nonsense", "coupons", "files", "history", "scores", "settings", "users"]
