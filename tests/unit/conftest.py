"""Fixtures that several test files share."""

from terminal import terminal

__all__ = ["terminal"]
