"""A pipeline's request after failed health checks: parsed strictly, and never more than a manual start may be."""

from typing import Any

import pytest
from simulations.fake_ports import SETTINGS
from support.builders import NOW, SERVICE

from rollback.check import Check
from rollback.domain.health_check import build_input, is_health_check, read_health_check
from rollback.domain.request import RollbackType, Trigger
from rollback.errors import InvalidRequest

DEPLOYMENT = "ecs-svc/1234567890123456789"
FAILED = (Check.failed("endpoint-answers /health", "answered 500, expected 200"),)


def given(**fields: Any) -> dict[str, Any]:
    return {**build_input(SERVICE, DEPLOYMENT, NOW, FAILED, "ci@runner"), **fields}


def test_the_request_is_a_service_rollback_to_the_last_known_good_with_the_checks_as_reason() -> None:
    request, trigger, event = read_health_check(given(), SETTINGS)
    assert is_health_check(given())
    assert (request.type, request.service, request.target_version) == (RollbackType.SERVICE, SERVICE, None)
    assert (request.force, request.dry_run, request.requested_by) == (False, False, "ci@runner")
    assert request.reason == "failed health checks: endpoint-answers /health: answered 500, expected 200"
    assert trigger is Trigger.HEALTH_CHECK
    assert (event.at, event.deployment_id, event.alarm) == (NOW, DEPLOYMENT, None)


def test_two_requests_about_one_deployment_have_one_event_id_whatever_else_they_say() -> None:
    other = given(failed_checks=[{"name": "other", "reason": "other"}], requested_by="another@job")
    assert read_health_check(given(), SETTINGS)[2].id == read_health_check(other, SETTINGS)[2].id


@pytest.mark.parametrize(
    "fields",
    [{"force": True}, {"type": "emergency"}, {"target_version": "v1"}, {"dry_run": True}, {"id": "mine"}, {"to": "x"}],
    ids=lambda fields: next(iter(fields)),
)
def test_a_field_of_a_manual_start_is_refused(fields: dict[str, Any]) -> None:
    with pytest.raises(InvalidRequest, match="is not allowed in a start by a health check"):
        read_health_check(given(**fields), SETTINGS)


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("deployment", "arn:aws:ecs:x"),
        ("deployment", "ecs-svc/"),
        ("deployment", None),
        ("at", "yesterday"),
        ("at", "2026-03-01T03:00:00"),
        ("at", 7),
        ("failed_checks", []),
        ("failed_checks", ["health"]),
        ("failed_checks", [{"name": "health"}]),
        ("failed_checks", [{"name": "a", "reason": "b"}] * 31),
        ("requested_by", ""),
        ("requested_by", "x" * 500),
        ("service", "another"),
    ],
)
def test_a_value_of_another_shape_is_refused_in_one_line(field: str, value: object) -> None:
    with pytest.raises(InvalidRequest, match="nothing was changed") as refusal:
        read_health_check(given(**{field: value}), SETTINGS)
    assert "\n" not in str(refusal.value)


def test_a_name_that_forges_a_second_line_of_a_report_stays_one_line() -> None:
    request, _, _ = read_health_check(given(requested_by="ci\nOutcome: succeeded"), SETTINGS)
    assert "\n" not in request.requested_by
