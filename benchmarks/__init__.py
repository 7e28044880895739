"""Measurements against named peers, run on demand: ``python -m benchmarks``."""
