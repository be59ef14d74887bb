"""The watch over a fresh release, from the event of its deployment to its end."""

from typing import Any

import pytest
from simulations.service import Simulation, deployment_event, start_simulation
from support.builders import SERVICE, image

from rollback.domain.operator import Operator
from rollback.domain.release_watch.watch import ALL_ENDPOINTS
from rollback.domain.request import Trigger
from rollback.domain.rollback import Outcome
from rollback.domain.settings.policy import Policy
from rollback.domain.settings.release_watch import ReleaseWatchSettings
from rollback.errors import ExternalServiceError, InvalidRequest
from rollback.operations.pause_abort_unlock import pause
from rollback.release_watch.step import NextState, WatchCursor, begin_watch, look
from rollback.reports.report import message
from rollback.resources.aws.ecs_service import ProbeResult

URL = "http://api.test/health"


def event_of(simulation: Simulation, deployment_id: str | None = None) -> dict[str, Any]:
    event = deployment_event("SERVICE_DEPLOYMENT_IN_PROGRESS")
    event["detail"]["deploymentId"] = deployment_id or simulation.describe_service().primary.id
    return event


def fresh_release(settings: ReleaseWatchSettings | None = None, **parts: Any) -> Simulation:
    """Return a simulation in which v2 runs beside no alarm, and v1 is the last known good."""
    simulation = start_simulation(**parts)
    simulation.alarms.in_alarm.clear()
    if settings is not None:
        changed = simulation.ports.settings.model_copy(update={"release_watch": settings})
        simulation.replace(settings=changed)
    return simulation


def watch_on(simulation: Simulation, cursor: WatchCursor, looks: int = 1000) -> WatchCursor:
    """Look again and again, as the state machine does; its state is JSON between two looks."""
    for _ in range(looks):
        if cursor.next is NextState.DONE:
            return cursor
        simulation.pass_time(seconds=cursor.wait_seconds)
        cursor = look(WatchCursor.model_validate_json(cursor.model_dump_json()), simulation.ports)
    return cursor


def watch(simulation: Simulation, looks: int = 1000) -> WatchCursor:
    return watch_on(simulation, begin_watch(event_of(simulation), simulation.ports), looks)


def fail(simulation: Simulation, status: int | None = 500) -> None:
    simulation.http.answers[URL] = ProbeResult(status=status, seconds=0.02, error="" if status else "refused")


def started(simulation: Simulation) -> dict[str, Any]:
    ((_, given),) = simulation.workflow.started
    return given


def test_a_release_that_fails_is_rolled_back_at_the_third_look() -> None:
    simulation = fresh_release()
    fail(simulation)
    cursor = watch(simulation, looks=3)
    assert cursor.next is NextState.DONE
    assert cursor.summary == (
        "v2 is bad: /health failed in 36 of 36 probes (no release was watched before), "
        "for example: answered 500, expected 200"
    )
    simulation.http.answers.clear()  # v1 will answer
    rollback = simulation.run(started(simulation))
    assert rollback.trigger is Trigger.RELEASE_WATCH
    assert rollback.outcome is Outcome.SUCCEEDED, rollback.reason
    assert simulation.running() == image("v1")
    text = message(rollback, simulation.service_settings)
    assert "Trigger: release_watch, started by release watch: failed health checks: fresh-release-is-good" in text


def test_a_good_release_is_left_alone_and_measures_the_next_one() -> None:
    simulation = fresh_release()
    cursor = watch(simulation)
    assert simulation.workflow.started == []
    assert cursor.summary.startswith("v2: 720 answers, no objection")
    baseline = simulation.ledger.watch_baseline(SERVICE)
    assert baseline is not None
    assert (baseline.version, baseline.rate_of(ALL_ENDPOINTS).observations) == ("v2", 720)
    assert len(baseline.seconds["/health"]) == 60


def test_a_release_that_is_slower_than_the_one_before_is_rolled_back() -> None:
    simulation = fresh_release()
    watch(simulation)
    simulation.ship("v3", hours_ago=0)
    simulation.http.answers[URL] = ProbeResult(status=200, seconds=0.9)
    cursor = watch(simulation)
    assert cursor.summary == "v3 is bad: /health answers in 0.90 s (median), 0.01 s with v2"


def test_without_a_release_before_latency_is_not_judged_and_that_is_said() -> None:
    simulation = fresh_release()
    simulation.http.answers[URL] = ProbeResult(status=200, seconds=0.9)
    cursor = watch(simulation)
    assert simulation.workflow.started == []
    assert "not judged: latency of /health (the release before has 0 answers, 20 are needed)" in cursor.summary


