"""Output about releases."""
