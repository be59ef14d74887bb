"""Modules that the command does not import before it needs them: an operator feels each of them."""

import json
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[4]
# Runs the command up to its first request, and prints the imported modules.
_PROGRAM = """
import json, sys

class Reached(BaseException):
    pass

imported = None

def stop(self, request):
    global imported
    imported = sorted(sys.modules)  # what handles the error may import more
    raise Reached

words = sys.argv[1:]
if words[0] == "status":
    import botocore.httpsession
    botocore.httpsession.URLLib3Session.send = stop
from rollback_cli.main import run
try:
    run(words)
except Reached:
    print("a request was sent", file=sys.stderr)
print(json.dumps(imported or sorted(sys.modules)), file=sys.stderr)
"""
SLOW = ("pydantic", "rich", "boto3", "s3transfer", "httpx", "psycopg", "moto", "postgast", "local_cloud", "jinja2")
OWN = ("rollback.errors", "rollback.bootstrap", "rollback_cli.demo", "rollback_cli.output.status.read")


@pytest.mark.parametrize("name", OWN)
def test_each_module_that_must_not_be_imported_exists(name: str) -> None:
    assert find_spec(name) is not None


def imported_modules(*words: str) -> tuple[set[str], bool]:
    """Modules that the command imports, and whether it got as far as a request."""
    process = subprocess.run(
        [sys.executable, "-c", _PROGRAM, *words], cwd=ROOT, capture_output=True, text=True, check=True, timeout=180,
        env={
            "AWS_REGION": "eu-west-1", "AWS_ACCESS_KEY_ID": "a", "AWS_SECRET_ACCESS_KEY": "b",
            "PYTHONPATH": ":".join(str(ROOT / part) for part in (".", "cli", "lambdas")), "HOME": "/nonexistent",
        },
    )  # fmt: skip
    lines = process.stderr.splitlines()
    return set(json.loads(lines[-1])), "a request was sent" in lines


@pytest.mark.parametrize("words", [("--help",), ("__complete", "show", "production", "")], ids=["help", "completion"])
def test_help_and_completion_import_no_sdk_and_no_verb(words: tuple[str, ...]) -> None:
    modules, _ = imported_modules(*words)
    assert "rollback_cli.shell.catalogue" in modules
    assert sorted(modules & {*SLOW, *OWN, "botocore"}) == []
    assert [module for module in modules if module.startswith("rollback_cli.verbs.")] == []


def test_status_imports_neither_pydantic_nor_rich_nor_boto3_before_its_first_request() -> None:
    modules, has_sent = imported_modules("status", "production")
    assert has_sent
    assert "botocore.client" in modules
    assert sorted(modules & {*SLOW, *OWN}) == []
    assert [m for m in modules if m.startswith("rollback_cli.verbs.rollbacks.")] == [
        "rollback_cli.verbs.rollbacks.status"
    ]