def test_two_tasks_that_ended_by_themselves_are_enough_and_one_is_not() -> None:
    simulation = fresh_release()
    simulation.services.end_task()
    assert watch(simulation, looks=2).next is NextState.LOOK
    simulation.services.end_task()
    cursor = watch(simulation, looks=2)
    assert cursor.summary.startswith("v2 is bad: 2 tasks ended: ended: exit code 1 of container")


def test_tasks_of_another_deployment_are_no_evidence() -> None:
    simulation = fresh_release()
    for _ in range(3):
        simulation.services.end_task()
    simulation.begin_deployment("v3")
    assert watch(simulation, looks=5).next is NextState.LOOK


def test_the_window_begins_once_the_deployment_has_settled() -> None:
    simulation = fresh_release()
    simulation.begin_deployment("v3")
    cursor = begin_watch(event_of(simulation), simulation.ports)
    for _ in range(100):  # 1,000 s, longer than the ten minutes; ECS makes no progress
        simulation.clock.pass_time(seconds=cursor.wait_seconds)
        cursor = look(cursor, simulation.ports)
    assert cursor.next is NextState.LOOK
    assert watch_on(simulation, cursor, looks=70).next is NextState.DONE


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda s: s.begin_deployment("v3"), "is PRIMARY, not"),
        (lambda s: setattr(s.services, "desired_count", 0), "the desired count is 0"),
        (lambda s: s.admit({"type": "service"}), "a rollback is in progress"),
    ],
    ids=["another deployment", "scaled to zero", "a rollback"],
)
def test_the_watch_ends_when_its_release_is_not_the_one_that_counts(change: Any, said: str) -> None:
    simulation = fresh_release()
    fail(simulation)
    cursor = watch(simulation, looks=1)
    change(simulation)
    cursor = look(cursor, simulation.ports)
    assert (cursor.next, simulation.workflow.started) == (NextState.DONE, [])
    assert said in cursor.summary


def test_a_deployment_of_a_rollback_is_not_watched() -> None:
    simulation = fresh_release()
    fail(simulation)
    watch(simulation)
    simulation.run(started(simulation))
    assert begin_watch(event_of(simulation), simulation.ports).next is NextState.DONE


def test_the_watch_can_be_turned_off() -> None:
    simulation = fresh_release(ReleaseWatchSettings(watch_minutes=0))
    cursor = begin_watch(event_of(simulation), simulation.ports)
    assert (cursor.next, "turned off" in cursor.summary) == (NextState.DONE, True)


def test_a_repeated_look_starts_no_second_rollback() -> None:
    simulation = fresh_release()
    fail(simulation)
    before = watch(simulation, looks=2)
    look(before, simulation.ports)
    look(before, simulation.ports)
    assert len(simulation.workflow.started) == 1


def test_in_observe_mode_the_rollback_is_only_planned() -> None:
    simulation = fresh_release(policy=Policy(mode="observe"))
    fail(simulation)
    watch(simulation)
    assert simulation.run(started(simulation)).outcome is Outcome.PLANNED
    assert simulation.changes() == []


def test_a_pause_holds_for_the_watch_too() -> None:
    simulation = fresh_release()
    fail(simulation)
    watch(simulation)
    pause(SERVICE, Operator("ada", "maintenance"), simulation.ports)
    assert simulation.run(started(simulation)).outcome is Outcome.SUPPRESSED


def test_a_service_without_endpoints_is_watched_by_its_tasks_and_that_is_said() -> None:
    simulation = fresh_release()
    service = simulation.service_settings.model_copy(update={"endpoints": ()})
    simulation.replace(settings=simulation.ports.settings.model_copy(update={"services": (service,)}))
    cursor = watch(simulation)
    assert "0 answers are too few to compare with; not judged: answers of the service (no endpoints" in cursor.summary
    assert simulation.ledger.watch_baseline(SERVICE) is None


def test_without_an_answer_of_ecs_the_probes_still_count(monkeypatch: pytest.MonkeyPatch) -> None:
    simulation = fresh_release()
    fail(simulation)

    def refuse(*_: object) -> None:
        raise ExternalServiceError("ListTasks: no answer")

    monkeypatch.setattr(simulation.services, "service_tasks", refuse)
    assert watch(simulation, looks=3).summary.startswith("v2 is bad: /health failed")


def test_an_event_of_another_service_is_refused() -> None:
    simulation = fresh_release()
    event = event_of(simulation)
    event["resources"] = ["arn:aws:ecs:eu-west-1:123456789012:service/other/other"]
    with pytest.raises(InvalidRequest):
        begin_watch(event, simulation.ports)
