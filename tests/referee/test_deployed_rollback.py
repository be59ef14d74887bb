"""A release, its promotion, and a rollback by its own alarm, on an emulator that shares no code with ours."""

import json
from dataclasses import dataclass
from typing import Any

import pytest
from referee.live import PREFIX, SERVICE, Live, wait_for

from local_cloud.iam.policies import allows

# What the story makes each function do, at least: a journal that misses it has recorded nothing.
EXPECTED = {
    ("service", "ecs:UpdateService"),
    ("decide", "dynamodb:PutItem"),
    ("report", "sns:Publish"),
    ("promote", "ecs:RegisterTaskDefinition"),
}


def is_role_of(function: str, role: str) -> bool:
    return f"Functions{function.title()}Role" in role


def without_conditions(documents: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """The journal does not have the keys that a call had."""
    return [
        {**document, "Statement": [{k: v for k, v in s.items() if k != "Condition"} for s in document["Statement"]]}
        for document in documents
    ]


@dataclass(frozen=True)
class Story:
    """What was seen of a release, its promotion, and the rollback of the next one."""

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
def story(live: Live) -> Story:
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
    return Story(
        promoted, promotion, bad, alarms, rollback, len(live.executions("rollback")), live.running(), live.image(),
        frozenset((d.role, d.action, d.resource, d.allowed) for d in live.emulator.decisions()),
        tuple(live.emulator.unknown_calls()),
    )  # fmt: skip


def test_a_release_that_baked_is_promoted_by_its_own_deployment(live: Live, story: Story) -> None:
    assert story.promotion["status"] == "SUCCEEDED", live.execution(story.promotion)["cause"]
    states = {release["version"]: release["state"] for release in live.ledger("RELEASE#")}
    assert states.get("v1") == "promoted", states


def test_a_leaf_alarm_makes_its_composite_red_and_the_composite_starts_one_rollback(live: Live, story: Story) -> None:
    assert story.alarms == {"degraded": "ALARM", "outage": "OK"}
    assert story.rollback["status"] == "SUCCEEDED"
    assert story.executions == 1
    given = json.loads(live.execution(story.rollback)["input"])
    assert given["detail"]["alarmName"] == f"{PREFIX}-{SERVICE}-degraded"


def test_ecs_runs_the_promoted_release_again(live: Live, story: Story) -> None:
    definition, tasks = story.running
    assert definition.startswith(f"{PREFIX}-task-last-known-good-production-express-api:")
    assert tasks == 2
    assert story.image.endswith(f"@{live.digests['v1']}"), story.image


def test_the_ledger_and_the_command_line_tell_a_success(live: Live, story: Story) -> None:
    said = live.command("history", "production")
    assert said.returncode == 0, said.stdout
    assert "succe" in said.stdout, said.stdout
    assert [rollback["outcome"] for rollback in live.ledger("ROLLBACK#")] == ["succeeded"]


def test_no_call_of_a_role_was_denied(story: Story) -> None:
    denied = {(role, action, resource) for role, action, resource, is_allowed in story.decisions if not is_allowed}
    assert not denied
    made = {(role, action) for role, action, _, _ in story.decisions}
    missing = {
        (function, expected)
        for function, expected in EXPECTED
        if not any(is_role_of(function, role) and action == expected for role, action in made)
    }
    assert not missing, sorted(made)


def test_our_own_evaluator_allows_what_the_other_one_allowed(live: Live, story: Story) -> None:
    policies = live.policies()
    made = {(role, action, on) for role, action, on, is_allowed in story.decisions if is_allowed and role in policies}
    assert len(made) > 50
    wrong = [call for call in made if not allows(without_conditions(policies[call[0]]), call[1], call[2], {})]
    assert not wrong


def test_every_call_is_known_to_the_emulator(story: Story) -> None:
    assert not story.unknown_calls


def test_a_permission_that_is_missing_ends_a_rollback_at_once_and_is_named(live: Live, story: Story) -> None:
    """The judge is judged: a grant that the templates lack must show here."""
    bad = live.release("v3")
    wait_for(lambda: live.running() == (bad, 2) or None, "v3 runs")
    live.wait_until_baked(2)
    live.pages()

    with live.without("ecs:UpdateService") as roles:
        assert any(is_role_of("service", role) for role in roles)
        live.emulator.forget()
        live.start("a permission is missing")
        page = wait_for(lambda: next((page for page in live.pages() if "failed" in page), None), "a page")

    denied = [decision for decision in live.emulator.decisions() if not decision.allowed]
    assert {decision.action for decision in denied} == {"ecs:UpdateService"}
    assert all(is_role_of("service", decision.role) for decision in denied)
    assert len(denied) == 1, denied
    assert live.running() == (bad, 2)
    assert "AWS refused ecs:UpdateService" in page, page
