"""Rollbacks on the deployed stacks: alarms over the bus, operators' inputs, guards and pages."""

from datetime import UTC, datetime, timedelta

import pytest
from e2e.conftest import WINDOW_MINUTES
from e2e.live import DeployedEnvironment, wait_for

from rollback.check import Verdict
from rollback.domain.releases.release import Release, ReleaseState
from rollback.domain.rollback import Outcome, Rollback

pytestmark = pytest.mark.e2e


def _state(deployed: DeployedEnvironment, release: Release) -> ReleaseState:
    return next(r.state for r in deployed.releases() if r.fingerprint == release.fingerprint)


def _digest(release: Release) -> str:
    (image,) = release.images.values()
    return image.rpartition("@")[2]


@pytest.mark.parametrize(
    "execution_input", [{}, {"Comment": "Insert your JSON here"}], ids=["no input", "the console's example"]
)
def test_an_execution_with_the_consoles_input_is_a_service_rollback(
    deployed: DeployedEnvironment, good: Release, execution_input: dict[str, str]
) -> None:
    deployed.release()

    execution = deployed.start(execution_input)

    assert deployed.wait_until_ended(execution)["status"] == "SUCCEEDED"
    rollback = deployed.wait_until_concluded(lambda r: r.execution == execution)
    assert (rollback.trigger, rollback.request.type) == ("manual", "service")
    assert rollback.outcome is Outcome.SUCCEEDED, rollback.reason
    assert deployed.running_digests() == {_digest(good)}


def test_readiness_may_check_the_load_balancer_and_the_data_of_the_alarms(
    deployed: DeployedEnvironment, good: Release
) -> None:
    began = datetime.now(UTC)
    deployed.release()

    def fresh_readiness() -> dict[str, Verdict] | None:
        plan = deployed.ports.ledger.standing_plan(deployed.service.name)
        if plan is None or plan.computed_at <= began:
            return None
        return {check.name: check.verdict for check in plan.readiness}

    verdicts = wait_for(fresh_readiness)
    assert verdicts["load-balancer-is-exclusive"] is Verdict.PASS
    assert verdicts["alarms-have-data"] is Verdict.PASS
    execution = deployed.start({})
    deployed.wait_until_concluded(lambda r: r.execution == execution)


def test_a_typo_aborts_the_execution_with_a_suggestion_and_pages_no_operator(
    deployed: DeployedEnvironment, good: Release
) -> None:
    original_state, recorded = deployed.state_summary(), deployed.history()

    execution = deployed.start({"type": "servcie"})

    execution_end = deployed.wait_until_ended(execution)
    assert (execution_end["status"], execution_end["error"]) == ("ABORTED", "InvalidRequest")
    assert "did you mean 'service'?" in execution_end["cause"]
    assert deployed.state_summary() == original_state
    assert deployed.history() == recorded
    # The rule on broken executions sends this event to the report function. The report function must accept it.
    detail = {
        "executionArn": execution,
        "status": "ABORTED",
        "error": execution_end["error"],
        "cause": execution_end["cause"],
    }
    answer = deployed.invoke("report", {"detail-type": "Step Functions Execution Status Change", "detail": detail})
    assert answer == {"done": []}
    assert not [page for page in deployed.pages() if execution in page]


def test_one_of_two_simultaneous_alarms_acts_and_the_other_is_evaluated_again(
    deployed: DeployedEnvironment, good: Release
) -> None:
    deployed.release()
    earlier = {r.id for r in deployed.history()}

    deployed.turn_alarm("ALARM")
    deployed.start(deployed.alarm_event("the second alarm"))

    def is_new(rollback: Rollback) -> bool:
        return rollback.id not in earlier

    suppressed = deployed.wait_for_rollback(lambda r: is_new(r) and r.outcome is Outcome.SUPPRESSED)
    acting = deployed.wait_for_rollback(lambda r: is_new(r) and r.plan is not None)
    # The alarm turns to OK before the next evaluation: a rollback that leaves it in ALARM is no success.
    deployed.turn_alarm("OK")
    assert suppressed.recheck_at is not None
    assert acting.id in suppressed.reason
    deployed.wait_until_concluded(lambda r: r.id == suppressed.id)
    acted = deployed.wait_until_concluded(lambda r: r.id == acting.id)
    assert acted.outcome is Outcome.SUCCEEDED, acted.reason
    assert {check.verdict for check in acted.admission} == {Verdict.PASS}  # its role allows every call of the admission
    assert deployed.running_digests() == {_digest(good)}
    # The alarm was OK at the next evaluation: no execution was started, and no other evaluation is due.
    deployed.wait_for_rollback(lambda r: r.id == suppressed.id and r.recheck_at is None)
    assert {r.id for r in deployed.history()} - earlier == {acted.id, suppressed.id}


def test_a_rollback_runs_the_released_image_after_its_revision_was_deregistered_and_its_tag_moved(
    deployed: DeployedEnvironment, good: Release
) -> None:
    deployed.client("ecs").deregister_task_definition(taskDefinition=good.definition_arn)
    moved_to = deployed.push(good.version, {"kind": "errors", "rate": 1.0})
    between = deployed.release()
    bad = deployed.release()

    deployed.turn_alarm("ALARM")

    def rolls_back_bad(rollback: Rollback) -> bool:
        return rollback.plan is not None and rollback.plan.running.fingerprint == bad.fingerprint

    deployed.wait_for_rollback(lambda r: rolls_back_bad(r) and r.has_acted)
    deployed.turn_alarm("OK")
    rollback = deployed.wait_until_concluded(rolls_back_bad)
    assert rollback.outcome is Outcome.SUCCEEDED, rollback.reason
    assert moved_to != _digest(good)
    assert deployed.running_digests() == {_digest(good)}
    assert _state(deployed, bad) is ReleaseState.QUARANTINED
    assert _state(deployed, between) is ReleaseState.CANDIDATE


def test_an_alarm_does_not_blame_a_promoted_release_older_than_the_window_and_pages(
    deployed: DeployedEnvironment, good: Release
) -> None:
    old_at = good.first_deployed_at + timedelta(minutes=WINDOW_MINUTES)
    wait_for(lambda: datetime.now(UTC) > old_at)
    original_state, earlier = deployed.state_summary(), {r.id for r in deployed.history()}

    deployed.turn_alarm("ALARM")

    rollback = deployed.wait_until_concluded(lambda r: r.id not in earlier)
    assert (rollback.outcome, rollback.recheck_at) == (Outcome.SUPPRESSED, None)
    assert "not the release" in rollback.reason
    assert "not the release" in deployed.page_about(rollback.id)
    assert deployed.state_summary() == original_state


def test_a_rollback_without_a_promoted_release_is_refused_and_pages_an_operator(
    deployed: DeployedEnvironment, good: Release
) -> None:
    fresh = deployed.release()
    for release in deployed.promoted():
        deployed.ports.ledger.set_release_state(release, ReleaseState.SUSPECT, datetime.now(UTC), "by a test")
    original_state, earlier = deployed.state_summary(), {r.id for r in deployed.history()}

    deployed.turn_alarm("ALARM")

    rollback = deployed.wait_until_concluded(lambda r: r.id not in earlier)
    assert rollback.outcome is Outcome.REFUSED, rollback.reason
    assert "there is no release to go back to" in rollback.reason
    assert "there is no release to go back to" in deployed.page_about(rollback.id)
    assert deployed.state_summary() == original_state
    deployed.promote(fresh.version)
