"""Regressions of an outcome on user, coupon and treatment: what learners and scores are built from."""
