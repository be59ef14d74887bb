"""Errors of the command as two lines: what failed, and what to do next."""
