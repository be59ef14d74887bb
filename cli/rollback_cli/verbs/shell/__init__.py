"""Verbs about the shell in which the command runs."""
