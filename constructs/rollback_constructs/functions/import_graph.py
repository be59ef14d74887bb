"""Modules that a module of `lambdas/rollback` imports, read from the source without running it.

Imports inside functions count, since a function imports them later. Imports for type checkers do not count.
"""

import ast
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path


class UnreadableImport(Exception):
    """An import that the source does not name: relative, or computed."""


@dataclass(frozen=True)
class Imports:
    """Imports of some modules, the modules themselves included.

    Attributes:
        files: source files below the root, packages' `__init__.py` included.
        packages: top-level names that are not below the root: the standard library and other distributions.
    """

    files: frozenset[Path]
    packages: frozenset[str]


def imports_of(modules: Iterable[str], root: Path) -> Imports:
    """Follow the imports of modules and of all that they import.

    Args:
        modules: dotted names of modules below `root`.
        root: folder that holds the top-level package.

    Raises:
        UnreadableImport: a module imports relatively, whose target this reader does not resolve.
    """
    files: set[Path] = set()
    packages: set[str] = set()
    pending = list(modules)
    while pending:
        name = pending.pop()
        parts = name.split(".")
        if not (root / parts[0]).is_dir():
            packages.add(parts[0])
            continue
        for length in range(1, len(parts) + 1):  # Python runs the packages above a module first
            file = _file_of(root, parts[:length])
            if file is not None and file not in files:
                files.add(file)
                pending += _imported_names(file)
    return Imports(frozenset(files), frozenset(packages))


def _file_of(root: Path, parts: list[str]) -> Path | None:
    """Return the file of a module or package; None: the last part is a name inside a module."""
    path = root.joinpath(*parts)
    candidates = (path / "__init__.py", path.with_name(f"{path.name}.py"))
    return next((candidate for candidate in candidates if candidate.is_file()), None)


def _imported_names(file: Path) -> tuple[str, ...]:
    names, relative_lines = _names_in(file.read_text())
    if relative_lines:
        raise UnreadableImport(f"{file}:{relative_lines[0]} imports relatively; name the whole module")
    return names


@cache
def _names_in(source: str) -> tuple[tuple[str, ...], tuple[int, ...]]:
    """Return the names that a source imports, and the lines of relative imports. All functions share most sources."""
    names: list[str] = []
    relative_lines: list[int] = []
    for node in _run_nodes(ast.parse(source)):
        match node:
            case ast.Import(names=aliases):
                names += [alias.name for alias in aliases]
            case ast.ImportFrom(level=0, module=str(module), names=aliases):
                names += [module, *(f"{module}.{alias.name}" for alias in aliases)]
            case ast.ImportFrom():
                relative_lines.append(node.lineno)
    return tuple(names), tuple(relative_lines)


def _run_nodes(node: ast.AST) -> Iterator[ast.AST]:
    """Yield all nodes but those under `if TYPE_CHECKING:`."""
    if isinstance(node, ast.If) and isinstance(node.test, ast.Name) and node.test.id == "TYPE_CHECKING":
        for statement in node.orelse:
            yield from _run_nodes(statement)
        return
    yield node
    for child in ast.iter_child_nodes(node):
        yield from _run_nodes(child)
