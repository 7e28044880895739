"""Pricing engines: one pass over the data for a given table of prices."""
