"""The default predictor: candidates compared on the history, and believed as far as the evidence goes."""
