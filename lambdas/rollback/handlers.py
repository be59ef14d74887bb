"""Names of the functions for Lambda, such as `rollback.handlers.service`. Lambda imports the named function alone.

The names are stable. An update changes a function's code and its `Handler` by two calls of Lambda's API. Between the
two, a new name would not exist in the old code.
"""

from collections.abc import Callable
from importlib import import_module
from typing import Any

FUNCTIONS = ("decide", "service", "report", "promote", "database", "approve")


def __getattr__(name: str) -> Callable[[dict[str, Any], object], dict[str, Any]]:
    """Import a function's module at the access to its name, which Lambda's runtime makes in the init phase.

    Raises:
        AttributeError: no function has this name.
    """
    if name not in FUNCTIONS:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    handler: Callable[[dict[str, Any], object], dict[str, Any]] = import_module(f"rollback.functions.{name}").handle
    return handler
