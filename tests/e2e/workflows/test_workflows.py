"""The workflows of GitHub Actions, run on this machine against the embedded cloud, each with the role of its pipeline.

The command is the one that the composite action installs. IAM is enforced: the jobs have the permissions of their roles
and no others. The token of GitHub and the trust in it can't be tried here; `tests/constructs/pipelines` evaluates it.
"""

import os
import time
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import boto3
import pytest
from contract.local_cloud.workload import HEALTHY
from e2e.conftest import POLICY, WINDOW_MINUTES, cloud_process, pointed_at
from e2e.live import DeployedEnvironment, wait_for
from e2e.processes import BIN, ROOT, environment
from github_runner.runner import JobResult, Runner, StandIn

from local_cloud.listing import list_all
from rollback.domain.releases.release import Release
from rollback.domain.request import Trigger
from rollback.domain.rollback import Outcome
from rollback_cli.deployed_stack import stack_name

pytestmark = pytest.mark.e2e

BROKEN = {"kind": "errors", "rate": 1.0}
APPROVAL = {"required_for": ["forced"], "four_eyes": True}
_LEFT_OUT = ("PYTHONPATH", "VIRTUAL_ENV", "COLUMNS")


@dataclass
class Pipeline:
    """A deployed environment, and machines that run the workflows for it."""

    live: DeployedEnvironment
    cloud: Mapping[str, str]
    folder: Path
    assumed: list[Mapping[str, str]] = field(default_factory=list)

    @property
    def outputs(self) -> dict[str, str]:
        stacks = list_all(
            self.live.client("cloudformation"), "describe_stacks", "Stacks", StackName=stack_name("production")
        )
        return {one["OutputKey"]: one["OutputValue"] for one in stacks[0]["Outputs"]}

    def run(self, name: str, actor: str = "alice", machine: str = "first", **inputs: Any) -> JobResult:
        """Start a workflow by hand and run its only job.

        Args:
            name: of the workflow's file.
            actor: login of the person.
            machine: jobs at the same time need machines of their own.
            inputs: with `_` for `-`.
        """
        outputs = self.outputs
        variables = {
            f"{role.upper()}_ROLE_ARN": outputs[f"GitHub{role}RoleArn"] for role in ("Rollback", "Approve", "Deploy")
        }
        temp = self.folder / machine
        temp.mkdir(exist_ok=True)
        for link in ("rollback-cli", "rollback-bin"):  # an earlier job on the first machine has installed these
            installed = self.folder / "first" / link
            if installed.exists() and not (temp / link).exists():
                (temp / link).symlink_to(installed)
        workspace = self.folder / f"{machine}-workspace"
        workspace.mkdir(exist_ok=True)
        runner = Runner(
            temp,
            workspace,
            {
                "actions/checkout": lambda _: StandIn(),
                "actions/setup-python": _job_python,
                "aws-actions/configure-aws-credentials": self._assume_role,
            },
            {**variables, "AWS_REGION": self.cloud["AWS_REGION"]},
            actor,
            self._machine(),
        )
        given = {key.replace("_", "-"): value for key, value in inputs.items()}
        (job,) = runner.run(ROOT / ".github" / "workflows" / f"{name}.yml", "workflow_dispatch", given).values()
        return job

    def _machine(self) -> dict[str, str]:
        """Variables of a machine that has the cloud's address, no credentials and no command `rollback`."""
        base = environment(self.cloud)
        path = os.pathsep.join(part for part in base["PATH"].split(os.pathsep) if Path(part) != BIN)
        secret = ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN")
        return {name: value for name, value in base.items() if name not in {*secret, *_LEFT_OUT}} | {"PATH": path}

    def _assume_role(self, inputs: Mapping[str, str]) -> StandIn:
        """Do what the action of AWS does, but for the token, which nothing here can check."""
        self.assumed.append(inputs)
        assert inputs["aws-region"] == self.cloud["AWS_REGION"]
        answer = self.live.client("sts").assume_role(
            RoleArn=inputs["role-to-assume"], RoleSessionName=inputs["role-session-name"]
        )
        keys = answer["Credentials"]
        return StandIn(
            variables={
                "AWS_ACCESS_KEY_ID": keys["AccessKeyId"],
                "AWS_SECRET_ACCESS_KEY": keys["SecretAccessKey"],
                "AWS_SESSION_TOKEN": keys["SessionToken"],
            }
        )

    def push(self, behaviour: Mapping[str, Any] = HEALTHY) -> tuple[str, str, str]:
        """Push the next version; return its name, its image reference and its digest."""
        version = self.live.next_version()
        self.live._version_count += 1
        digest = self.live.push(version, dict(behaviour))
        image = f"123456789012.dkr.ecr.{self.cloud['AWS_REGION']}.amazonaws.com/{self.live.repository}:{version}"
        return version, image, digest

    def make_only_good(self) -> Release:
        """Ship a release, and make it the only promoted one: each test begins with a service of its own."""
        before = self.live.promoted()
        release = self.live.promote(self.live.release().version)
        for old in before:
            self._quarantine(old)
        return release

    def _quarantine(self, release: Release) -> None:
        from rollback.domain.operator import Operator  # noqa: PLC0415
        from rollback.operations.quarantine import quarantine  # noqa: PLC0415

        operator = Operator(name="a test", reason="the next test has a service of its own")
        quarantine(self.live.service.name, f"{release.version}@{release.fingerprint[:8]}", operator, self.live.ports)


