"""Our rules' patterns, as CloudFormation filled them in, on AWS's own sample events, by matchers that are not ours."""

import json
from typing import Any

import pytest
from referee.emulator import ask
from referee.live import Live
from referee.sample_events import SAMPLES, SERVICE_ACTION_FAILED

# event-ruler 0.3.0 stops with an error at `alarmTags`; MiniStack reads it.
UNREADABLE = {"a composite with tags goes red"}


@pytest.fixture(scope="module")
def patterns(live: Live) -> dict[str, Any]:
    """The event patterns of all deployed rules, by name."""
    rules = live.emulator.client("events").list_rules()["Rules"]
    return {rule["Name"]: json.loads(rule["EventPattern"]) for rule in rules if "EventPattern" in rule}


def test_every_rule_has_an_event_that_is_meant_for_it(patterns: dict[str, Any]) -> None:
    meant = {rule for sample in SAMPLES.values() for rule in sample.rules}
    assert not meant - set(patterns)
    untried = set(patterns) - meant
    assert not {rule for rule in untried if "SERVICE_DEPLOYMENT_FAILED" not in json.dumps(patterns[rule])}


def test_event_ruler_matches_what_is_meant(patterns: dict[str, Any]) -> None:
    question = {"patterns": patterns, "events": [sample.event for sample in SAMPLES.values()]}
    matched = ask("patterns", question)
    if matched is None:
        pytest.skip("event-ruler has wheels for CPython 3.11 on x86_64 and macOS only")
    answers = dict(zip(SAMPLES, matched, strict=True))
    assert {name for name, rules in answers.items() if rules is None} == UNREADABLE
    meant = {name: sorted(sample.rules) for name, sample in SAMPLES.items() if name not in UNREADABLE}
    assert {name: rules for name, rules in answers.items() if rules is not None} == meant


def test_ministack_matches_what_is_meant(live: Live, patterns: dict[str, Any]) -> None:
    events = live.emulator.client("events")

    def matches(pattern: Any, event: Any) -> bool:
        answer = events.test_event_pattern(EventPattern=json.dumps(pattern), Event=json.dumps(event))
        return bool(answer["Result"])

    matched = {name: {r for r, p in patterns.items() if matches(p, sample.event)} for name, sample in SAMPLES.items()}
    assert matched == {name: set(sample.rules) for name, sample in SAMPLES.items()}


def test_a_failed_deployment_without_a_circuit_breaker_matches_one_rule_at_most(patterns: dict[str, Any]) -> None:
    matched = ask("patterns", {"patterns": patterns, "events": [SERVICE_ACTION_FAILED]})
    assert matched is None or len(matched[0]) <= 1
