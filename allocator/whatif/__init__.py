"""Scenarios beside the base plan: what changes, what a range of a bound earns, how far prices hold."""
