"""Ports of the product and their methods, as the product declares them."""

import inspect
import pkgutil
from importlib import import_module
from typing import Any, Protocol

from rollback import ports
from rollback.effects import MARK, Access

_NO_PORTS = frozenset({"effects", "holders", "all_ports"})  # markers, and records or protocols of whole ports


def _load_ports() -> dict[str, type]:
    modules = [
        import_module(submodule.name) for submodule in pkgutil.walk_packages(ports.__path__, f"{ports.__name__}.")
    ]
    return {
        name: port
        for module in modules
        if module.__name__.rpartition(".")[2] not in _NO_PORTS
        for name, port in vars(module).items()
        if getattr(port, "_is_protocol", False) and port.__module__ == module.__name__
    }


PORTS = _load_ports()  # name → protocol; `Ledger` is the sum of the other ports in its file


def methods(port: type) -> dict[str, Any]:
    """Map each name to the method of a port or of its base ports."""
    functions: dict[str, Any] = {}
    for base in reversed(port.__mro__):
        if getattr(base, "_is_protocol", False) and base is not Protocol:
            functions |= {
                name: function
                for name, function in vars(base).items()
                if inspect.isfunction(function) and name[0] != "_"
            }
    return functions


def access_of(method: object) -> Access | None:
    """Return the access marker of a method, or None without a marker."""
    return getattr(method, MARK, None)


def parameters(method: Any) -> dict[str, inspect.Parameter]:
    """Map each name to the parameter of a method, without `self`."""
    return {name: p for name, p in inspect.signature(method).parameters.items() if name != "self"}
