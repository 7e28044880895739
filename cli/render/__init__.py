"""Results as tables and panels."""
