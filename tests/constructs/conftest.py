"""One synthesis for all processes of a test run, without bundling; the Node of the venv comes first in PATH."""

import copy
import json
import os
import sys
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from rollback_constructs.functions.build_cache import app_sources, file_contents, get_or_build
from rollback_constructs.functions.sources import PROJECT

os.environ["PATH"] = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"  # before jsii starts Node

Template = dict[str, Any]
Context = dict[str, Any]
ENVIRONMENTS = ("production", "staging", "feature")
ARN = "arn:aws:secretsmanager:eu-west-1:123456789012:secret:"
# Production's settings bring the database function every permission; staging's bring the required ones only.
DATABASES: dict[str, dict[str, Any]] = {
    "production": {
        "project_id": "quiet-sun-1",
        "branch_id": "br-main-1",
        "api_key_secret_arn": f"{ARN}neon-key-AbCdEf",
        "connection_secret_arn": f"{ARN}database-url-AbCdEf",
        "down_command": ["pnpm", "db:migrate:down", "{tag}"],
    },
    "staging": {
        "project_id": "quiet-sun-1",
        "branch_id": "br-staging-1",
        "strategy": "reset",
        "source_branch_id": "br-main-1",
        "api_key_secret_arn": f"{ARN}neon-key-AbCdEf",
    },
}


@pytest.fixture(scope="session")
def assembly() -> Path:
    return _assembly({})


@pytest.fixture(scope="session")
def database_context() -> Context:
    """Context that gives production and staging a database."""
    environments = copy.deepcopy(json.loads((PROJECT / "cdk.json").read_text())["context"]["environments"])
    return {
        "rollback:environments": ",".join(DATABASES),
        "environments": {
            name: {**environments[name], "database": database, "services": _services(name, environments[name])}
            for name, database in DATABASES.items()
        },
    }


def _services(environment: str, environment_settings: dict[str, Any]) -> list[dict[str, Any]]:
    """Give production a smoke command; give staging a commit label, and environment files in a bucket."""
    if environment != "staging":
        smoke = {"smoke_command": ["pnpm", "smoke"]}
        return [{**service, **smoke} for service in environment_settings["services"]]
    staging_settings = {
        "commit_from": "label:org.opencontainers.image.revision",
        "environment_file_buckets": ["shop-settings"],
    }
    return [{**service, **staging_settings} for service in environment_settings["services"]]


@pytest.fixture(scope="session")
def database_assembly(database_context: Context) -> Path:
    """Return the assembly of production and staging with a database."""
    return _assembly(database_context)


def _assembly(context: Context) -> Path:
    inputs = [json.dumps(context), *app_sources(), *file_contents(Path(__file__))]
    return get_or_build("test-assemblies", inputs, partial(_synthesised, context))


def _synthesised(context: Context, out: Path) -> None:
    from stacks.assembly import synthesise  # noqa: PLC0415 - this import starts Node, which needs the PATH above

    synthesise(out, {"aws:cdk:bundling-stacks": [], **context}, validate=True)


@pytest.fixture(scope="session")
def templates(assembly: Path) -> dict[str, Template]:
    """Template by stack name."""
    return _templates(assembly)


@pytest.fixture(scope="session")
def database_templates(database_assembly: Path) -> dict[str, Template]:
    """Template by stack name, of environments that have a database."""
    return _templates(database_assembly)


def _templates(assembly: Path) -> dict[str, Template]:
    return {
        path.name.removesuffix(".template.json"): json.loads(path.read_text())
        for path in sorted(assembly.glob("*.template.json"))
    }


@pytest.fixture(scope="session")
def definitions(templates: dict[str, Template], database_templates: dict[str, Template]) -> dict[str, dict[str, Any]]:
    """State machine definitions by name, placeholders filled in with an ARN that looks real."""
    with_database = {f"{name} with a database": definition for name, definition in _definitions(database_templates)}
    return {**dict(_definitions(templates)), **with_database}


def _definitions(templates: dict[str, Template]) -> Iterator[tuple[str, dict[str, Any]]]:
    for template in templates.values():
        for properties in resources(template, "AWS::StepFunctions::StateMachine"):
            text = _filled_in(properties["DefinitionString"])
            for name in properties["DefinitionSubstitutions"]:
                text = text.replace(f"${{{name}}}", f"arn:aws:lambda:eu-west-1:123456789012:function:{name}")
            yield properties["StateMachineName"], json.loads(text)


def _filled_in(text: Any) -> str:
    """Fill in the partition, as CloudFormation does."""
    parts = [text] if isinstance(text, str) else text["Fn::Join"][1]
    return "".join(part if isinstance(part, str) else {"AWS::Partition": "aws"}[part["Ref"]] for part in parts)


def resources(template: Template, kind: str) -> list[dict[str, Any]]:
    """Properties of every resource of a type."""
    return [resource["Properties"] for resource in template["Resources"].values() if resource["Type"] == kind]
