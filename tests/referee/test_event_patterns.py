"""Event patterns of our rules, as CloudFormation resolved them, on AWS's sample events, by matchers of others."""

import json
from typing import Any

import pytest
from referee.emulator import ask
from referee.live import SERVICE, Live
from referee.sample_events import SAMPLES, SERVICE_ACTION_FAILED, TASK_SAMPLES

# event-ruler 0.3.0 stops with an error at `alarmTags`; MiniStack reads it.
UNREADABLE = {"a composite with tags turns to ALARM"}


@pytest.fixture(scope="module")
def patterns(live: Live) -> dict[str, Any]:
    """Event patterns of all deployed rules by name."""
    rules = live.emulator.client("events").list_rules()["Rules"]
    return {rule["Name"]: json.loads(rule["EventPattern"]) for rule in rules if "EventPattern" in rule}


def test_every_rule_has_a_sample_event(patterns: dict[str, Any]) -> None:
    expected = {rule for sample in SAMPLES.values() for rule in sample.rules}
    assert not expected - set(patterns)
    untried = set(patterns) - expected
    assert not {rule for rule in untried if "SERVICE_DEPLOYMENT_FAILED" not in json.dumps(patterns[rule])}


def test_event_ruler_matches_the_expected_rules(patterns: dict[str, Any]) -> None:
    question = {"patterns": patterns, "events": [sample.event for sample in SAMPLES.values()]}
    matched = ask("patterns", question)
    if matched is None:
        pytest.skip("event-ruler has wheels for CPython 3.11 on x86_64 and macOS only")
    answers = dict(zip(SAMPLES, matched, strict=True))
    assert {name for name, rules in answers.items() if rules is None} == UNREADABLE
    expected = {name: sorted(sample.rules) for name, sample in SAMPLES.items() if name not in UNREADABLE}
    assert {name: rules for name, rules in answers.items() if rules is not None} == expected


def test_ministack_matches_the_expected_rules(live: Live, patterns: dict[str, Any]) -> None:
    events = live.emulator.client("events")

    def matches(pattern: Any, event: Any) -> bool:
        answer = events.test_event_pattern(EventPattern=json.dumps(pattern), Event=json.dumps(event))
        return bool(answer["Result"])

    matched = {name: {r for r, p in patterns.items() if matches(p, sample.event)} for name, sample in SAMPLES.items()}
    assert matched == {name: set(sample.rules) for name, sample in SAMPLES.items()}


def test_a_failed_deployment_without_a_circuit_breaker_matches_one_rule_at_most(patterns: dict[str, Any]) -> None:
    matched = ask("patterns", {"patterns": patterns, "events": [SERVICE_ACTION_FAILED]})
    assert matched is None or len(matched[0]) <= 1


def test_event_ruler_compares_name_and_exit_code_of_the_same_container() -> None:
    """The rule on failed tasks relies on this; event-ruler 0.3.0 can't read the rule's own `$or` and `anything-but`."""
    event, _ = TASK_SAMPLES["a task fails, and its sidecar ends with success"]
    patterns = {
        f"{name} {code}": {"detail": {"containers": {"name": [name], "exitCode": [code]}}}
        for name in (SERVICE, "proxy")
        for code in (0, 2)
    }
    matched = ask("patterns", {"patterns": patterns, "events": [event]})
    if matched is None:
        pytest.skip("event-ruler has wheels for CPython 3.11 on x86_64 and macOS only")
    assert matched == [sorted([f"{SERVICE} 2", "proxy 0"])]
