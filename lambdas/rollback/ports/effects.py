"""Markers for the methods of ports: each method either reads or changes what is outside the process.

`tests/faults` kills the process at every method marked with `changes_state`. A port method without a marker fails the
suite.
"""

from collections.abc import Callable
from enum import StrEnum
from typing import Any, TypeVar

Method = TypeVar("Method", bound=Callable[..., Any])
_ATTRIBUTE = "port_access"


class Access(StrEnum):
    """Ways in which a method of a port touches the outside."""

    READ = "read"
    CHANGE = "change"


def reads(method: Method) -> Method:
    """Mark a method that leaves everything outside as it is, so that a crash around the call changes nothing."""
    vars(method)[_ATTRIBUTE] = Access.READ
    return method


def changes_state(method: Method) -> Method:
    """Mark a method that may change something outside, so that a process may die before or after the change."""
    vars(method)[_ATTRIBUTE] = Access.CHANGE
    return method


def access_of(method: object) -> Access | None:
    """Return the access that a method is marked with, or None without a marker."""
    return getattr(method, _ATTRIBUTE, None)
