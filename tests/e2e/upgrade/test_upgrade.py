"""Deployment of today's version over the previous release, and back, while rollbacks are open.

Each test begins on the previous release with a bad release of the service, so that none depends on another.
"""

import json
from collections.abc import Iterator
from typing import Any

import pytest
from e2e.live import wait_for
from e2e.processes import ROLLBACK, run
from e2e.upgrade.conftest import Deploy, PreviousEnvironment

from local_cloud.listing import list_all
from rollback.domain.obligation import ObligationKind
from rollback.domain.operator import Operator
from rollback.domain.releases.release import Release
from rollback.domain.rollback import Outcome, Rollback
from rollback.operations.pause_abort_unlock import resume
from rollback.workflow.route import Step, next_step

pytestmark = pytest.mark.e2e

TRUST = {
    "Version": "2012-10-17",
    "Statement": [{"Effect": "Allow", "Principal": {"AWS": "*"}, "Action": "sts:AssumeRole"}],
}
ALLOW_ALL = {"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Action": "*", "Resource": "*"}]}
FORCED = {"type": "service", "force": True, "reason": "the newest release is bad", "requested_by": "ada"}


@pytest.fixture
def good(live: PreviousEnvironment, deploy: Deploy) -> Iterator[Release]:
    """The promoted release, on the previous version of this product; a bad release runs. Afterwards nothing is open."""
    deploy("previous")
    (promoted,) = live.promoted()
    if _runs(live, promoted):
        live.release()
    yield promoted
    assert all(one.concluded_at is not None for one in live.history())
    assert live.ports.ledger.lease(live.service.name) is None


@pytest.fixture(scope="module")
def approver(live: PreviousEnvironment, cloud: dict[str, str]) -> dict[str, str]:
    """Environment variables of a person on call, who may decide."""
    iam, sts = live.client("iam"), live.client("sts")
    role = iam.create_role(RoleName="on-call", AssumeRolePolicyDocument=json.dumps(TRUST))["Role"]["Arn"]
    iam.put_role_policy(RoleName="on-call", PolicyName="all", PolicyDocument=json.dumps(ALLOW_ALL))
    keys = sts.assume_role(RoleArn=role, RoleSessionName="ben")["Credentials"]
    return {
        **cloud,
        "AWS_ACCESS_KEY_ID": keys["AccessKeyId"],
        "AWS_SECRET_ACCESS_KEY": keys["SecretAccessKey"],
        "AWS_SESSION_TOKEN": keys["SessionToken"],
    }


def _runs(live: PreviousEnvironment, release: Release) -> bool:
    return live.running_digests() == {release.images[live.service.container].rpartition("@")[2]}


def _code(live: PreviousEnvironment) -> dict[str, str]:
    """Map each function's ARN to the digest of its code."""
    listed = list_all(live.client("lambda"), "list_functions", "Functions")
    return {one["FunctionArn"]: one["CodeSha256"] for one in listed}


def _definition(live: PreviousEnvironment, execution: str | None = None) -> dict[str, Any]:
    """Return the definition of the state machine, or of one of its executions."""
    states = live.client("stepfunctions")
    if execution is None:
        answer = states.describe_state_machine(stateMachineArn=live.deployed.workflow_arn)
    else:
        answer = states.describe_state_machine_for_execution(executionArn=execution)
    definition: dict[str, Any] = json.loads(answer["definition"])
    return definition


def _tokens(live: PreviousEnvironment, rollback: Rollback) -> list[dict[str, Any]]:
    """Items with a task token of a rollback."""
    items = list_all(live.client("dynamodb"), "scan", "Items", TableName=live.deployed.ledger_table)
    key = f"APPROVAL#{rollback.id}"
    return [item for item in items if item["pk"]["S"] == key and item["sk"]["S"].startswith("TOKEN#")]


def _wait_at_gate(live: PreviousEnvironment) -> Rollback:
    """Start a rollback that needs an approval, and return it once its execution waits under a task token."""
    execution = live.start(FORCED)
    waiting = live.wait_for_rollback(lambda one: one.execution == execution and one.is_at_gate)
    wait_for(lambda: _tokens(live, waiting) or None)
    return waiting


