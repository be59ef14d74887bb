"""Rules of the layout that a tool or an IDE breaks without noticing."""

import ast
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]


def imports(file: Path) -> set[str]:
    tree = ast.parse(file.read_text())
    names = {alias.name for node in ast.walk(tree) if isinstance(node, ast.Import) for alias in node.names}
    return names | {node.module or "" for node in ast.walk(tree) if isinstance(node, ast.ImportFrom)}


def test_the_folder_constructs_is_not_a_package() -> None:
    # It would shadow the package `constructs` that aws_cdk imports (aws/aws-cdk#19301).
    assert not (ROOT / "constructs" / "__init__.py").exists()


@pytest.mark.parametrize(
    ("inside", "forbidden"),
    [
        ("lambdas/rollback", ("aws_cdk", "constructs", "rollback_cli", "local_cloud", "stacks", "postgast")),
    ],
)
def test_imports_run_one_way(inside: str, forbidden: tuple[str, ...]) -> None:
    files = list((ROOT / inside).rglob("*.py"))
    assert files
    for file in files:
        wrong = {name for name in imports(file) if name.split(".")[0] in forbidden or name.startswith(forbidden)}
        assert not wrong, f"{file.relative_to(ROOT)} imports {wrong}"
