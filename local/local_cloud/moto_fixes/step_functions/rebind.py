"""Replacement of an interpreter's function in every module of moto's Step Functions that imported it by name."""

import sys
from collections.abc import Callable
from typing import Any

import moto.stepfunctions.parser.models  # noqa: F401 (loads every module of the interpreter)


def rebind(name: str, old: Callable[..., Any], new: Callable[..., Any]) -> None:
    """Put `new` in every module of the interpreter that holds `old` as `name`.

    Raises:
        LookupError: no module does.
    """
    holders = [
        module
        for path, module in list(sys.modules.items())
        if path.startswith("moto.stepfunctions") and getattr(module, name, None) is old
    ]
    if not holders:
        raise LookupError(f"no module of moto's Step Functions interpreter holds {name}: its version may have changed")
    for holder in holders:
        setattr(holder, name, new)
