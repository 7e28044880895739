"""Past sends as arrays: propensities, folds, doubly robust scores."""
