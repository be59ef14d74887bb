"""Rules of the layout that a refactoring tool or an IDE would break without a warning."""

import ast
from collections.abc import Iterable, Iterator
from fnmatch import fnmatchcase
from functools import cache
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
MAX_FILES = 15  # in a folder, without `__init__.py`

# A package may import itself and the packages above it in this list, never a package below it.
ROLLBACK = [
    "rollback",
    "rollback.domain.approval",
    "rollback.domain.settings",
    "rollback.resources.aws",
    "rollback.resources.database",
    "rollback.resources.github",
    "rollback.domain.releases",
    "rollback.domain.release_watch",
    "rollback.domain.database",
    "rollback.domain.changes",
    "rollback.domain",
    "rollback.domain.drills",
    "rollback.domain.ledger",
    "rollback.domain.performance",
    "rollback.domain.delivery",
    "rollback.ports.aws",
    "rollback.ports",
    "rollback.leases",
    "rollback.intents",
    "rollback.schema",
    "rollback.identity",
    "rollback.guards",
    "rollback.drills",
    "rollback.reports",
    "rollback.approval",
    "rollback.delivery.github",
    "rollback.reports.document",
    "rollback.rendering",
    "rollback.incident",
    "rollback.stored_report",
    "rollback.delivery.chat",
    "rollback.delivery",
    "rollback.service",
    "rollback.database.preflight",
    "rollback.database.observation",
    "rollback.planning",
    "rollback.verification.checks",
    "rollback.verification",
    "rollback.database.changes",
    "rollback.database.restore",
    "rollback.database.recreate",
    "rollback.database.delete",
    "rollback.database.down_migrations",
    "rollback.database.data_loss",
    "rollback.database",
    "rollback.conclusion",
    "rollback.database.reconnection",
    "rollback.promotion",
    "rollback.release_watch",
    "rollback.operations",
    "rollback.workflow",
    "rollback.workflow.janitor",
    "rollback.observability",
]
# Adapters implement the ports and import no step. Only `bootstrap` and `handlers` import both.
ADAPTERS = [
    "rollback",
    "rollback.domain.approval",
    "rollback.domain.settings",
    "rollback.resources.aws",
    "rollback.resources.database",
    "rollback.resources.github",
    "rollback.domain.releases",
    "rollback.domain.release_watch",
    "rollback.domain.database",
    "rollback.domain.changes",
    "rollback.domain",
    "rollback.domain.drills",
    "rollback.domain.ledger",
    "rollback.domain.delivery",
    "rollback.ports.aws",
    "rollback.ports",
    "rollback.adapters",
    "rollback.adapters.aws",
    "rollback.adapters.aws.reporting",
    "rollback.adapters.aws.ecs",
    "rollback.adapters.neon",
    "rollback.adapters.postgres",
    "rollback.adapters.github",
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
    "local_cloud.github",
    "local_cloud.deployment",
]
ORDERS = {"lambdas": (ROLLBACK, ADAPTERS), "local": (LOCAL_CLOUD,)}
COMPOSITION_ROOTS = {
    "rollback.bootstrap",
    "rollback.handlers",
    *(f"rollback.functions.{path.stem}" for path in (ROOT / "lambdas/rollback/functions").glob("*.py")),
    *(f"rollback.drivers.{path.stem}" for path in (ROOT / "lambdas/rollback/drivers").glob("*.py")),
}