def _assert_succeeded(live: PreviousEnvironment, rollback: Rollback, good: Release) -> None:
    ended = live.wait_until_concluded(lambda one: one.id == rollback.id)
    assert ended.outcome is Outcome.SUCCEEDED, ended.reason
    assert (ended.obligations != (), ended.open_obligations()) == (True, ())
    assert live.wait_until_ended(ended.execution)["status"] == "SUCCEEDED"
    assert _runs(live, good)


def test_a_rollback_in_the_middle_of_an_upgrade_succeeds_and_owes_nothing(
    live: PreviousEnvironment, cloud: dict[str, str], deploy: Deploy, good: Release
) -> None:
    code, definition = _code(live), _definition(live)
    live.turn_alarm("ALARM")  # the verification waits until the alarm is OK
    halfway = live.wait_for_rollback(lambda one: one.outcome is None and next_step(one) is Step.VERIFY)
    assert [one.kind for one in halfway.open_obligations()] == [ObligationKind.DEPLOYMENT_CONFIGURATION]

    deploy("today")

    assert live.ports.ledger.read(halfway.service_name, halfway.id).outcome is None
    upgraded = _code(live)
    assert (upgraded.keys(), set(upgraded.values()) & set(code.values())) == (code.keys(), set())
    assert _definition(live, halfway.execution) == definition
    live.turn_alarm("OK")
    _assert_succeeded(live, halfway, good)
    assert live.describe_service()["deploymentConfiguration"]["deploymentCircuitBreaker"]["rollback"] is True
    shown = run([ROLLBACK, "show", "production", halfway.id], cloud)
    assert (shown.returncode, f"Rollback {halfway.id}: succeeded" in shown.stdout) == (0, True), shown.stdout


def test_an_approval_that_is_pending_during_an_upgrade_can_be_given_and_wakes_its_execution(
    live: PreviousEnvironment, approver: dict[str, str], deploy: Deploy, good: Release
) -> None:
    waiting = _wait_at_gate(live)

    deploy("today")

    decided = run([ROLLBACK, "approve", "production", waiting.id, "--reason", "the plan is right"], approver)
    assert decided.returncode == 0, decided.stdout
    _assert_succeeded(live, waiting, good)
    assert _tokens(live, waiting) == []


def test_a_rollback_of_todays_version_ends_well_under_the_previous_release(
    live: PreviousEnvironment, approver: dict[str, str], deploy: Deploy, good: Release
) -> None:
    deploy("today")
    waiting = _wait_at_gate(live)

    deploy("previous")

    decided = run([ROLLBACK, "approve", "production", waiting.id, "--reason", "the plan is right"], approver)
    assert decided.returncode == 0, decided.stdout
    _assert_succeeded(live, waiting, good)
    assert _tokens(live, waiting) == []


def test_records_of_the_previous_release_hold_after_an_upgrade(
    live: PreviousEnvironment, cloud: dict[str, str], deploy: Deploy, good: Release
) -> None:
    service, ledger = live.service.name, live.ports.ledger
    plan = wait_for(lambda: ledger.standing_plan(service))  # the previous release's function writes it
    live.run_previous(
        "from rollback.domain.operator import Operator\n"
        "from rollback.operations.pause_abort_unlock import pause\n"
        f"pause({service!r}, Operator(name='ada', reason='a change of the network'), ports)"
    )
    releases, counter = live.releases(), ledger.lease_counter(service)

    deploy("today")

    assert live.releases() == releases
    assert ledger.lease_counter(service) == counter
    status = run([ROLLBACK, "status", "production"], cloud)
    assert (status.returncode, "a change of the network" in status.stdout) == (0, True), status.stdout
    replaced = wait_for(lambda: one if (one := ledger.standing_plan(service)) != plan else None)
    assert replaced.computed_at > plan.computed_at
    live.start(FORCED | {"dry_run": True})
    planned = live.wait_until_concluded(lambda one: one.request.dry_run)
    assert (planned.outcome, planned.plan is not None) == (Outcome.PLANNED, True), planned.reason
    assert planned.plan is not None
    assert planned.plan.target == good
    resume(service, Operator(name="ada", reason="done"), live.ports)
