"""Obligations, pauses and open rollbacks are remembered however many records the ledger has taken since."""

from datetime import timedelta

import pytest
from fakes.ledger import FakeLedger
from simulations.database import DatabaseSimulation
from simulations.service import PROMOTED, Simulation, alarm_event, deployment_event, start_simulation
from simulations.two_writers import WORKER, TwoWriterSimulation
from simulations.worlds import DEGRADED, OUTAGE
from support.builders import NOW, SERVICE
from support.builders import rollback as a_rollback

from rollback.check import Verdict
from rollback.domain.ledger.index import ChangeEntry, ObligationsEntry
from rollback.domain.obligation import ObligationKind
from rollback.domain.operator import Operator, Pause
from rollback.domain.rollback import Outcome, Rollback, TriggerEvent, rollback_id
from rollback.domain.settings.policy import Policy
from rollback.domain.stored import ReadResult
from rollback.errors import ExternalServiceError, UnreadableItem
from rollback.guards import rules as guards
from rollback.operations.pause_abort_unlock import abort
from rollback.operations.unfence import list_obligations_of_operator, unfence
from rollback.workflow.admit import admit
from rollback.workflow.janitor import conclude_execution, sweep
from rollback.workflow.route import Step
from rollback.workflow.runner import run_step
from rollback_cli.status_lines import status_lines

ANN = Operator(name="ann", reason="I look at the data first")


def abort_at_the_fence(stage: DatabaseSimulation) -> Rollback:
    """Abort a full rollback behind its fence by an operator, who now has the service at zero tasks."""
    rollback = stage.admit({"type": "full", "service": SERVICE, "target_version": "v1"})
    while stage.services.desired_count:
        rollback = stage.run_due_step(rollback)
    abort(rollback.id, ANN, stage.world)
    conclude_execution(rollback.execution, "ABORTED", stage.world, by_hand=True)
    rollback = stage.read(rollback)
    assert rollback.concluded_at is not None
    assert not rollback.has_changed_data
    return rollback


def run_janitor(stage: Simulation, days: float, every_minutes: int = 5) -> None:
    """Run the janitor at this interval, and to their ends the executions that it starts."""
    for _ in range(round(days * 24 * 60 / every_minutes)):
        stage.clock.pass_time(minutes=every_minutes)
        stage.services.tick()
        sweep(stage.world)
        while stage.workflow.started:
            name, given = stage.workflow.started.pop(0)
            stage.run(given, name)


def test_an_abort_at_the_fence_is_remembered_while_an_alarm_is_in_alarm_for_forty_days() -> None:
    stage = DatabaseSimulation()
    stage.healthy_versions = set()
    abort_at_the_fence(stage)
    rows = stage.rows()
    stage.alarms.fire(DEGRADED, stage.clock.now())
    stage.alarms.fire(OUTAGE, stage.clock.now())
    stage.services.calls.clear()
    stage.neon.calls.clear()
    before = len(stage.pages())
    run_janitor(stage, days=2)
    run_janitor(stage, days=36, every_minutes=30)  # an eighth of the executions: at five minutes all of it took 109 s
    run_janitor(stage, days=2)
    assert stage.changes() == []
    assert [call for call in stage.neon.calls if call == "restore"] == []
    assert stage.rows() == rows
    assert len(stage.pages()) == before  # the page about the abort is open, and no new fact is to be reported
    assert len(list(stage.ledger.history(SERVICE))) <= 4  # evaluations are in the document that they repeat
    unfenced = unfence(SERVICE, ANN, stage.world)
    assert unfenced.done[0].obligation.kind is ObligationKind.FENCE
    assert stage.services.desired_count == 2


