"""From prices to a plan in whole numbers, and the best proof of it."""
