"""Fixtures that several test files share."""

from simulations.terminal import terminal

__all__ = ["terminal"]
