"""Decide who gets which coupon under a budget and other limits, with a proven gap."""
