"""Plugins for Allocate that the tests install as a package of their own."""
