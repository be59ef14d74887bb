"""Entrance of an execution: an outage and an operator's emergency begin at Emergency, all other inputs at Admit."""

from typing import Any

import pytest
from simulations.fake_ports import DEGRADED, OUTAGE
from support.builders import NOW, SERVICE, release, rollback

from rollback.domain.plan import Plan
from rollback.domain.request import Request, RollbackType
from rollback.workflow.route import ENTRANCES, Step, entrance, next_step

PLAN = Plan(running=release("v2"), target=release("v1"), checks=())


@pytest.mark.parametrize(
    ("execution_input", "step"),
    [
        ({"detail": {"alarmName": OUTAGE}}, Step.EMERGENCY),
        ({"type": "emergency"}, Step.EMERGENCY),
        ({"type": "emergency", "detail": {"alarmName": DEGRADED}}, Step.EMERGENCY),
        ({"type": "full", "detail": {"alarmName": OUTAGE}}, Step.EMERGENCY),
        ({"detail": {"alarmName": DEGRADED}}, Step.ADMIT),
        ({"detail": {"alarmName": f"{OUTAGE}-2"}}, Step.ADMIT),
        ({"detail": {"alarmName": 3}}, Step.ADMIT),
        ({"detail": {"alarm": OUTAGE}}, Step.ADMIT),
        ({"detail": OUTAGE}, Step.ADMIT),
        ({"type": "full"}, Step.ADMIT),
        ({}, Step.ADMIT),
        (None, Step.ADMIT),
        ("emergency", Step.ADMIT),
        ([OUTAGE], Step.ADMIT),
    ],
)
def test_an_outage_alarm_or_an_operator_s_emergency_begins_at_emergency_and_any_other_input_at_admit(
    execution_input: object, step: Step
) -> None:
    assert entrance(execution_input) is step
    assert step in ENTRANCES


@pytest.mark.parametrize(
    ("changes", "step"),
    [
        ({}, Step.EMERGENCY),
        ({"admitted_at": NOW}, Step.EMERGENCY),
        ({"plan": PLAN}, Step.EMERGENCY),
        ({"admitted_at": NOW, "plan": PLAN}, Step.SERVICE),
    ],
)
def test_an_emergency_that_crashed_before_its_admission_or_its_plan_was_saved_stays_at_emergency(
    changes: dict[str, Any], step: Step
) -> None:
    assert next_step(rollback(request=Request(service=SERVICE, type=RollbackType.EMERGENCY), **changes)) is step
