"""Drills on the deployed stacks: each scenario that needs no database, and a drill that a real alarm ends."""

from collections.abc import Iterator
from datetime import UTC, datetime

import pytest
from e2e.conftest import POLICY, WINDOW_MINUTES, cloud_process, pointed_at
from e2e.live import DeployedEnvironment, wait_for

from rollback.check import Verdict
from rollback.domain.rollback import Outcome, Rollback

pytestmark = pytest.mark.e2e
# A drill is long enough for an alarm to come.
_POLICY = {**POLICY, "verify_rounds": 3, "verify_interval_seconds": 3}


@pytest.fixture(scope="module")
def drilled() -> Iterator[DeployedEnvironment]:
    """Deployed environment whose second release runs; the first one is its ready rollback target."""
    with cloud_process(_POLICY) as variables, pointed_at(variables):
        live = DeployedEnvironment()
        for _ in range(2):
            newest = live.promote(live.release().version)
        wait_for(lambda: newest.is_proven_and_old(datetime.now(UTC), WINDOW_MINUTES))
        wait_for(lambda: set(live.alarm_states().values()) == {"OK"})
        live.wait_for_target()
        yield live


def _run(live: DeployedEnvironment, scenario: str) -> Rollback:
    execution = live.start({"type": scenario, "drill": True, "reason": "a test"})
    return live.wait_until_concluded(lambda r: r.execution == execution)


@pytest.mark.parametrize("scenario", ["service", "emergency"])
def test_a_drill_restarts_the_service_and_leaves_it_as_it_was(drilled: DeployedEnvironment, scenario: str) -> None:
    before, digests, releases = drilled.describe_service(), drilled.running_digests(), drilled.releases()
    drill = _run(drilled, scenario)
    assert drill.outcome is Outcome.SUCCEEDED, drill.reason
    after = drilled.describe_service()
    names = ("taskDefinition", "desiredCount", "deploymentConfiguration")
    assert {name: after[name] for name in names} == {name: before[name] for name in names}
    assert after["deployments"][0]["id"] != before["deployments"][0]["id"]
    assert drilled.running_digests() == digests
    assert drilled.releases() == releases
    last_drill = drilled.ports.ledger.last_drill(drilled.service.name)
    assert last_drill is not None
    assert last_drill.rollback_id == drill.id
    assert {"decide", "act", "verify"} <= set(last_drill.seconds_by_phase)
    assert drill.plan is not None
    assert {check.verdict for check in drill.plan.checks} == {Verdict.PASS}  # its role allows every call of the checks
    assert drilled.ports.ledger.lease(drilled.service.name) is None
    assert not [page for page in drilled.pages() if drill.id in page]


def test_an_alarm_ends_a_drill_at_once(drilled: DeployedEnvironment) -> None:
    before, digests = drilled.describe_service(), drilled.running_digests()
    execution = drilled.start({"type": "service", "drill": True})
    drill = drilled.wait_for_rollback(lambda r: r.execution == execution and r.service is not None)
    drilled.turn_alarm("ALARM")
    ended_drill = drilled.wait_for_rollback(lambda r: r.id == drill.id and r.outcome is not None)
    drilled.turn_alarm("OK")
    assert ended_drill.outcome is Outcome.ABORTED, ended_drill.reason
    successor_id = ended_drill.taken_over_by
    successor = drilled.wait_until_concluded(lambda r: r.id == successor_id)
    # The release is proven and old: the alarm has another cause, so nothing is rolled back.
    assert successor.outcome is Outcome.SUPPRESSED, successor.reason
    drilled.wait_until_concluded(lambda r: r.id == drill.id)
    wait_for(drilled.is_settled)
    after = drilled.describe_service()
    names = ("taskDefinition", "desiredCount", "deploymentConfiguration")
    assert {name: after[name] for name in names} == {name: before[name] for name in names}
    assert drilled.running_digests() == digests
