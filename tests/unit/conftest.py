"""Fixtures of several files."""

from terminal import terminal

__all__ = ["terminal"]
