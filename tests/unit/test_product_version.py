"""Version of the product: one number everywhere, and a digest that changes with the code alone."""

import tomllib
from collections.abc import Callable
from pathlib import Path

import pytest

from rollback.product_version import NUMBER, digest_of, product_version, shortened

ROOT = Path(__file__).parents[2]


@pytest.fixture
def package(tmp_path: Path) -> Path:
    (tmp_path / "steps").mkdir()
    (tmp_path / "a.py").write_text("a = 1")
    (tmp_path / "steps" / "b.py").write_text("b = 2")
    return tmp_path


def test_the_number_is_that_of_the_distribution() -> None:
    assert tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["version"] == NUMBER


def test_the_version_names_the_code_of_this_package() -> None:
    assert product_version() == f"{NUMBER}+{digest_of(ROOT / 'lambdas' / 'rollback')}"
    assert shortened(product_version()) == f"{NUMBER} ({product_version().partition('+')[2][:8]})"


@pytest.mark.parametrize(
    "change",
    [
        lambda package: (package / "a.py").write_text("a = 3"),
        lambda package: (package / "a.py").rename(package / "c.py"),
        lambda package: (package / "steps" / "c.html").write_text(""),
        lambda package: (package / "a.py").unlink(),
    ],
    ids=["content", "name", "a new file", "a removed file"],
)
def test_a_change_of_the_code_changes_the_digest(package: Path, change: Callable[[Path], object]) -> None:
    before = digest_of(package)
    change(package)
    assert digest_of(package) != before


def test_bytecode_does_not_change_the_digest(package: Path) -> None:
    before = digest_of(package)
    (package / "__pycache__").mkdir()
    (package / "__pycache__" / "a.cpython-313.pyc").write_bytes(b"\0")
    assert digest_of(package) == before