# Modules that decide: values in, values out, no I/O, no clock. The list is complete. A pattern names a package, a file,
# or a name that only such files bear. The ports and their adapters aren't judged.
PURE = (
    "rollback.canonical_json",
    "rollback.check",
    "rollback.effects",
    "rollback.errors",
    "rollback.names",
    "rollback.text",
    "rollback.resources.*",
    "rollback.domain.*",
    "rollback.schema.attribution",
    "rollback.schema.column_types",
    "rollback.schema.compatibility",
    "rollback.schema.journals",
    "rollback.schema.compatibility_check",
    "rollback.schema.invisible_changes",
    "rollback.schema.structure_diff",
    "rollback.guards.failed_deployment",
    "rollback.reports.*",
    "rollback.rendering.filters",
    "rollback.*.rules",
    "rollback.*_rules",
    "rollback.*.next_action",
    "rollback.leases.takeover",
    "rollback.service.drill_restart",
    "rollback.service.zero_task_periods",
    "rollback.database.data_loss.open_analysis",
    "rollback.delivery.github.issue_body",
    "rollback.database.preflight.own_operations",
    "rollback.database.preflight.rules_by_strategy",
    "rollback.database.preflight.timeline",
    "rollback.verification.checks.evidence_keys",
    "rollback.observability.safe_arguments",
    "rollback.delivery.chat.formats",
    "rollback.delivery.chat.message",
    "rollback.delivery.event_detail",
    "rollback.workflow.recheck_event",
    "rollback.workflow.route",
)
NOT_JUDGED = ("rollback.ports.*", "rollback.adapters.*", *COMPOSITION_ROOTS)
# Everything else that a pure module may import. None of these reads a clock or the outside, but for the calls below.
PURE_LIBRARIES = {
    "base64",
    "binascii",
    "collections",
    "collections.abc",
    "dataclasses",
    "datetime",
    "difflib",
    "enum",
    "functools",
    "hashlib",
    "hmac",
    "itertools",
    "json",
    "math",
    "pydantic",
    "re",
    "shlex",
    "typing",
    "urllib.parse",
    "zlib",
}
IMPURE_CALLS = {"now", "utcnow", "today", "open", "print", "input", "eval", "exec", "__import__"}


def _modules(base: str) -> dict[str, Path]:
    """Map each module below `lambdas` or `local` to its file."""
    root = ROOT / base
    return {
        ".".join(path.relative_to(root).with_suffix("").parts): path
        for path in sorted(root.rglob("*.py"))
        if path.name != "__init__.py"
    }


def _imported_modules(module: str, modules: dict[str, Path]) -> set[str]:
    """Collect the modules of the same tree that a module imports, inside functions too."""
    imported: set[str] = set()
    for node in ast.walk(ast.parse(modules[module].read_text())):
        if isinstance(node, ast.ImportFrom):
            assert not node.level, f"{module} imports relatively: these tests read absolute imports only"
            imported |= {f"{node.module}.{alias.name}" for alias in node.names} | {node.module or ""}
        elif isinstance(node, ast.Import):
            imported |= {alias.name for alias in node.names}
    return imported & modules.keys()


def _matches(module: str, patterns: Iterable[str]) -> bool:
    return any(fnmatchcase(module, pattern) for pattern in patterns)


def _own_impurities(file: Path) -> Iterator[str]:
    """Yield the imports from outside `rollback` and the calls that a pure module may not have."""
    for node in ast.walk(ast.parse(file.read_text())):
        match node:
            case ast.Import(names=aliases):
                yield from (f"imports {alias.name}" for alias in aliases if alias.name not in PURE_LIBRARIES)
            case ast.ImportFrom(module=str(name)) if name not in PURE_LIBRARIES and not name.startswith("rollback"):
                yield f"imports {name}"
            case ast.Call(func=ast.Name(id=name) | ast.Attribute(attr=name)) if name in IMPURE_CALLS:
                yield f"calls {name}()"


def _reached_modules(module: str, imported: dict[str, set[str]]) -> set[str]:
    """Collect a module, the modules that it imports, and the modules that those import."""
    modules, pending = {module}, [module]
    while pending:
        new = imported[pending.pop()] - modules
        modules |= new
        pending.extend(new)
    return modules


@cache
def _impurities() -> dict[str, list[str]]:
    """Map each judged module of `rollback` to the impurities of all modules that it reaches."""
    modules = _modules("lambdas")
    own_impurities = {
        module: ["is a port, an adapter or wiring"] if _matches(module, NOT_JUDGED) else list(_own_impurities(file))
        for module, file in modules.items()
    }
    imported = {module: _imported_modules(module, modules) for module in modules}
    return {
        module: [
            f"{reached_module} {reason}"
            for reached_module in sorted(_reached_modules(module, imported))
            for reason in own_impurities[reached_module]
        ]
        for module in modules
        if not _matches(module, NOT_JUDGED)
    }


