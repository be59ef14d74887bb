"""Output about the state of services."""