def test_the_janitor_concludes_an_open_rollback_however_many_documents_follow_it() -> None:
    stage = start_simulation()
    before = dict(stage.services.deployment_configuration)
    rollback = stage.run_due_step(stage.run_due_step(stage.run_until(stage.admit(), Step.SERVICE)))
    assert rollback.open_obligations()
    for number in range(250):
        stage.clock.pass_time(seconds=20)
        stale = alarm_event(f"n{number}", at=stage.clock.now() - timedelta(minutes=7))
        ended = admit(stale, f"n{number}", stage.clock.now(), stage.world)
        assert ended.outcome is Outcome.SUPPRESSED
        run_step(ended.id, Step.CONCLUDE, stage.world)
    for _ in range(24):
        stage.pass_time(minutes=5)
        sweep(stage.world)
    rollback = stage.read(rollback)
    assert rollback.concluded_at is not None
    assert rollback.open_obligations() == ()
    assert stage.services.deployment_configuration == before
    assert stage.ledger.lease(SERVICE) is None


def test_the_obligations_of_a_fence_are_known_per_service() -> None:
    stage = TwoWriterSimulation()
    abort_at_the_fence(stage)
    assert {debt.service.name for debt in list_obligations_of_operator(WORKER, stage.world)} == {WORKER}
    assert {debt.service.name for debt in list_obligations_of_operator(SERVICE, stage.world)} == {SERVICE}
    unfence(WORKER, ANN, stage.world)
    assert (stage.services.desired_count, stage.worker.desired_count) == (0, 2)
    assert list_obligations_of_operator(WORKER, stage.world) == []
    assert list_obligations_of_operator(SERVICE, stage.world) != []


def test_a_writer_is_unfenced_although_the_other_writer_can_not_start() -> None:
    stage = TwoWriterSimulation()
    abort_at_the_fence(stage)
    for arn in stage.arns.values():
        stage.services.behaviours[arn] = "crashing"
    unfence(SERVICE, ANN, stage.world, force=True)
    assert unfence(WORKER, ANN, stage.world).left == ()
    assert stage.worker.desired_count == 2


@pytest.mark.parametrize("flaps", [3, 300])
def test_a_flapping_alarm_of_a_promoted_release_makes_one_page_and_one_page_with_the_count(flaps: int) -> None:
    stage = Simulation()
    stage.ship("v1", PROMOTED, hours_ago=48)
    for number in range(flaps):
        stage.alarms.fire(DEGRADED, stage.clock.now())
        stage.run(alarm_event(f"flap-{number}", at=stage.clock.now()), f"flap-{number}")
        stage.alarms.recover(DEGRADED)
        stage.clock.pass_time(seconds=5)
    assert len(stage.pages()) == 1
    stage.clock.pass_time(minutes=stage.policy.page_aggregation_minutes)
    sweep(stage.world)
    sweep(stage.world)
    assert len(stage.pages()) == 2
    assert f"{flaps - 1} more rollbacks of {SERVICE}" in stage.pages()[-1]
    assert f"{flaps} in all" in stage.pages()[-1]


def test_a_dry_run_delays_no_outage() -> None:
    stage = start_simulation()
    stage.alarms.recover(DEGRADED)
    dry = stage.admit({"dry_run": True}, "dry")
    stage.workflow.running.add(dry.execution)
    assert stage.ledger.lease(SERVICE) is None
    outage = stage.run(stage.fire_alarm(OUTAGE), "outage")
    assert outage.outcome is Outcome.SUCCEEDED
    assert stage.run_to_end(dry).concluded_at is not None


def test_a_stopped_rollback_does_not_block_the_next_trigger_of_its_service() -> None:
    """An operator stops the execution half a minute into a rollback; an outage comes a minute later."""
    stage = start_simulation()
    stage.healthy_versions = set()
    rollback = stage.admit(alarm_event(), "first")
    while not rollback.has_acted:
        rollback = stage.run_due_step(rollback)
    conclude_execution("first", "its execution ended as ABORTED: by ann", stage.world, by_hand=True)
    stage.pass_time(minutes=1)
    second = stage.run(stage.fire_alarm(OUTAGE), "second")
    assert second.outcome is not Outcome.SUPPRESSED, second.reason
    for _ in range(4):
        stage.pass_time(minutes=5)
        sweep(stage.world)
    assert stage.read(rollback).concluded_at is not None
    assert stage.services.deployment_configuration["deploymentCircuitBreaker"]["rollback"] is True


