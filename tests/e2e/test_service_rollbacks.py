"""Rollbacks on the real stacks: alarms over the bus, people's inputs, guards, pages."""

from datetime import UTC, datetime, timedelta

import pytest
from e2e.conftest import WINDOW_MINUTES
from e2e.live import DeployedEnvironment, wait_for

from rollback.check import Verdict
from rollback.domain.releases.release import Release, ReleaseState
from rollback.domain.rollback import Outcome, Rollback

pytestmark = pytest.mark.e2e


def _state(stage: DeployedEnvironment, release: Release) -> ReleaseState:
    return next(r.state for r in stage.releases() if r.fingerprint == release.fingerprint)


def _digest(release: Release) -> str:
    (image,) = release.images.values()
    return image.rpartition("@")[2]


@pytest.mark.parametrize("given", [{}, {"Comment": "Insert your JSON here"}], ids=["nothing", "the console's example"])
def test_what_the_console_sends_starts_a_service_rollback(
    stage: DeployedEnvironment, good: Release, given: dict[str, str]
) -> None:
    stage.release()

    execution = stage.start(given)

    assert stage.wait_until_ended(execution)["status"] == "SUCCEEDED"
    rollback = stage.wait_until_concluded(lambda r: r.execution == execution)
    assert (rollback.trigger, rollback.request.type) == ("manual", "service")
    assert rollback.outcome is Outcome.SUCCEEDED, rollback.reason
    assert stage.running_digests() == {_digest(good)}


def test_readiness_may_ask_whose_the_load_balancer_is_and_whether_the_alarms_have_data(
    stage: DeployedEnvironment, good: Release
) -> None:
    began = datetime.now(UTC)
    stage.release()

    def looked_at() -> dict[str, Verdict] | None:
        plan = stage.world.ledger.standing_plan(stage.service.name)
        fresh = plan is not None and plan.computed_at > began
        return {check.name: check.verdict for check in plan.readiness} if fresh and plan is not None else None

    verdicts = wait_for(looked_at)
    assert verdicts["load-balancer-is-its-own"] is Verdict.PASS
    assert verdicts["alarms-have-data"] is Verdict.PASS
    execution = stage.start({})
    stage.wait_until_concluded(lambda r: r.execution == execution)


def test_a_typo_fails_the_execution_with_what_was_meant_and_pages_nobody(
    stage: DeployedEnvironment, good: Release
) -> None:
    before, recorded = stage.state_summary(), stage.history()

    execution = stage.start({"type": "servcie"})

    ended = stage.wait_until_ended(execution)
    assert (ended["status"], ended["error"]) == ("FAILED", "InvalidRequest")
    assert "did you mean 'service'?" in ended["cause"]
    assert stage.state_summary() == before
    assert stage.history() == recorded
    # what the rule on broken executions hands the report function; handled here once more to know that it was
    detail = {"executionArn": execution, "status": "FAILED", "error": ended["error"], "cause": ended["cause"]}
    said = stage.invoke("report", {"detail-type": "Step Functions Execution Status Change", "detail": detail})
    assert said == {"done": []}
    assert not [page for page in stage.pages() if execution in page]


def test_of_two_alarms_at_once_one_acts_and_the_other_is_looked_at_again(
    stage: DeployedEnvironment, good: Release
) -> None:
    stage.release()
    earlier = {r.id for r in stage.history()}

    stage.turn_alarm("ALARM")
    stage.start(stage.alarm_event("a second one"))

    def is_new(rollback: Rollback) -> bool:
        return rollback.id not in earlier

    left_alone = stage.wait_for_rollback(lambda r: is_new(r) and r.outcome is Outcome.SUPPRESSED)
    acting = stage.wait_for_rollback(lambda r: is_new(r) and r.plan is not None)
    # before it is looked at again: it helped, and a rollback after which the alarm stays red is no success
    stage.turn_alarm("OK")
    assert left_alone.recheck_at is not None
    assert acting.id in left_alone.reason
    stage.wait_until_concluded(lambda r: r.id == left_alone.id)
    acted = stage.wait_until_concluded(lambda r: r.id == acting.id)
    assert acted.outcome is Outcome.SUCCEEDED, acted.reason
    assert {check.verdict for check in acted.admission} == {Verdict.PASS}  # its role may ask all that it asks
    assert stage.running_digests() == {_digest(good)}
    # green when its time came: nothing is started, and it is not due any more
    stage.wait_for_rollback(lambda r: r.id == left_alone.id and r.recheck_at is None)
    assert {r.id for r in stage.history()} - earlier == {acted.id, left_alone.id}


def test_a_rollback_lands_on_the_image_that_ran_though_its_revision_is_gone_and_its_tag_was_moved(
    stage: DeployedEnvironment, good: Release
) -> None:
    stage.client("ecs").deregister_task_definition(taskDefinition=good.definition_arn)
    moved_to = stage.push(good.version, {"kind": "errors", "rate": 1.0})
    between = stage.release()
    bad = stage.release()

    stage.turn_alarm("ALARM")

    def leaves_it(rollback: Rollback) -> bool:
        return rollback.plan is not None and rollback.plan.running.fingerprint == bad.fingerprint

    stage.wait_for_rollback(lambda r: leaves_it(r) and r.has_acted)
    stage.turn_alarm("OK")
    rollback = stage.wait_until_concluded(leaves_it)
    assert rollback.outcome is Outcome.SUCCEEDED, rollback.reason
    assert moved_to != _digest(good)
    assert stage.running_digests() == {_digest(good)}
    assert _state(stage, bad) is ReleaseState.QUARANTINED
    assert _state(stage, between) is ReleaseState.CANDIDATE


def test_an_alarm_on_a_promoted_release_older_than_the_window_is_not_blamed_on_it_and_pages(
    stage: DeployedEnvironment, good: Release
) -> None:
    old_at = good.first_deployed_at + timedelta(minutes=WINDOW_MINUTES)
    wait_for(lambda: datetime.now(UTC) > old_at)
    before, earlier = stage.state_summary(), {r.id for r in stage.history()}

    stage.turn_alarm("ALARM")

    rollback = stage.wait_until_concluded(lambda r: r.id not in earlier)
    assert (rollback.outcome, rollback.recheck_at) == (Outcome.SUPPRESSED, None)
    assert "not the release" in rollback.reason
    assert "not the release" in stage.page_about(rollback.id)
    assert stage.state_summary() == before


def test_without_a_good_release_nothing_is_touched_and_a_person_is_paged(
    stage: DeployedEnvironment, good: Release
) -> None:
    fresh = stage.release()
    for release in stage.promoted():
        stage.world.ledger.set_release_state(release, ReleaseState.SUSPECT, datetime.now(UTC), "by a test")
    before, earlier = stage.state_summary(), {r.id for r in stage.history()}

    stage.turn_alarm("ALARM")

    rollback = stage.wait_until_concluded(lambda r: r.id not in earlier)
    assert rollback.outcome is Outcome.REFUSED, rollback.reason
    assert "there is no release to go back to" in rollback.reason
    assert "there is no release to go back to" in stage.page_about(rollback.id)
    assert stage.state_summary() == before
    stage.promote(fresh.version)
