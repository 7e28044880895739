"""Whole numbers by meeting in the middle: for few users, several rows and little room in any of them."""
