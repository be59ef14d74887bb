"""The report names each setting that is not restored, its recorded value, and the command that restores it."""

from typing import Any

import pytest
from support.builders import SERVICE, rollback

from rollback.domain.obligation import OPERATOR, Obligation, ObligationKind
from rollback.reports.obligations import format_obligations

FLAGS = {"DynamicScalingInSuspended": True, "DynamicScalingOutSuspended": True, "ScheduledScalingSuspended": False}


def line_about(kind: ObligationKind, recorded: dict[str, Any], handed_to: str | None = None) -> str:
    obligation = Obligation(kind=kind, before=recorded, handed_to=handed_to)
    (line,) = format_obligations(rollback(obligations=(obligation,)))
    return line


@pytest.mark.parametrize(
    ("kind", "recorded", "setting"),
    [
        (ObligationKind.FENCE, {"desired_count": 2}, f"desired count of {SERVICE}, recorded value 2"),
        (ObligationKind.FENCE, {"count": 2}, f'desired count of {SERVICE}, recorded value {{"count": 2}}'),
        (
            ObligationKind.SCALING,
            {"min_capacity": 2, "max_capacity": 6, "suspended": FLAGS},
            f"scalable target of {SERVICE}, recorded value 2 to 6 tasks, suspended: "
            "DynamicScalingInSuspended, DynamicScalingOutSuspended",
        ),
        (
            ObligationKind.SCALING,
            {"suspended": False},
            f'scalable target of {SERVICE}, recorded value {{"suspended": false}}',
        ),
        (
            ObligationKind.DEPLOYMENT_CONFIGURATION,
            {"deploymentCircuitBreaker": {"enable": True, "rollback": True}},
            f"deployment configuration of {SERVICE}, recorded value "
            "deploymentCircuitBreaker (enable true, rollback true)",
        ),
        (
            ObligationKind.DEPLOYMENT_CONFIGURATION,
            {"alarms": {"alarmNames": ["a"], "enable": True}},
            f'deployment configuration of {SERVICE}, recorded value alarms {{"alarmNames": ["a"], "enable": true}}',
        ),
        (
            ObligationKind.BRANCH_PROTECTION,
            {"branch_id": "br-1", "protected": True},
            "protection of branch br-1, recorded value protected",
        ),
    ],
)
def test_each_kind_of_setting_has_a_description(kind: ObligationKind, recorded: dict[str, Any], setting: str) -> None:
    assert line_about(kind, recorded) == f"To restore: {setting}; another report follows if that fails"


def test_a_setting_handed_to_an_operator_has_a_command() -> None:
    line = line_about(ObligationKind.FENCE, {"desired_count": 2}, OPERATOR)
    command = f"rollback unfence production --service {SERVICE} --reason '…'"
    assert line == f"NOT RESTORED: desired count of {SERVICE}, recorded value 2. Next: {command}"


def test_a_setting_that_another_rollback_restores_names_that_rollback() -> None:
    line = line_about(ObligationKind.FENCE, {"desired_count": 2}, "r2")
    assert line == f"NOT RESTORED: desired count of {SERVICE}, recorded value 2. Rollback r2 restores the value"
