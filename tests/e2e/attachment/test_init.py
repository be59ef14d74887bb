"""A team with a service of its own attaches to it as docs/attach.md says, and a bad release is rolled back."""

import json
import platform
import socket
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import boto3
import pytest
from contract.local_cloud.workload import eventually
from e2e.conftest import pointed_at
from e2e.live import DeployedEnvironment, wait_for
from e2e.processes import ROLLBACK, ROOT, Process, run

from local_cloud.ecr.images import push_image
from local_cloud.elb.load import LoadGenerator
from local_cloud.listing import list_all
from rollback.domain.rollback import Outcome
from rollback_cli.demo.profile import SCALE, overrides

CDK = ROOT / ".tools" / "node_modules" / ".bin" / "cdk"
TEMPLATES = ROOT / "tests" / "fixtures" / "attachment"
REPOSITORY = "team/checkout"
BAD = {"kind": "errors", "rate": 0.6}

pytestmark = [
    pytest.mark.e2e,
    pytest.mark.skipif(not CDK.exists(), reason="the CDK's command line is not installed; `make tools` does"),
]


class Team:
    """A team with a folder, a shell and a service that it deploys by CloudFormation."""

    def __init__(self, variables: dict[str, str], folder: Path, url: str) -> None:
        self.variables, self.folder, self.url = variables, folder, url

    def type(self, *words: str, code: int = 0) -> str:
        """Run a command in the team's folder; return its output."""
        result = run(words, self.variables, seconds=600, folder=self.folder)
        assert result.returncode == code, result.stdout
        return result.stdout

    def deploy(self, stack: str, template: str, **parameters: str) -> None:
        """Deploy one of the team's own stacks."""
        cloudformation = boto3.Session().client("cloudformation")
        cloudformation.create_stack(
            StackName=stack,
            TemplateBody=(TEMPLATES / template).read_text(),
            Capabilities=["CAPABILITY_NAMED_IAM"],
            Parameters=[{"ParameterKey": key, "ParameterValue": value} for key, value in parameters.items()],
        )
        (described,) = list_all(cloudformation, "describe_stacks", "Stacks", StackName=stack)
        assert described["StackStatus"] == "CREATE_COMPLETE", described

    def settings(self) -> dict[str, Any]:
        document: dict[str, Any] = json.loads((self.folder / "cdk.json").read_text())
        return document


@pytest.fixture
def team(tmp_path: Path) -> Iterator[Team]:
    """A team whose service runs v1.0.0."""
    port = _free_port()
    with Process([sys.executable, str(ROOT / "tests" / "e2e" / "cloud_process.py")]) as process:
        variables: dict[str, str] = json.loads(process.line_with('"AWS_ENDPOINT_URL"'))
        process.send_line(json.dumps({"listen_on": port}))
        process.line_with(f"{port} is listen_on")
        with pointed_at(variables):
            team = Team(variables, tmp_path, f"http://localhost:{port}")
            team.deploy("shop-registry", "registry.yaml")
            ecr = boto3.Session().client("ecr")
            push_image(ecr, REPOSITORY, "v1.0.0")
            (repository,) = list_all(ecr, "describe_repositories", "repositories")
            team.deploy("shop-checkout", "service.yaml", Image=f"{repository['repositoryUri']}:v1.0.0")
            yield team


def test_a_service_of_plain_cloudformation_is_found_attached_and_rolled_back(team: Team) -> None:
    said = team.type(ROLLBACK, "init", "--from-stack", "shop-checkout", "--base-url", team.url, "--write")
    assert "next: read rollback-init-checkout.md, then run `cdk deploy MacroAiProductionRollbackStack`" in said
    settings = team.settings()
    production = settings["context"]["environments"]["production"]
    assert production["policy"] == {"mode": "observe"}
    (service,) = production["services"]
    assert (service["cluster"], service["ecs_service"], service["stack"]) == ("shop-live", "checkout", "shop-checkout")
    assert service["endpoints"] == [{"path": "/health"}]

    # The team decides to act at once, and shortens the waits to those of the embedded cloud.
    short_waits = overrides(team.url, {"mode": "act"}, {}, {})
    production |= {key: short_waits[key] for key in ("policy", "alarms", "approval", "workflow_timeout_minutes")}
    settings["context"] |= {
        "rollback:bundle_platform": f"{platform.machine()}-manylinux_2_28",
        "rollback:bundle_python": f"{sys.version_info.major}.{sys.version_info.minor}",
        "rollback:clock_scale": SCALE,
    }
    (team.folder / "cdk.json").write_text(json.dumps(settings))
    team.type(str(CDK), "deploy", "MacroAiProductionRollbackStack", "--require-approval", "never", "--no-notices")
    assert "checkout\tmode\tinfo\tact\n" in team.type(ROLLBACK, "status", "production")

    live = DeployedEnvironment()
    good = wait_for(lambda: live.find_release("v1.0.0"))
    with LoadGenerator(team.url, 25.0, ("/api/status", "/api/ping")):
        team.type(ROLLBACK, "promote", "production")
        bad = live.push("v1.1.0", BAD)
        live.ship("v1.1.0")
        rollback = eventually(lambda: next((one for one in live.history() if one.concluded_at), None), 600, every=1)
    assert rollback.outcome is Outcome.SUCCEEDED, rollback
    assert rollback.trigger == "alarm"
    running = live.running_digests()  # those of the sidecar too
    assert good.images["web"].rpartition("@")[2] in running
    assert bad not in running
    assert "v1.1.0" in team.type(ROLLBACK, "history", "production")


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
