"""From what a model says to predictions: calibrated, with spending and cost."""