def _job_python(inputs: Mapping[str, str]) -> StandIn:
    """Name this Python, as setup-python does; it must leave the job's own Python alone."""
    assert inputs["update-environment"] == "false"
    return StandIn({"python-path": str(BIN / "python")})


@pytest.fixture(scope="module")
def pipeline(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Pipeline]:
    with cloud_process(POLICY, approval=APPROVAL) as variables, pointed_at(variables):
        live = DeployedEnvironment()
        live.promote(live.release().version)
        wait_for(lambda: set(live.alarm_states().values()) == {"OK"})
        yield Pipeline(live, variables, tmp_path_factory.mktemp("runner"))


def test_a_good_image_is_checked_deployed_and_verified(pipeline: Pipeline) -> None:
    pipeline.make_only_good()
    version, image, digest = pipeline.push()

    job = pipeline.run("deploy", environment="production", image=image, version=version)

    assert job.conclusion == "success", job.log
    assert job.environment == "production"
    assert pipeline.live.running_digests() == {digest}
    assert job.outputs == {"rollback-id": "", "outcome": ""}
    assert f"## {version} in production" in job.summary
    assert "| verify | success |" in job.summary
    assert "| checkpoint | skipped |" in job.summary
    assert pipeline.assumed[-1]["role-session-name"] == "alice"


def test_a_bad_image_is_rolled_back_and_the_job_is_red(pipeline: Pipeline) -> None:
    good = pipeline.make_only_good()
    version, image, digest = pipeline.push(BROKEN)

    job = pipeline.run("deploy", environment="production", image=image, version=version)

    assert job.conclusion == "failure"
    assert job.step("Deploy").outcome == "success", job.log
    assert job.step("Verify").outcome == "failure", job.log
    assert job.outputs["outcome"] == "succeeded", job.log
    rollback = pipeline.live.ports.ledger.read(pipeline.live.service.name, job.outputs["rollback-id"])
    assert (rollback.trigger, rollback.outcome) == (Trigger.HEALTH_CHECK, Outcome.SUCCEEDED)
    assert rollback.request.requested_by == "alice (GitHub Actions run 1)"
    assert digest not in pipeline.live.running_digests()
    assert set(pipeline.live.running_digests()) == {good.images[pipeline.live.service.container].rpartition("@")[2]}
    assert "| verify | failure |" in job.summary
    assert rollback.id in job.summary

    again = pipeline.run("deploy", environment="production", image=image, version=version)
    assert again.conclusion == "failure"
    assert again.step("Check that the image").outcome == "failure", again.log
    assert again.step("Deploy").outcome == "skipped"
    assert "| check-deploy | failure |" in again.summary


