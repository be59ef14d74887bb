"""Imports of the drivers: a cold start pays 150 ms for httpx and 330 ms for psycopg, and an emergency needs neither."""

import ast
import json
import subprocess
import sys
from pathlib import Path

import pytest

from rollback.domain.settings.environment import (
    CRITICAL_TOPIC_VARIABLE,
    LEDGER_TABLE_VARIABLE,
    NOTIFICATION_TOPIC_VARIABLE,
    SETTINGS_VARIABLE,
)

LAMBDAS = Path(__file__).parents[2] / "lambdas"
SERVICE = {"name": "web", "cluster": "c", "ecs_service": "web", "container": "web"}
KEY = "arn:aws:secretsmanager:eu-west-1:123456789012:secret:neon-key-AbCdEf"
DATABASE = {"project_id": "p", "branch_id": "br-1", "api_key_secret_arn": KEY}
VARIABLES = {
    SETTINGS_VARIABLE: json.dumps(
        {"application": "a", "environment": "e", "services": [SERVICE], "database": DATABASE}
    ),
    LEDGER_TABLE_VARIABLE: "ledger",
    NOTIFICATION_TOPIC_VARIABLE: "topic",
    CRITICAL_TOPIC_VARIABLE: "critical",
    "PYTHONPATH": str(LAMBDAS),
    "AWS_DEFAULT_REGION": "eu-west-1",
    # The developer who runs the tests may have credentials: no test uses them.
    "AWS_SHARED_CREDENTIALS_FILE": "/dev/null",
    "AWS_CONFIG_FILE": "/dev/null",
    "AWS_EC2_METADATA_DISABLED": "true",
}
WITHOUT_DRIVERS = "assert not {'httpx', 'psycopg', 'cryptography'} & set(sys.modules), sorted(sys.modules)\n"
# Modules that each handler imports when Lambda calls it.
LATE_IMPORTS = {
    "decide": ("planning.step", "planning.database"),
    "service": ("planning.emergency", "workflow.runner", "service.reconciler"),
    "report": ("workflow.janitor", "verification.step", "conclusion.step"),
    "promote": ("promotion.promote",),
    "database": ("database.observation.schedule", "database.step"),
}


def run(program: str) -> None:
    subprocess.run([sys.executable, "-c", f"import sys\n{program}"], check=True, env=VARIABLES, timeout=60)


@pytest.mark.parametrize("function", LATE_IMPORTS)
def test_a_function_starts_without_a_driver_in_an_environment_that_has_a_database(function: str) -> None:
    late_imports = "".join(f"import rollback.{module}\n" for module in LATE_IMPORTS[function])
    make = f"from rollback.handlers import {function}\nports = sys.modules['rollback.functions.{function}']._ports()\n"
    run(f"{late_imports}{make}assert ports.settings.database is not None\n{WITHOUT_DRIVERS}")


def test_a_call_of_neons_api_does_not_load_psycopg() -> None:
    call_neon = (
        "try:\n    ports.neon.project()\nexcept ExternalServiceError:\n    pass\n"  # the call has no credentials
    )
    run(
        "from rollback.functions.report import _ports\n"
        "from rollback.errors import ExternalServiceError\nports = _ports()\n"
        f"{call_neon}assert 'httpx' in sys.modules\nassert 'psycopg' not in sys.modules\n"
    )


def test_a_query_loads_psycopg() -> None:
    run("from rollback.functions.database import _ports\n_ports().sql.head\nassert 'psycopg' in sys.modules\n")


@pytest.mark.parametrize(
    ("module", "importers"),
    [
        (
            "psycopg",
            {
                "adapters/postgres/sql.py",
                "adapters/postgres/background_work.py",
                "adapters/postgres/journals.py",
                "adapters/postgres/rows.py",
                "adapters/postgres/catalog.py",
                "adapters/postgres/sequences.py",
                "adapters/postgres/session.py",
            },
        ),
        (
            "httpx",
            {"adapters/http.py", "adapters/neon/http.py", "adapters/github/http.py", "adapters/webhooks.py"},
        ),
        ("cryptography", {"adapters/github/credentials.py"}),
        ("rollback.adapters.postgres.sql", {"drivers/sql.py"}),
    ],
)
def test_only_the_adapters_of_a_port_import_its_driver(module: str, importers: set[str]) -> None:
    importing = set()
    for file in (LAMBDAS / "rollback").rglob("*.py"):
        for node in ast.walk(ast.parse(file.read_text())):
            imported_names = [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
            names = [*imported_names, *([node.module or ""] if isinstance(node, ast.ImportFrom) else [])]
            if any(name == module or (name.startswith(f"{module}.")) for name in names):
                importing.add(file.relative_to(LAMBDAS / "rollback").as_posix())
    assert importing == importers
