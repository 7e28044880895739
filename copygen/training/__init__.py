"""Trains a language model on a brand's own approved hooks, as a small adapter beside the model."""
