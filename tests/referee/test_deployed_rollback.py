"""Release, promotion and rollback by an alarm, on an emulator that shares no code with ours."""

import json
from dataclasses import dataclass
from typing import Any

import pytest
from referee.live import PREFIX, SERVICE, Live, wait_for

from local_cloud.iam.policies import allows

# Calls that the functions make in this scenario: without them the journal has recorded nothing.
EXPECTED = {
    ("service", "ecs:UpdateService"),
    ("decide", "dynamodb:PutItem"),
    ("report", "sns:Publish"),
    ("promote", "ecs:RegisterTaskDefinition"),
}


def is_role_of(function: str, role: str) -> bool:
    return f"Functions{function.title()}Role" in role


def without_conditions(documents: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Remove the conditions: the journal doesn't have the condition keys of a call."""
    return [
        {**document, "Statement": [{k: v for k, v in s.items() if k != "Condition"} for s in document["Statement"]]}
        for document in documents
    ]


@dataclass(frozen=True)
class Observations:
    """Observations of a release, its promotion, and the rollback of the next release."""

    promoted: str
    promotion: dict[str, Any]
    bad: str
    alarms: dict[str, str]
    rollback: dict[str, Any]
    executions: int
    running: tuple[str, int]
    image: str
    decisions: frozenset[tuple[str, str, str, bool]]
    unknown_calls: tuple[str, ...]


@pytest.fixture(scope="module")
def observations(live: Live) -> Observations:
    live.register_targets()
    live.emulator.forget()
    promoted = live.release("v1")
    promotion = live.wait_until_baked(1)
    bad = live.release("v2")
    wait_for(lambda: live.running() == (bad, 2) or None, "v2 runs")
    live.set_alarm("unhealthy-targets", "ALARM")
    alarms = {name: live.alarm(name) for name in ("degraded", "outage")}
    wait_for(lambda: live.running()[0] != bad or live.is_over("rollback") or None, "the service is moved")
    live.set_alarm("unhealthy-targets", "OK")
    rollback = live.wait_until_ended("rollback", 1)
    return Observations(
        promoted, promotion, bad, alarms, rollback, len(live.executions("rollback")), live.running(), live.image(),
        frozenset((d.role, d.action, d.resource, d.allowed) for d in live.emulator.decisions()),
        tuple(live.emulator.unknown_calls()),
    )  # fmt: skip


def test_a_release_that_baked_is_promoted_by_its_own_deployment(live: Live, observations: Observations) -> None:
    assert observations.promotion["status"] == "SUCCEEDED", live.execution(observations.promotion)["cause"]
    states = {release["version"]: release["state"] for release in live.ledger("RELEASE#")}
    assert states.get("v1") == "promoted", states


def test_a_leaf_alarm_turns_its_composite_to_alarm_and_the_composite_starts_one_rollback(
    live: Live, observations: Observations
) -> None:
    assert observations.alarms == {"degraded": "ALARM", "outage": "OK"}
    assert observations.rollback["status"] == "SUCCEEDED"
    assert observations.executions == 1
    execution_input = json.loads(live.execution(observations.rollback)["input"])
    assert execution_input["detail"]["alarmName"] == f"{PREFIX}-{SERVICE}-degraded"


def test_ecs_runs_the_promoted_release_again(live: Live, observations: Observations) -> None:
    definition, tasks = observations.running
    assert definition.startswith(f"{PREFIX}-task-last-known-good-production-express-api:")
    assert tasks == 2
    assert observations.image.endswith(f"@{live.digests['v1']}"), observations.image


def test_the_ledger_and_the_command_line_show_a_success(live: Live, observations: Observations) -> None:
    process = live.command("history", "production")
    assert process.returncode == 0, process.stdout
    assert "succe" in process.stdout, process.stdout
    assert [rollback["outcome"] for rollback in live.ledger("ROLLBACK#")] == ["succeeded"]


# MiniStack knows no condition key `events:source`, so it denies what is granted under it. `tests/constructs` holds the
# grant, and the embedded cloud's IAM evaluates the condition.
UNJUDGED = {"events:PutEvents"}


def test_no_call_of_a_role_was_denied(observations: Observations) -> None:
    denied_calls = {
        (role, action, resource)
        for role, action, resource, is_allowed in observations.decisions
        if not is_allowed and action not in UNJUDGED
    }
    assert not denied_calls
    calls = {(role, action) for role, action, _, _ in observations.decisions}
    unknown_calls = {
        (function, expected)
        for function, expected in EXPECTED
        if not any(is_role_of(function, role) and action == expected for role, action in calls)
    }
    assert not unknown_calls, sorted(calls)


def test_our_evaluator_allows_every_call_that_ministack_allowed(live: Live, observations: Observations) -> None:
    policies = live.policies()
    calls = {
        (role, action, on) for role, action, on, is_allowed in observations.decisions if is_allowed and role in policies
    }
    assert len(calls) > 50
    wrong = [call for call in calls if not allows(without_conditions(policies[call[0]]), call[1], call[2], {})]
    assert not wrong


def test_the_emulator_knows_every_call(observations: Observations) -> None:
    assert not observations.unknown_calls


def test_a_missing_permission_fails_a_rollback_at_once_and_the_page_names_it(
    live: Live, observations: Observations
) -> None:
    """The emulator must notice a permission that the templates lack."""
    bad = live.release("v3")
    wait_for(lambda: live.running() == (bad, 2) or None, "v3 runs")
    live.wait_until_baked(2)
    live.pages()

    with live.without("ecs:UpdateService") as roles:
        assert any(is_role_of("service", role) for role in roles)
        live.emulator.forget()
        live.start("a permission is missing")
        page = wait_for(lambda: next((page for page in live.pages() if "failed" in page), None), "a page")

    denials = [d for d in live.emulator.decisions() if not d.allowed and d.action not in UNJUDGED]
    assert {decision.action for decision in denials} == {"ecs:UpdateService"}
    assert all(is_role_of("service", decision.role) for decision in denials)
    assert len(denials) == 1, denials
    assert live.running() == (bad, 2)
    assert "AWS refused ecs:UpdateService" in page, page
