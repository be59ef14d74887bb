"""One synth for all processes of a test run, without bundling; the venv's own Node goes first."""

import json
import os
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from rollback_constructs.build_cache import app, contents, kept

os.environ["PATH"] = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"  # before jsii starts Node

Template = dict[str, Any]
ENVIRONMENTS = ("production", "staging", "feature")


@pytest.fixture(scope="session")
def assembly() -> Path:
    return kept("test-assemblies", [*app(), *contents(Path(__file__))], _synthesised)


def _synthesised(out: Path) -> None:
    from stacks.assembly import synthesise  # noqa: PLC0415 - it starts Node, which needs the path above

    synthesise(out, {"aws:cdk:bundling-stacks": []}, validate=True)


@pytest.fixture(scope="session")
def templates(assembly: Path) -> dict[str, Template]:
    """Template by stack name."""
    return {
        path.name.removesuffix(".template.json"): json.loads(path.read_text())
        for path in sorted(assembly.glob("*.template.json"))
    }


@pytest.fixture(scope="session")
def definitions(templates: dict[str, Template]) -> dict[str, dict[str, Any]]:
    """State machine definitions by name, placeholders filled in with an ARN that looks real."""
    return dict(_definitions(templates))


def _definitions(templates: dict[str, Template]) -> Iterator[tuple[str, dict[str, Any]]]:
    for template in templates.values():
        for properties in resources(template, "AWS::StepFunctions::StateMachine"):
            text = properties["DefinitionString"]
            for name in properties["DefinitionSubstitutions"]:
                text = text.replace(f"${{{name}}}", f"arn:aws:lambda:eu-west-1:123456789012:function:{name}")
            yield properties["StateMachineName"], json.loads(text)


def resources(template: Template, kind: str) -> list[dict[str, Any]]:
    """Properties of every resource of a type."""
    return [resource["Properties"] for resource in template["Resources"].values() if resource["Type"] == kind]
