"""Admit is killed before and after each external call, then retried: it must end as if nothing had happened."""

from typing import Any, cast

import pytest
from builders import NOW, SERVICE
from fakes import FakeAlarms, FakeClock, FakeLedger

from faults.crash import Fragile, Killed, Outside
from rollback.model.policy import Policy
from rollback.model.rollback import Outcome, Rollback
from rollback.steps.admit import Admission, admit

PREFIX = "macro-ai-production"
EVENT = {
    "id": "e1",
    "detail-type": "CloudWatch Alarm State Change",
    "time": "2026-03-01T03:00:00Z",
    "resources": [],
    "detail": {
        "alarmName": f"{PREFIX}-{SERVICE}-degraded",
        "state": {"value": "ALARM", "reason": ""},
        "previousState": {"value": "OK"},
    },
}


def start(execution: str, ledger: FakeLedger, outside: Outside) -> Rollback:
    world = Admission(
        environment="production",
        prefix=PREFIX,
        services=(SERVICE,),
        policy=Policy(),
        documents=cast("Any", Fragile(ledger, outside)),
        leases=cast("Any", Fragile(ledger, outside)),
        alarms=cast("Any", Fragile(FakeAlarms(f"{PREFIX}-{SERVICE}-degraded"), outside)),
        clock=FakeClock(NOW),
    )
    return admit(EVENT, execution, NOW, world)


def calls_of(*executions: str) -> int:
    outside, ledger = Outside(), FakeLedger()
    for execution in executions:
        start(execution, ledger, outside)
    return outside.calls


@pytest.mark.parametrize("after", [False, True])
@pytest.mark.parametrize("kill_at", range(1, calls_of("a", "b") + 1))
def test_killed_at_any_call_and_retried_one_of_two_deliveries_is_admitted(kill_at: int, after: bool) -> None:
    outside, ledger = Outside(kill_at, after=after), FakeLedger()
    for execution in ("a", "b"):
        try:
            start(execution, ledger, outside)
        except Killed:
            outside.survive()
            start(execution, ledger, outside)
    first, second = sorted(ledger.history(SERVICE), key=lambda r: r.outcome is not None)
    assert first.admitted_at is not None
    assert first.outcome is None
    assert second.outcome is Outcome.SUPPRESSED
    lease = ledger.lease(SERVICE)
    assert lease is not None
    assert (lease.holder, lease.counter) == (first.id, 1)