def test_a_failed_deployment_during_a_pause_is_evaluated_when_the_pause_is_over() -> None:
    stage = Simulation()
    stage.ship("v1", PROMOTED, hours_ago=48)
    stage.alarms.recover(DEGRADED)
    stage.begin_deployment("v2", "crashing")
    stage.services.deployment_configuration["deploymentCircuitBreaker"]["rollback"] = False
    for _ in range(3):
        stage.services.tick()
    stage.ledger.put_pause(Pause(service=SERVICE, since=NOW, by="ann", reason="maintenance"))
    suppressed = stage.run(deployment_event(), "suppressed")
    assert suppressed.outcome is Outcome.SUPPRESSED
    stage.clock.pass_time(minutes=10)
    sweep(stage.world)
    assert stage.workflow.started == []
    stage.ledger.end_pause(SERVICE)
    sweep(stage.world)
    (name, given) = stage.workflow.started.pop()
    again = stage.run(given, name)
    assert (again.id, again.evaluations, again.outcome) == (suppressed.id, 2, Outcome.SUCCEEDED)


def test_ids_of_rollbacks_of_one_second_sort_by_time() -> None:
    ids = [rollback_id(SERVICE, NOW + timedelta(milliseconds=ms), f"cause {ms}") for ms in range(0, 1000, 7)]
    assert ids == sorted(ids)


def test_the_fake_ledger_derives_its_pending_rollbacks_from_the_documents() -> None:
    stage = start_simulation()
    rollback = stage.admit()
    assert isinstance(stage.ledger, FakeLedger)
    assert [entry.rollback_id for entry in stage.ledger.pending(SERVICE).items] == [rollback.id]
    stage.run_to_end(rollback)
    assert stage.ledger.pending().items == ()


def test_a_full_rollback_that_meets_another_lease_is_evaluated_again_and_succeeds() -> None:
    stage = TwoWriterSimulation()
    now = stage.clock.now()
    other = f"{WORKER}-20260301T025900000Z-11111111"
    assert stage.ledger.acquire(WORKER, other, now, now + timedelta(minutes=10)) is not None
    blocked = stage.run(alarm_event("blocked", DEGRADED, now), "blocked")
    assert blocked.outcome is Outcome.SUPPRESSED
    assert blocked.recheck_at is not None
    stage.ledger.release_lease(WORKER, other)
    stage.clock.pass_time(minutes=stage.policy.recheck_minutes)
    sweep(stage.world)
    (name, given) = stage.workflow.started.pop()
    again = stage.run(given, name)
    assert (again.id, again.outcome) == (blocked.id, Outcome.SUCCEEDED)


def test_an_operators_full_rollback_is_refused_while_another_rollback_holds_the_lease() -> None:
    stage = TwoWriterSimulation()
    now = stage.clock.now()
    other = f"{WORKER}-20260301T025900000Z-11111111"
    stage.ledger.acquire(WORKER, other, now, now + timedelta(minutes=10))
    blocked = stage.run({"type": "full", "service": SERVICE, "target_version": "v1"}, "blocked")
    assert (blocked.outcome, blocked.recheck_at) == (Outcome.REFUSED, None)


class TestSettingsChangeUnderAnOpenRollback:
    """Deployments of the stack that remove a service or a database of an open rollback."""

    def fence(self) -> tuple[TwoWriterSimulation, Rollback]:
        stage = TwoWriterSimulation()
        rollback = stage.admit({"type": "full", "service": SERVICE, "target_version": "v1"})
        while stage.services.desired_count or stage.worker.desired_count:
            rollback = stage.run_due_step(rollback)
        return stage, rollback

    def remove_service(self, stage: TwoWriterSimulation, name: str) -> None:
        kept = tuple(service for service in stage.world.settings.services if service.name != name)
        stage.replace(settings=stage.world.settings.model_copy(update={"services": kept}))

    def test_a_removed_writer_is_started_again_by_the_rollback(self) -> None:
        stage, rollback = self.fence()
        self.remove_service(stage, WORKER)
        ended = stage.run_to_end(rollback)
        assert ended.outcome is Outcome.SUCCEEDED
        assert (stage.services.desired_count, stage.worker.desired_count) == (2, 2)

    def test_the_janitor_concludes_the_open_rollback_of_a_removed_service(self) -> None:
        stage, rollback = self.fence()
        self.remove_service(stage, SERVICE)
        for _ in range(6):
            stage.clock.pass_time(minutes=5)
            stage.services.tick()
            stage.worker.tick()
            sweep(stage.world)
        ended = stage.read(rollback)
        assert ended.concluded_at is not None
        assert (stage.services.desired_count, stage.worker.desired_count) == (2, 2)

    def test_a_rollback_keeps_its_database_after_the_stack_removed_it(self) -> None:
        stage, rollback = self.fence()
        stage.replace(settings=stage.world.settings.model_copy(update={"database": None}))
        assert stage.run_to_end(rollback).outcome is Outcome.SUCCEEDED