def test_a_dry_run_shows_the_plan_and_changes_nothing(pipeline: Pipeline) -> None:
    good = pipeline.make_only_good()
    pipeline.live.release()
    before = pipeline.live.state_summary()

    job = pipeline.run("rollback", environment="production", reason="is v1 still ready?")

    assert job.conclusion == "success", job.log
    assert job.outputs["outcome"] == "planned"
    assert good.version in job.summary
    assert "is v1 still ready?" in job.summary
    assert pipeline.live.state_summary() == before


def test_a_person_rolls_back_by_hand(pipeline: Pipeline) -> None:
    good = pipeline.make_only_good()
    pipeline.live.release()

    job = pipeline.run("rollback", environment="production", dry_run=False, reason='orders fail; say `why`"$(id)')

    assert job.conclusion == "success", job.log
    rollback = pipeline.live.ports.ledger.read(pipeline.live.service.name, job.outputs["rollback-id"])
    assert rollback.outcome is Outcome.SUCCEEDED
    assert rollback.request.reason == 'orders fail; say `why`"$(id)'
    assert pipeline.live.running_digests() == {good.images[pipeline.live.service.container].rpartition("@")[2]}


def test_a_version_that_does_not_exist_is_said_in_the_summary_and_changes_nothing(pipeline: Pipeline) -> None:
    pipeline.make_only_good()
    before = pipeline.live.state_summary()

    job = pipeline.run("rollback", environment="production", version="v0.0.0-none", dry_run=False, reason="a typo")

    assert job.conclusion == "failure"
    assert job.step("Write the summary").outcome == "success", job.log
    assert "v0.0.0-none" in job.summary
    assert pipeline.live.state_summary() == before


def test_another_person_approves_and_the_requester_may_not(pipeline: Pipeline) -> None:
    """Roles of start and decision differ; so the name of the session tells that it is one person."""
    pipeline.make_only_good()
    pipeline.live.release()
    seen = {rollback.id for rollback in pipeline.live.history()}
    with ThreadPoolExecutor(1) as started:
        request = {"environment": "production", "dry_run": False, "force": True, "reason": "orders fail"}
        waiting = started.submit(pipeline.run, "rollback", "alice", "second", **request)
        gate = pipeline.live.wait_for_rollback(lambda r: r.id not in seen and r.is_at_gate)
        decision = {"environment": "production", "rollback_id": gate.id, "decision": "approve", "reason": "I agree"}
        own = pipeline.run("approve", "Alice", **decision)
        other = pipeline.run("approve", "bob", **decision)
        job = waiting.result(timeout=300)

    assert own.environment == "production-approval"
    assert own.conclusion == "failure", own.log
    assert "approval.four_eyes demands that another person decides" in own.log
    assert other.conclusion == "success", other.log
    assert gate.id in other.summary
    assert job.outputs == {"rollback-id": gate.id, "outcome": "succeeded"}, job.log


def test_a_drill_succeeds_and_is_reported(pipeline: Pipeline) -> None:
    pipeline.make_only_good()
    pipeline.live.promote(pipeline.live.release().version)
    pipeline.live.wait_for_target()
    time.sleep(2 * WINDOW_MINUTES * 60)  # a drill restarts a release that is older than the window

    job = pipeline.run("drill", environment="production")

    assert job.conclusion == "success", job.log
    assert job.outputs["outcome"] == "succeeded"
    assert job.outputs["rollback-id"] in job.summary


def test_the_action_leaves_the_jobs_python_alone(pipeline: Pipeline) -> None:
    pipeline.run("rollback", environment="production", reason="to install the command")
    links = sorted(path.name for path in (pipeline.folder / "first" / "rollback-bin").iterdir())
    assert links == ["rollback", "rollback-deploy-image"]
    assert boto3.Session().get_credentials() is not None  # those of this process, which no job sees
    assert "AWS_ACCESS_KEY_ID" not in pipeline._machine()
