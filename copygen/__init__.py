"""Writes the words that go with an offer, and never states a wrong one.

The program writes the facts; a language model writes only a fact-free *hook* in front of them; a
guard that shares no code with either reads the finished text against the coupon row.
"""

from copygen.guard import check, check_hook
from copygen.writers import HttpWriter, LocalWriter, TemplateWriter

__all__ = ["HttpWriter", "LocalWriter", "TemplateWriter", "check", "check_hook"]
