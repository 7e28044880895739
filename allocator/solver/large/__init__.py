"""Pairs that are large against a row's room: some fit no plan, others are decided before the rest."""
