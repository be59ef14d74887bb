"""Markers for the methods of ports: each method either reads or changes what is outside the process.

`tests/faults` kills the process at every method marked with `changes_state`. A port method without a marker fails the
suite.
"""

from collections.abc import Callable
from enum import StrEnum
from typing import Any, TypeVar

Method = TypeVar("Method", bound=Callable[..., Any])
MARK = "port_access"


class Access(StrEnum):
    """Ways in which a method of a port touches the outside."""

    READ = "read"
    CHANGE = "change"


def reads(method: Method) -> Method:
    """Mark a method that leaves everything outside as it is, so that a crash around the call changes nothing."""
    vars(method)[MARK] = Access.READ
    return method


def changes_state(method: Method) -> Method:
    """Mark a method that may change something outside, so that a process may die before or after the change."""
    vars(method)[MARK] = Access.CHANGE
    return method
