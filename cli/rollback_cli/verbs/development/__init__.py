"""Verbs for development: they need the embedded cloud."""
