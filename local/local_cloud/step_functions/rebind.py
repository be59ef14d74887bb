"""Replaces a function of moto's Step Functions interpreter in every module that imported it by name."""

import sys
from collections.abc import Callable
from typing import Any

import moto.stepfunctions.parser.models  # noqa: F401 (loads every module of the interpreter before a name is replaced)


def rebind(name: str, old: Callable[..., Any], new: Callable[..., Any]) -> None:
    """Put `new` wherever an interpreter module holds `old` as `name`. Raises LookupError when none does."""
    holders = [
        module
        for path, module in list(sys.modules.items())
        if path.startswith("moto.stepfunctions") and getattr(module, name, None) is old
    ]
    if not holders:
        raise LookupError(f"no module of moto's Step Functions interpreter holds {name}: has moto been upgraded?")
    for holder in holders:
        setattr(holder, name, new)
