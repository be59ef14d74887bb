"""The input of a drill, and the settings of drills."""

import pytest
from pydantic import ValidationError
from support.builders import SERVICE

from rollback.domain.request import RollbackType, parse_request
from rollback.domain.settings.drills import DrillSettings
from rollback.errors import InvalidRequest


@pytest.mark.parametrize("scenario", ["service", "emergency", "database"])
def test_a_drill_has_the_type_that_it_rehearses(scenario: str) -> None:
    request = parse_request({"type": scenario, "drill": True}, (SERVICE,))
    assert (request.drill, request.type) == (True, RollbackType(scenario))


def test_a_request_without_drill_is_no_drill() -> None:
    assert not parse_request({}, (SERVICE,)).drill


@pytest.mark.parametrize(
    ("fields", "reason"),
    [
        ({"type": "full"}, "no type full"),
        ({"target_version": "v1"}, "leave target_version out"),
        ({"force": True}, "leave force out"),
        ({"dry_run": True}, "leave dry_run out"),
        ({"type": "database", "strategy": "reset"}, "leave strategy out"),
        ({"type": "database", "pr": 42}, "leave pr out"),
        ({"type": "database", "undo": "a", "force": True}, "leave undo, force out"),
    ],
)
def test_a_drill_takes_no_choice_that_an_alarm_does_not_make(fields: dict[str, object], reason: str) -> None:
    with pytest.raises(InvalidRequest, match=reason):
        parse_request({**fields, "drill": True}, (SERVICE,))


def test_the_word_yes_is_no_drill() -> None:
    with pytest.raises(InvalidRequest, match="drill is 'yes'; valid values: true, false"):
        parse_request({"drill": "yes"}, (SERVICE,))


@pytest.mark.parametrize("schedule", ["cron(0 10 ? * TUE *)", "rate(7 days)", "rate(1 hour)"])
def test_a_schedule_repeats(schedule: str) -> None:
    assert DrillSettings(schedule=schedule).schedule == schedule


@pytest.mark.parametrize("schedule", ["at(2026-03-01T10:00:00)", "every day", "rate(0 days)", "0 10 * * *", ""])
def test_another_text_is_no_schedule(schedule: str) -> None:
    with pytest.raises(ValidationError):
        DrillSettings(schedule=schedule)


@pytest.mark.parametrize(
    ("environment", "allow", "is_forbidden"),
    [
        ("production", False, True),
        ("Production", False, True),
        ("prod", False, True),
        ("production", True, False),
        ("staging", False, False),
    ],
)
def test_production_needs_a_permission(environment: str, allow: bool, is_forbidden: bool) -> None:
    settings = DrillSettings(allow_production_drills=allow)
    assert (settings.why_forbidden_in(environment) is not None) is is_forbidden
