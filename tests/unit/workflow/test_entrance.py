"""Entrance of an execution: an outage and an operator's emergency begin at Emergency, all other inputs at Admit."""

import pytest
from worlds import DEGRADED, OUTAGE

from rollback.workflow.route import ENTRANCES, Step, entrance


@pytest.mark.parametrize(
    ("given", "step"),
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
    given: object, step: Step
) -> None:
    assert entrance(given) is step
    assert step in ENTRANCES
