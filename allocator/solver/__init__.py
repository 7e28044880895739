"""The solver: decomposition by prices, exact and convex methods, and the independent certificate."""
