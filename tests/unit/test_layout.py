"""Rules of the layout that a tool or an IDE breaks without noticing."""

import ast
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
MOST_FILES = 15  # in a folder, `__init__.py` left out

# Each package may import those above it and itself, never one below: an arrow that runs backwards fails.
ROLLBACK = [
    "rollback",
    "rollback.domain.settings",
    "rollback.resources.aws",
    "rollback.resources.database",
    "rollback.domain.releases",
    "rollback.domain.database",
    "rollback.domain",
    "rollback.ports",
    "rollback.leases",
    "rollback.intents",
    "rollback.schema",
    "rollback.identity",
    "rollback.guards",
    "rollback.reports",
    "rollback.service",
    "rollback.database.preflight",
    "rollback.database.observation",
    "rollback.planning",
    "rollback.verification",
    "rollback.database.changes",
    "rollback.database.restore",
    "rollback.database.recreate",
    "rollback.database.delete",
    "rollback.database.down_migrations",
    "rollback.database.account",
    "rollback.database",
    "rollback.conclusion",
    "rollback.database.reconnection",
    "rollback.promotion",
    "rollback.operations",
    "rollback.workflow",
]
# Adapters implement the ports and know nothing of the steps; only `bootstrap` and `handlers` see both.
ADAPTERS = [
    "rollback",
    "rollback.domain.settings",
    "rollback.resources.aws",
    "rollback.resources.database",
    "rollback.domain.releases",
    "rollback.domain.database",
    "rollback.domain",
    "rollback.ports",
    "rollback.adapters",
    "rollback.adapters.aws",
    "rollback.adapters.aws.ecs",
    "rollback.adapters.neon",
    "rollback.adapters.postgres",
    "rollback.adapters.ledger",
]
LOCAL_CLOUD = [
    "local_cloud.processes",
    "local_cloud",
    "local_cloud.iam",
    "local_cloud.moto_fixes",
    "local_cloud.moto_fixes.cloudformation",
    "local_cloud.moto_fixes.cloudwatch",
    "local_cloud.moto_fixes.ecs",
    "local_cloud.moto_fixes.step_functions",
    "local_cloud.faults",
    "local_cloud.events",
    "local_cloud.cloudwatch",
    "local_cloud.elb",
    "local_cloud.app",
    "local_cloud.ecr",
    "local_cloud.ecs",
    "local_cloud.functions",
    "local_cloud.step_functions",
    "local_cloud.cloudformation",
    "local_cloud.neon",
    "local_cloud.deployment",
]
ORDERS = {"lambdas": (ROLLBACK, ADAPTERS), "local": (LOCAL_CLOUD,)}
COMPOSITION_ROOTS = {"rollback.bootstrap", "rollback.handlers"}


def _modules(base: str) -> dict[str, Path]:
    """Dotted name → file, of every module below `lambdas` or `local`."""
    root = ROOT / base
    return {
        ".".join(path.relative_to(root).with_suffix("").parts): path
        for path in sorted(root.rglob("*.py"))
        if path.name != "__init__.py"
    }


def _imported_modules(module: str, modules: dict[str, Path]) -> set[str]:
    """Modules of the same tree that a module imports, inside of functions too."""
    found: set[str] = set()
    for node in ast.walk(ast.parse(modules[module].read_text())):
        if isinstance(node, ast.ImportFrom) and node.module and not node.level:
            found |= {f"{node.module}.{alias.name}" for alias in node.names} | {node.module}
        elif isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
    return found & modules.keys()


def imports(file: Path) -> set[str]:
    tree = ast.parse(file.read_text())
    names = {alias.name for node in ast.walk(tree) if isinstance(node, ast.Import) for alias in node.names}
    return names | {node.module or "" for node in ast.walk(tree) if isinstance(node, ast.ImportFrom)}


@pytest.mark.parametrize("base", ["lambdas", "local", "cli", "constructs", "stacks"])
def test_no_folder_holds_more_files_than_one_can_survey(base: str) -> None:
    folders = {file.parent for file in (ROOT / base).rglob("*.py")}
    sizes = {folder: sum(file.name != "__init__.py" for file in folder.glob("*.py")) for folder in folders}
    assert {str(folder.relative_to(ROOT)): size for folder, size in sizes.items() if size > MOST_FILES} == {}


def test_the_folder_constructs_is_not_a_package() -> None:
    # It would shadow the package `constructs` that aws_cdk imports (aws/aws-cdk#19301).
    assert not (ROOT / "constructs" / "__init__.py").exists()


@pytest.mark.parametrize("base", ORDERS)
def test_imports_run_down_the_order_of_packages(base: str) -> None:
    modules = _modules(base)
    backwards = []
    for module in modules.keys() - COMPOSITION_ROOTS:
        package = module.rpartition(".")[0]
        order = next((some for some in ORDERS[base] if package in some), [])
        assert order, f"{module} is in no ordered package: add {package} to the order in {Path(__file__).name}"
        for imported in _imported_modules(module, modules):
            other = imported.rpartition(".")[0]
            if other not in order or order.index(other) > order.index(package):
                backwards.append(f"{module} imports {imported}")
    assert not backwards, "\n".join(backwards)


@pytest.mark.parametrize("order", [ROLLBACK, ADAPTERS, LOCAL_CLOUD])
def test_every_ordered_package_exists(order: list[str]) -> None:
    known = {module.rpartition(".")[0] for base in ORDERS for module in _modules(base)}
    assert not set(order) - known


def test_the_run_time_code_imports_nothing_of_the_pipeline_or_of_the_embedded_cloud() -> None:
    forbidden = {"aws_cdk", "constructs", "rollback_cli", "local_cloud", "stacks", "postgast"}
    for module, file in _modules("lambdas").items():
        assert not forbidden & {name.split(".")[0] for name in imports(file)}, module


def test_only_adapters_import_a_client_library() -> None:
    clients = {"boto3", "botocore", "httpx", "psycopg"}
    importing = {
        module
        for module, file in _modules("lambdas").items()
        if clients & {name.split(".")[0] for name in imports(file)} and not module.startswith("rollback.adapters")
    }
    assert importing <= COMPOSITION_ROOTS
