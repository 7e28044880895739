"""Decisions at request time, one user after another, under limits that are never overspent."""
