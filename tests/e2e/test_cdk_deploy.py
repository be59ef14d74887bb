"""Deployment by the CDK's own command line: its stacks and its published bundle run."""

import json
import platform
import sys
from collections.abc import Iterator
from pathlib import Path

import boto3
import pytest
from e2e.conftest import cloud_process, pointed_at
from e2e.live import wait_for
from e2e.processes import ROLLBACK, ROOT, run

from local_cloud.listing import list_all

CDK = ROOT / ".tools" / "node_modules" / ".bin" / "cdk"
# The embedded cloud runs the functions on this machine. ECR is still empty, so the desired count is 0.
CONTEXT = {
    "rollback:environments": "production",
    "rollback:overrides": json.dumps({"services": [{"workload": {"initial_desired_count": 0}}]}),
    "rollback:bundle_platform": f"{platform.machine()}-manylinux_2_28",
    "rollback:bundle_python": f"{sys.version_info.major}.{sys.version_info.minor}",
}

pytestmark = [
    pytest.mark.e2e,
    pytest.mark.skipif(not CDK.exists(), reason="the CDK's command line is not installed; `make tools` does"),
]


@pytest.fixture
def empty_cloud() -> Iterator[dict[str, str]]:
    with cloud_process() as variables, pointed_at(variables):
        yield variables


def test_the_stacks_that_cdk_deploys_answer_status_and_run_the_published_bundle(
    empty_cloud: dict[str, str], tmp_path: Path
) -> None:
    context = [word for name, value in CONTEXT.items() for word in ("-c", f"{name}={value}")]
    flags = ["--require-approval", "never", "--no-notices", "--output", str(tmp_path / "cdk.out")]

    deployed = run([str(CDK), "deploy", "--all", *flags, *context], empty_cloud, seconds=600)

    assert deployed.returncode == 0, deployed.stdout
    stacks = list_all(boto3.Session().client("cloudformation"), "describe_stacks", "Stacks")
    assert {s["StackName"]: s["StackStatus"] for s in stacks if s["StackName"].startswith("MacroAi")} == {
        "MacroAiProductionStack": "CREATE_COMPLETE",
        "MacroAiProductionRollbackStack": "CREATE_COMPLETE",
    }
    status = run([ROLLBACK, "status", "production"], empty_cloud)
    assert (status.returncode, "express-api\tmode\tinfo\tobserve\n" in status.stdout) == (0, True), status.stdout
    # Only our code answers a typo: the published bundle runs.
    states = boto3.Session().client("stepfunctions")
    machines = list_all(states, "list_state_machines", "stateMachines")
    arn = next(m["stateMachineArn"] for m in machines if m["name"] == "macro-ai-production-rollback")
    execution = states.start_execution(stateMachineArn=arn, input='{"type": "servcie"}')["executionArn"]
    last_execution = wait_for(
        lambda: e if (e := states.describe_execution(executionArn=execution))["status"] != "RUNNING" else None
    )
    assert (last_execution["status"], last_execution["error"]) == ("ABORTED", "InvalidRequest")
