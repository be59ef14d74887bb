"""The app of the installed package: in any folder it makes the rollback stacks that the repository's app makes."""

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from fakes.running_service import FakeRunningService

from rollback_cli.attach import cdk_json
from rollback_cli.attach.description.section import describe
from rollback_cli.attach.look_up import look_up
from rollback_cli.attach.names import ServiceName
from rollback_cli.attach.reading import Reader
from rollback_constructs.feature_flags import FEATURE_FLAGS
from stacks.assembly import build, project_context

STACK = "MacroAiProductionRollbackStack"


@pytest.fixture
def context() -> dict[str, Any]:
    """Context of the file that `rollback init` writes."""
    found = look_up(Reader(FakeRunningService()), ServiceName("shop-live", "Checkout_API"))
    section = describe(found, "checkout")
    merged = cdk_json.merge({}, "production", section.service, section.environment)
    return {**merged["context"], "aws:cdk:bundling-stacks": []}


def run_app(context: dict[str, Any], folder: Path) -> subprocess.CompletedProcess[str]:
    """Run the app as the CDK's command line does."""
    words = cdk_json.APP.split()
    assert words[0] == "python"
    variables = {**os.environ, "CDK_CONTEXT_JSON": json.dumps(context), "CDK_OUTDIR": str(folder / "out")}
    return subprocess.run(
        [sys.executable, *words[1:]], cwd=folder, env=variables, capture_output=True, text=True, check=False
    )


def test_the_section_of_init_becomes_the_same_stack_as_in_the_repository(
    context: dict[str, Any], tmp_path: Path
) -> None:
    (tmp_path / "elsewhere").mkdir()
    result = run_app(context, tmp_path / "elsewhere")
    assert result.returncode == 0, result.stderr
    template = f"{STACK}.template.json"
    build(tmp_path / "repository", context, validate=False).synth()
    expected = json.loads((tmp_path / "repository" / template).read_text())
    assert json.loads((tmp_path / "elsewhere" / "out" / template).read_text()) == expected


def test_a_service_that_the_repositorys_app_creates_is_refused_in_one_line(tmp_path: Path) -> None:
    result = run_app(project_context(), tmp_path)
    assert result.returncode == 1
    assert result.stderr.strip().startswith("environments.production.services.express-api has a workload")
    assert len(result.stderr.strip().splitlines()) == 1


def test_the_feature_flags_are_those_of_the_repository() -> None:
    ours = {name: value for name, value in project_context().items() if name.startswith("@aws-cdk")}
    assert dict(FEATURE_FLAGS) == ours, "copy the flags of cdk.json into rollback_constructs/feature_flags.py"
