"""The independent check of a plan: from the raw data, by code that shares nothing with the solver."""

from allocator.certificate.certificate import Certificate, RowCheck, certify

__all__ = ["Certificate", "RowCheck", "certify"]
