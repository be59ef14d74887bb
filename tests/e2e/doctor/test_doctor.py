"""`rollback doctor` on a deployed environment: healthy, then with one planted fault after another."""

import json
import re
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import boto3
import pytest
from e2e.doctor import plants
from e2e.doctor.plants import Plant
from e2e.live import DeployedEnvironment
from e2e.processes import ROLLBACK, run

from rollback.check import Verdict
from rollback.domain.releases.release import ReleaseState
from rollback_cli.deployed_stack import stack_name
from rollback_cli.doctor.aws_api import BotoApi
from rollback_cli.doctor.diagnose import all_questions, answer, diagnose
from rollback_cli.doctor.examination import Examination
from rollback_cli.doctor.finding import Finding

pytestmark = pytest.mark.e2e

DOCS = Path(__file__).parents[3] / "docs" / "doctor.md"

# Fault → the check that finds it, and a text in what the check saw.
PLANTS: dict[str, tuple[Plant, str, str]] = {
    "service role without UpdateService": (
        plants.without_action("service", "ecs:UpdateService"), "service-may-act", "ecs:UpdateService on arn:aws:ecs:",
    ),
    "promote role without PassRole": (
        plants.without_action("promote", "iam:PassRole"), "promote-may-act", "iam:PassRole on arn:aws:iam::",
    ),
    "state machine may not invoke": (
        plants.state_machine_without_a_function, "workflow-may-run", "lambda:InvokeFunction",
    ),
    "rule disabled": (plants.disabled_rule, "rule-on-deployment-failed", "is DISABLED"),
    "rule without targets": (plants.rule_without_targets, "rule-on-alarm", "has no target workflow"),
    "dead letter": (plants.dead_letter, "dead-letters-are-empty", "has 1 messages"),
    "alarm deleted": (plants.deleted_alarm, "alarms-exist-express-api", "unhealthy-targets does not exist"),
    "alarm on another target group": (
        plants.alarm_on_another_target_group, "alarms-watch-this-service-express-api", "targetgroup/former/",
    ),
    "Container Insights off": (
        plants.container_insights_off, "container-insights-is-on-express-api", "Container Insights is off",
    ),
    "circuit breaker off": (plants.circuit_breaker_off, "circuit-breaker-is-on-express-api", "breaker is off"),
    "lifecycle policy": (
        plants.lifecycle_policy_that_expires_targets, "images-stay-express-api", "is about to expire",
    ),
    "image deleted": (plants.deleted_image, "tasks-could-start-express-api", "not in the registry"),
    "secret being deleted": (plants.secret_being_deleted, "tasks-could-start-express-api", "gone: arn:aws:secrets"),
    "Neon key revoked": (plants.revoked_neon_key, "neon-key-opens-the-project", "does not open the project"),
    "branch not protected": (plants.unprotected_branch, "neon-branch-is-protected", "is not protected"),
    "rollbacks paused": (plants.paused_rollbacks, "rollbacks-are-not-paused-express-api", "are paused"),
}  # fmt: skip


def examination(live: DeployedEnvironment, session: boto3.Session | None = None) -> Examination:
    return Examination(
        stack_name=stack_name(live.deployed.settings.environment),
        deployment=live.deployed,
        ports=live.ports,
        aws=BotoApi(session),
        now=lambda: datetime.now(UTC),
        count_neon_projects=lambda: 1,
    )


def ask(check: str, live: DeployedEnvironment) -> list[Finding]:
    (question,) = [question for question in all_questions(examination(live)) if question.check == check]
    return answer(question)


def objections(findings: list[Finding]) -> list[str]:
    return [f"{finding.check}: {finding.seen}" for finding in findings if finding.verdict is not Verdict.PASS]