def _imported_names(file: Path) -> set[str]:
    tree = ast.parse(file.read_text())
    names = {alias.name for node in ast.walk(tree) if isinstance(node, ast.Import) for alias in node.names}
    return names | {node.module or "" for node in ast.walk(tree) if isinstance(node, ast.ImportFrom)}


@pytest.mark.parametrize("base", ["lambdas", "local", "cli", "constructs", "stacks", "publishing", "tests"])
def test_no_folder_holds_more_than_fifteen_files(base: str) -> None:
    folders = {file.parent for file in (ROOT / base).rglob("*.py")}
    sizes = {folder: sum(file.name != "__init__.py" for file in folder.glob("*.py")) for folder in folders}
    assert {str(folder.relative_to(ROOT)): size for folder, size in sizes.items() if size > MAX_FILES} == {}


def test_the_folder_constructs_is_not_a_package() -> None:
    # A package of that name would shadow the package `constructs` that aws_cdk imports (aws/aws-cdk#19301).
    assert not (ROOT / "constructs" / "__init__.py").exists()


@pytest.mark.parametrize("base", ORDERS)
def test_imports_run_down_the_order_of_packages(base: str) -> None:
    modules = _modules(base)
    backwards = []
    for module in modules.keys() - COMPOSITION_ROOTS:
        package = module.rpartition(".")[0]
        order = next((candidate for candidate in ORDERS[base] if package in candidate), [])
        assert order, f"{module} is in no ordered package: add {package} to the order in {Path(__file__).name}"
        for imported in _imported_modules(module, modules):
            package_of_import = imported.rpartition(".")[0]
            if package_of_import not in order or order.index(package_of_import) > order.index(package):
                backwards.append(f"{module} imports {imported}")
    assert not backwards, "\n".join(backwards)


@pytest.mark.parametrize("order", [ROLLBACK, ADAPTERS, LOCAL_CLOUD])
def test_every_ordered_package_exists(order: list[str]) -> None:
    packages = {module.rpartition(".")[0] for base in ORDERS for module in _modules(base)}
    assert not set(order) - packages


def test_the_lambdas_import_nothing_of_the_pipeline_or_of_the_embedded_cloud() -> None:
    forbidden = {"aws_cdk", "constructs", "rollback_cli", "local_cloud", "stacks", "postgast"}
    for module, file in _modules("lambdas").items():
        assert not forbidden & {name.split(".")[0] for name in _imported_names(file)}, module


def test_only_adapters_import_a_client_library() -> None:
    clients = {"boto3", "botocore", "httpx", "psycopg"}
    importing = {
        module
        for module, file in _modules("lambdas").items()
        if clients & {name.split(".")[0] for name in _imported_names(file)}
        and not module.startswith("rollback.adapters")
    }
    assert importing <= COMPOSITION_ROOTS


def test_a_pure_module_has_no_side_effects_and_reads_no_external_state() -> None:
    impurities = {module: reasons for module, reasons in _impurities().items() if reasons and _matches(module, PURE)}
    assert impurities == {}


def test_every_module_that_is_pure_is_listed_as_pure() -> None:
    pure = [module for module, reasons in _impurities().items() if not reasons]
    assert [module for module in pure if not _matches(module, PURE)] == []


@pytest.mark.parametrize("pattern", PURE)
def test_every_pattern_of_pure_modules_matches_a_module(pattern: str) -> None:
    assert [module for module in _modules("lambdas") if fnmatchcase(module, pattern)]


@pytest.mark.parametrize(
    ("source", "impurities"),
    [
        ("import time", ["imports time"]),
        ("from os import environ", ["imports os"]),
        ("from urllib.request import urlopen", ["imports urllib.request"]),
        ("def decide():\n    import boto3", ["imports boto3"]),
        ("from datetime import UTC, datetime\nNOW = datetime.now(UTC)", ["calls now()"]),
        ("text = open('file').read()", ["calls open()"]),
        ("import re\nfrom rollback.names import prefix\nwords = re.compile('x').match('x')", []),
    ],
)
def test_an_impure_import_or_call_is_found(tmp_path: Path, source: str, impurities: list[str]) -> None:
    file = tmp_path / "module.py"
    file.write_text(source)
    assert list(_own_impurities(file)) == impurities
