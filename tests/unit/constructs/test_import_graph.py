"""Imports that a bundle follows: all that may run, and nothing that only a type checker reads."""

import subprocess
import sys
from pathlib import Path

import pytest

from rollback_constructs.functions.bundling import FUNCTIONS
from rollback_constructs.functions.import_graph import UnreadableImport, imports_of
from rollback_constructs.functions.sources import LAMBDAS


def package(root: Path, **sources: str) -> Path:
    """Write a package `app` with a module for each source."""
    (root / "app").mkdir()
    (root / "app" / "__init__.py").touch()
    for name, source in sources.items():
        (root / "app" / f"{name}.py").write_text(source)
    return root


def names(files: frozenset[Path]) -> set[str]:
    return {file.stem for file in files}


def test_an_import_inside_a_function_counts_and_one_for_type_checkers_does_not(tmp_path: Path) -> None:
    root = package(
        tmp_path,
        start="from typing import TYPE_CHECKING\nif TYPE_CHECKING:\n    import boto3\n    from app import typed\n"
        "else:\n    from app import otherwise\ndef later():\n    from app.late import work\n    import httpx._client\n",
        late="work = 1",
        typed="",
        otherwise="",
        unused="",
    )
    imports = imports_of(["app.start"], root)
    assert names(imports.files) == {"__init__", "start", "late", "otherwise"}
    assert imports.packages == {"typing", "httpx"}


def test_a_cycle_of_imports_ends(tmp_path: Path) -> None:
    root = package(tmp_path, one="import app.two", two="from app import one")
    assert names(imports_of(["app.one"], root).files) == {"__init__", "one", "two"}


def test_a_relative_import_is_refused_with_its_place(tmp_path: Path) -> None:
    root = package(tmp_path, start="from . import late\n", late="")
    with pytest.raises(UnreadableImport, match=r"start\.py:1 imports relatively"):
        imports_of(["app.start"], root)


@pytest.mark.parametrize("function", FUNCTIONS)
def test_every_module_that_a_function_loads_is_among_its_imports(function: str) -> None:
    """Python itself is the witness: it imports the function, and names the files of `rollback` that it loaded."""
    program = (
        f"import sys\nsys.path.insert(0, {str(LAMBDAS)!r})\nimport rollback.functions.{function}\n"
        "print('\\n'.join(m.__file__ for n, m in sys.modules.items() if n.partition('.')[0] == 'rollback'))"
    )
    loaded = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True, timeout=180)
    followed = imports_of([f"rollback.functions.{function}"], LAMBDAS).files
    assert {Path(line) for line in loaded.stdout.split()} <= followed