def unchanged_by_a_test_event(live: DeployedEnvironment) -> tuple[object, ...]:
    """Return deployments, desired count, lease, states of releases, and pages.

    The janitor meanwhile completes what the ledger knows of a release, such as its schema.
    """
    *service_and_lease, releases = live.state_summary()
    assert isinstance(releases, tuple)
    states = [(release.fingerprint, release.state, release.state_since) for release in releases]
    return *service_and_lease, states, live.pages()


@pytest.fixture
def healthy(deployed: DeployedEnvironment) -> Iterator[DeployedEnvironment]:
    """The environment; the promoted release is its only one, and still is afterwards."""
    yield deployed
    assert [release.state for release in deployed.releases()] == [ReleaseState.PROMOTED]


def test_a_healthy_environment_is_green_with_a_test_event_that_changes_nothing(
    cloud: dict[str, str], healthy: DeployedEnvironment
) -> None:
    before = unchanged_by_a_test_event(healthy)
    process = run([ROLLBACK, "doctor", "production", "--send-test-event", "--output", "json"], cloud)
    assert process.returncode == 0, process.stdout
    report = json.loads(process.stdout)
    bad = [finding for finding in report["findings"] if finding["verdict"] in ("fail", "skipped")]
    assert not bad
    assert {finding["group"] for finding in report["findings"]} == {
        "account", "stack", "permissions", "events", "entrances", "alarms", "service", "targets", "database",
        "notifications", "test-event",
    }  # fmt: skip
    (test_event,) = [finding for finding in report["findings"] if finding["group"] == "test-event"]
    assert "suppressed: test" in test_event["seen"]
    assert unchanged_by_a_test_event(healthy) == before


@pytest.mark.parametrize("fault", PLANTS)
def test_the_doctor_finds_the_fault_and_its_repair(healthy: DeployedEnvironment, fault: str) -> None:
    plant, check, text = PLANTS[fault]
    assert not objections(ask(check, healthy))
    with plant(healthy):
        found = objections(ask(check, healthy))
        assert any(text in line for line in found), found
    assert not objections(ask(check, healthy))


def test_the_documented_policy_is_enough_for_every_look(healthy: DeployedEnvironment) -> None:
    (policy,) = re.findall(r"```json\n(.*?)```", DOCS.read_text(), re.DOTALL)
    iam, role = healthy.client("iam"), "operator-with-the-documented-policy"
    trust = json.dumps({"Version": "2012-10-17", "Statement": []})
    arn = iam.create_role(RoleName=role, AssumeRolePolicyDocument=trust)["Role"]["Arn"]
    iam.put_role_policy(RoleName=role, PolicyName="own", PolicyDocument=policy)
    keys = healthy.client("sts").assume_role(RoleArn=arn, RoleSessionName="doctor")["Credentials"]
    session = boto3.Session(
        keys["AccessKeyId"],
        keys["SecretAccessKey"],
        keys["SessionToken"],
        region_name=healthy.client("iam").meta.region_name,
    )
    with pytest.MonkeyPatch.context() as patched:
        patched.setenv("AWS_ACCESS_KEY_ID", keys["AccessKeyId"])
        patched.setenv("AWS_SECRET_ACCESS_KEY", keys["SecretAccessKey"])
        patched.setenv("AWS_SESSION_TOKEN", keys["SessionToken"])
        looked = replace(examination(healthy, session), ports=healthy.deployed.ports())
        findings = diagnose(looked)
    assert not [f"{f.check}: {f.seen}" for f in findings if f.verdict in (Verdict.FAIL, Verdict.SKIPPED)]


def test_an_environment_without_a_stack_is_said_in_one_finding(
    cloud: dict[str, str], healthy: DeployedEnvironment
) -> None:
    process = run([ROLLBACK, "doctor", "staging"], cloud)
    assert process.returncode == 1
    assert "there is no stack MacroAiStagingRollbackStack" in process.stdout
    assert "cdk deploy MacroAiStagingRollbackStack" in process.stdout
    assert "Traceback" not in process.stdout
