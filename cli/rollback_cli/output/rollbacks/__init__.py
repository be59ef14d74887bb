"""Output about rollbacks, checks and measures."""