def test_a_new_evaluation_resets_all_fields_but_the_kept_ones() -> None:
    """The first evaluation waited for Neon to its limit; the next evaluation has the whole limit again."""
    stage = TwoWriterSimulation()
    first = stage.ledger.create(
        a_rollback(
            event=TriggerEvent(id="e", at=NOW, alarm=DEGRADED),
            request={"type": "full", "service": SERVICE},
            database_waits_since=NOW - timedelta(hours=1),
            outcome=Outcome.SUPPRESSED,
            last_reported_answer="suppressed for now",
            recheck_at=NOW,
            reported=True,
            concluded_at=NOW,
        )
    )
    stage.alarms.fire(DEGRADED, NOW)
    sweep(stage.world)
    (name, given) = stage.workflow.started.pop()
    again = stage.admit(given, name)
    assert (again.id, again.evaluations, again.last_reported_answer) == (first.id, 2, first.last_reported_answer)
    assert again.database_waits_since is None
    assert stage.run_to_end(again).outcome is Outcome.SUCCEEDED


def test_an_unreadable_index_is_no_evidence_that_no_rollback_is_open() -> None:
    stage = start_simulation()
    stage.clock.pass_time(minutes=30)  # in ALARM for long, and no rollback has answered

    def fail(service: str | None = None) -> object:
        raise ExternalServiceError("Query on ledger got no answer")

    stage.ledger.pending = fail  # type: ignore[method-assign, assignment]
    with pytest.raises(ExternalServiceError):
        sweep(stage.world)
    assert stage.workflow.started == []
    assert stage.metrics.sweeps == 1


def test_many_unreadable_items_make_one_page_and_status_lists_them() -> None:
    stage = start_simulation()
    stage.alarms.recover(DEGRADED)
    for number in range(50):
        stage.ledger.record_unreadable(UnreadableItem(f"SERVICE#{SERVICE} / RELEASE#{number:02}", "no JSON"), NOW)
    sweep(stage.world)
    sweep(stage.world)
    (page,) = stage.pages()
    assert "and 30 more" in page
    assert sum("no JSON" in line for line in status_lines(stage.world.settings.services[0], stage.world)) == 50


@pytest.mark.parametrize(("desired", "verdict"), [(0, Verdict.FAIL), (2, Verdict.PASS)])
def test_an_unreadable_obligation_suppresses_an_automatic_start_from_zero_tasks(desired: int, verdict: Verdict) -> None:
    damaged: ReadResult[ObligationsEntry] = ReadResult(unreadable=(UnreadableItem("OWED / x", "no JSON"),))
    check = guards.check_not_left_at_zero(a_rollback(), desired, damaged, Policy(), NOW)
    assert check.verdict is verdict
    assert (check.recheck_due_at is not None) is (verdict is Verdict.FAIL)


def test_an_unreadable_change_counts_as_an_attempt() -> None:
    damaged: ReadResult[ChangeEntry] = ReadResult(
        unreadable=tuple(UnreadableItem(f"CHANGE#{n}", "no JSON") for n in range(2))
    )
    checks = guards.check_history(a_rollback(), frozenset(), damaged, Policy(), NOW)
    assert {check.name for check in checks if check.verdict is Verdict.FAIL} == {"attempt-budget"}
