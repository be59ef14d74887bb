"""Verbs that start, follow and end rollbacks."""
