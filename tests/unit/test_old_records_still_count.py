"""Obligations, pauses and open rollbacks are remembered however many records the ledger has taken since."""

from datetime import timedelta

import pytest
from fakes.ledger import FakeLedger
from simulations.database import DatabaseSimulation
from simulations.fake_ports import DEGRADED, OUTAGE
from simulations.service import PROMOTED, Simulation, alarm_event, deployment_event, start_simulation
from simulations.two_writers import WORKER, TwoWriterSimulation
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
from rollback_cli.output.status.lines import status_lines
from rollback_cli.output.status.read import read_status

ANN = Operator(name="ann", reason="I look at the data first")


def abort_at_the_fence(simulation: DatabaseSimulation) -> Rollback:
    """Abort a full rollback behind its fence by an operator, who now has the service at zero tasks."""
    rollback = simulation.admit({"type": "full", "service": SERVICE, "target_version": "v1"})
    while simulation.services.desired_count:
        rollback = simulation.run_due_step(rollback)
    abort(rollback.id, ANN, simulation.ports)
    conclude_execution(rollback.execution, "ABORTED", simulation.ports, by_operator=True)
    rollback = simulation.read(rollback)
    assert rollback.concluded_at is not None
    assert not rollback.has_changed_data
    return rollback


def run_janitor(simulation: Simulation, days: float, every_minutes: int = 5) -> None:
    """Run the janitor at this interval, and each execution that the janitor starts."""
    for _ in range(round(days * 24 * 60 / every_minutes)):
        simulation.clock.pass_time(minutes=every_minutes)
        simulation.services.tick()
        sweep(simulation.ports)
        while simulation.workflow.started:
            name, execution_input = simulation.workflow.started.pop(0)
            simulation.run(execution_input, name)


def test_an_abort_at_the_fence_is_remembered_while_an_alarm_is_in_alarm_for_forty_days() -> None:
    simulation = DatabaseSimulation()
    simulation.healthy_versions = set()
    abort_at_the_fence(simulation)
    rows = simulation.rows()
    simulation.alarms.fire(DEGRADED, simulation.clock.now())
    simulation.alarms.fire(OUTAGE, simulation.clock.now())
    simulation.services.calls.clear()
    simulation.neon.calls.clear()
    page_count = len(simulation.pages())
    run_janitor(simulation, days=2)
    run_janitor(
        simulation, days=36, every_minutes=30
    )  # an eighth of the executions: at five minutes all of it took 109 s
    run_janitor(simulation, days=2)
    assert simulation.changes() == []
    assert [call for call in simulation.neon.calls if call == "restore"] == []
    assert simulation.rows() == rows
    assert len(simulation.pages()) == page_count  # the page about the abort is open, and no new fact is to be reported
    assert len(list(simulation.ledger.history(SERVICE))) <= 4  # evaluations are in the document that they repeat
    result = unfence(SERVICE, ANN, simulation.ports)
    assert result.discharged[0].obligation.kind is ObligationKind.FENCE
    assert simulation.services.desired_count == 2


def test_the_janitor_concludes_an_open_rollback_older_than_many_documents() -> None:
    simulation = start_simulation()
    original_configuration = dict(simulation.services.deployment_configuration)
    rollback = simulation.run_due_step(simulation.run_due_step(simulation.run_until(simulation.admit(), Step.SERVICE)))
    assert rollback.open_obligations()
    for number in range(250):
        simulation.clock.pass_time(seconds=20)
        stale = alarm_event(f"n{number}", at=simulation.clock.now() - timedelta(minutes=7))
        concluded_rollback = admit(stale, f"n{number}", simulation.clock.now(), simulation.ports)
        assert concluded_rollback.outcome is Outcome.SUPPRESSED
        run_step(concluded_rollback.id, Step.CONCLUDE, simulation.ports)
    for _ in range(24):
        simulation.pass_time(minutes=5)
        sweep(simulation.ports)
    rollback = simulation.read(rollback)
    assert rollback.concluded_at is not None
    assert rollback.open_obligations() == ()
    assert simulation.services.deployment_configuration == original_configuration
    assert simulation.ledger.lease(SERVICE) is None


def test_the_obligations_of_a_fence_are_known_per_service() -> None:
    simulation = TwoWriterSimulation()
    abort_at_the_fence(simulation)
    assert {debt.service.name for debt in list_obligations_of_operator(WORKER, simulation.ports)} == {WORKER}
    assert {debt.service.name for debt in list_obligations_of_operator(SERVICE, simulation.ports)} == {SERVICE}
    unfence(WORKER, ANN, simulation.ports)
    assert (simulation.services.desired_count, simulation.worker.desired_count) == (0, 2)
    assert list_obligations_of_operator(WORKER, simulation.ports) == []
    assert list_obligations_of_operator(SERVICE, simulation.ports) != []


def test_a_writer_is_unfenced_although_the_other_writer_can_not_start() -> None:
    simulation = TwoWriterSimulation()
    abort_at_the_fence(simulation)
    for arn in simulation.arns.values():
        simulation.services.behaviours[arn] = "crashing"
    unfence(SERVICE, ANN, simulation.ports, force=True)
    assert unfence(WORKER, ANN, simulation.ports).remaining == ()
    assert simulation.worker.desired_count == 2


@pytest.mark.parametrize("flaps", [3, 300])
def test_a_flapping_alarm_of_a_promoted_release_causes_one_page_and_one_page_with_the_count(flaps: int) -> None:
    simulation = Simulation()
    simulation.ship("v1", PROMOTED, hours_ago=48)
    for number in range(flaps):
        simulation.alarms.fire(DEGRADED, simulation.clock.now())
        simulation.run(alarm_event(f"flap-{number}", at=simulation.clock.now()), f"flap-{number}")
        simulation.alarms.recover(DEGRADED)
        simulation.clock.pass_time(seconds=5)
    assert len(simulation.pages()) == 1
    simulation.clock.pass_time(minutes=simulation.policy.page_aggregation_minutes)
    sweep(simulation.ports)
    sweep(simulation.ports)
    assert len(simulation.pages()) == 2
    assert f"{flaps - 1} more rollbacks of {SERVICE}" in simulation.pages()[-1]
    assert f"{flaps} rollbacks have ended so in all" in simulation.pages()[-1]


def test_a_dry_run_delays_no_outage() -> None:
    simulation = start_simulation()
    simulation.alarms.recover(DEGRADED)
    dry = simulation.admit({"dry_run": True}, "dry")
    simulation.workflow.running.add(dry.execution)
    assert simulation.ledger.lease(SERVICE) is None
    outage = simulation.run(simulation.fire_alarm(OUTAGE), "outage")
    assert outage.outcome is Outcome.SUCCEEDED
    assert simulation.run_to_end(dry).concluded_at is not None


def test_a_stopped_rollback_does_not_block_the_next_trigger_of_its_service() -> None:
    """An operator stops the execution half a minute into a rollback; an outage comes a minute later."""
    simulation = start_simulation()
    simulation.healthy_versions = set()
    rollback = simulation.admit(alarm_event(), "first")
    while not rollback.has_acted:
        rollback = simulation.run_due_step(rollback)
    conclude_execution("first", "its execution ended as ABORTED: by ann", simulation.ports, by_operator=True)
    simulation.pass_time(minutes=1)
    second_rollback = simulation.run(simulation.fire_alarm(OUTAGE), "second")
    assert second_rollback.outcome is not Outcome.SUPPRESSED, second_rollback.reason
    for _ in range(4):
        simulation.pass_time(minutes=5)
        sweep(simulation.ports)
    assert simulation.read(rollback).concluded_at is not None
    assert simulation.services.deployment_configuration["deploymentCircuitBreaker"]["rollback"] is True


def test_a_failed_deployment_during_a_pause_is_evaluated_when_the_pause_is_over() -> None:
    simulation = Simulation()
    simulation.ship("v1", PROMOTED, hours_ago=48)
    simulation.alarms.recover(DEGRADED)
    simulation.begin_deployment("v2", "crashing")
    simulation.services.deployment_configuration["deploymentCircuitBreaker"]["rollback"] = False
    for _ in range(3):
        simulation.services.tick()
    simulation.ledger.put_pause(Pause(service=SERVICE, since=NOW, by="ann", reason="maintenance"))
    suppressed_rollback = simulation.run(deployment_event(), "suppressed")
    assert suppressed_rollback.outcome is Outcome.SUPPRESSED
    simulation.clock.pass_time(minutes=10)
    sweep(simulation.ports)
    assert simulation.workflow.started == []
    simulation.ledger.end_pause(SERVICE)
    sweep(simulation.ports)
    (name, execution_input) = simulation.workflow.started.pop()
    second_rollback = simulation.run(execution_input, name)
    assert (second_rollback.id, second_rollback.evaluations, second_rollback.outcome) == (
        suppressed_rollback.id,
        2,
        Outcome.SUCCEEDED,
    )


def test_ids_of_rollbacks_of_one_second_sort_by_time() -> None:
    ids = [rollback_id(SERVICE, NOW + timedelta(milliseconds=ms), f"cause {ms}") for ms in range(0, 1000, 7)]
    assert ids == sorted(ids)


def test_the_fake_ledger_derives_its_pending_rollbacks_from_the_documents() -> None:
    simulation = start_simulation()
    rollback = simulation.admit()
    assert isinstance(simulation.ledger, FakeLedger)
    assert [entry.rollback_id for entry in simulation.ledger.pending(SERVICE).items] == [rollback.id]
    simulation.run_to_end(rollback)
    assert simulation.ledger.pending().items == ()


def test_a_full_rollback_that_meets_another_lease_is_evaluated_again_and_succeeds() -> None:
    simulation = TwoWriterSimulation()
    now = simulation.clock.now()
    other_rollback_id = f"{WORKER}-20260301T025900000Z-11111111"
    assert simulation.ledger.acquire(WORKER, other_rollback_id, now, now + timedelta(minutes=10)) is not None
    blocked = simulation.run(alarm_event("blocked", DEGRADED, now), "blocked")
    assert blocked.outcome is Outcome.SUPPRESSED
    assert blocked.recheck_at is not None
    simulation.ledger.release_lease(WORKER, other_rollback_id)
    simulation.clock.pass_time(minutes=simulation.policy.recheck_minutes)
    sweep(simulation.ports)
    (name, execution_input) = simulation.workflow.started.pop()
    second_rollback = simulation.run(execution_input, name)
    assert (second_rollback.id, second_rollback.outcome) == (blocked.id, Outcome.SUCCEEDED)


def test_an_operators_full_rollback_is_refused_while_another_rollback_holds_the_lease() -> None:
    simulation = TwoWriterSimulation()
    now = simulation.clock.now()
    other_rollback_id = f"{WORKER}-20260301T025900000Z-11111111"
    simulation.ledger.acquire(WORKER, other_rollback_id, now, now + timedelta(minutes=10))
    blocked = simulation.run({"type": "full", "service": SERVICE, "target_version": "v1"}, "blocked")
    assert (blocked.outcome, blocked.recheck_at) == (Outcome.REFUSED, None)


class TestSettingsChangeUnderAnOpenRollback:
    """Deployments of the stack that remove a service or a database of an open rollback."""

    def fence(self) -> tuple[TwoWriterSimulation, Rollback]:
        simulation = TwoWriterSimulation()
        rollback = simulation.admit({"type": "full", "service": SERVICE, "target_version": "v1"})
        while simulation.services.desired_count or simulation.worker.desired_count:
            rollback = simulation.run_due_step(rollback)
        return simulation, rollback

    def remove_service(self, simulation: TwoWriterSimulation, name: str) -> None:
        services = tuple(service for service in simulation.ports.settings.services if service.name != name)
        simulation.replace(settings=simulation.ports.settings.model_copy(update={"services": services}))

    def test_a_removed_writer_is_started_again_by_the_rollback(self) -> None:
        simulation, rollback = self.fence()
        self.remove_service(simulation, WORKER)
        concluded_rollback = simulation.run_to_end(rollback)
        assert concluded_rollback.outcome is Outcome.SUCCEEDED
        assert (simulation.services.desired_count, simulation.worker.desired_count) == (2, 2)

    def test_the_janitor_concludes_the_open_rollback_of_a_removed_service(self) -> None:
        simulation, rollback = self.fence()
        self.remove_service(simulation, SERVICE)
        for _ in range(6):
            simulation.clock.pass_time(minutes=5)
            simulation.services.tick()
            simulation.worker.tick()
            sweep(simulation.ports)
        concluded_rollback = simulation.read(rollback)
        assert concluded_rollback.concluded_at is not None
        assert (simulation.services.desired_count, simulation.worker.desired_count) == (2, 2)

    def test_a_rollback_keeps_its_database_after_the_stack_removed_it(self) -> None:
        simulation, rollback = self.fence()
        simulation.replace(settings=simulation.ports.settings.model_copy(update={"database": None}))
        assert simulation.run_to_end(rollback).outcome is Outcome.SUCCEEDED


def test_a_new_evaluation_resets_all_fields_but_the_kept_ones() -> None:
    """The first evaluation waited for Neon to its limit; the next evaluation has the whole limit again."""
    simulation = TwoWriterSimulation()
    first_rollback = simulation.ledger.create(
        a_rollback(
            event=TriggerEvent(id="e", at=NOW, alarm=DEGRADED),
            request={"type": "full", "service": SERVICE},
            database_waits_since=NOW - timedelta(hours=1),
            outcome=Outcome.SUPPRESSED,
            last_reported_result="suppressed for now",
            recheck_at=NOW,
            is_reported=True,
            concluded_at=NOW,
        )
    )
    simulation.alarms.fire(DEGRADED, NOW)
    sweep(simulation.ports)
    (name, execution_input) = simulation.workflow.started.pop()
    second_rollback = simulation.admit(execution_input, name)
    assert (second_rollback.id, second_rollback.evaluations, second_rollback.last_reported_result) == (
        first_rollback.id,
        2,
        first_rollback.last_reported_result,
    )
    assert second_rollback.database_waits_since is None
    assert simulation.run_to_end(second_rollback).outcome is Outcome.SUCCEEDED


def test_an_unreadable_index_is_no_evidence_that_no_rollback_is_open() -> None:
    simulation = start_simulation()
    simulation.clock.pass_time(minutes=30)  # in ALARM for long, and no rollback has answered

    def fail(service: str | None = None) -> object:
        raise ExternalServiceError("Query on ledger got no answer")

    simulation.ledger.pending = fail  # type: ignore[method-assign, assignment]
    with pytest.raises(ExternalServiceError):
        sweep(simulation.ports)
    assert simulation.workflow.started == []
    assert simulation.metrics.sweeps == 1


def test_many_unreadable_items_cause_one_page_and_are_listed_by_status() -> None:
    simulation = start_simulation()
    simulation.alarms.recover(DEGRADED)
    for number in range(50):
        simulation.ledger.record_unreadable(UnreadableItem(f"SERVICE#{SERVICE} / RELEASE#{number:02}", "no JSON"), NOW)
    sweep(simulation.ports)
    sweep(simulation.ports)
    (page,) = simulation.pages()
    assert "and 30 more" in page
    lines = status_lines(read_status(simulation.service_settings, simulation.ports))
    assert sum("no JSON" in line.text for line in lines) == 50


@pytest.mark.parametrize(("desired", "verdict"), [(0, Verdict.FAIL), (2, Verdict.PASS)])
def test_an_unreadable_obligation_suppresses_an_automatic_start_from_zero_tasks(desired: int, verdict: Verdict) -> None:
    unreadable_obligations: ReadResult[ObligationsEntry] = ReadResult(
        unreadable=(UnreadableItem("OBLIGATIONS / x", "no JSON"),)
    )
    check = guards.check_not_left_at_zero(a_rollback(), desired, unreadable_obligations, Policy(), NOW)
    assert check.verdict is verdict
    assert (check.recheck_due_at is not None) is (verdict is Verdict.FAIL)


def test_an_unreadable_change_counts_as_an_attempt() -> None:
    unreadable_changes: ReadResult[ChangeEntry] = ReadResult(
        unreadable=tuple(UnreadableItem(f"CHANGE#{n}", "no JSON") for n in range(2))
    )
    checks = guards.check_history(a_rollback(), frozenset(), frozenset(), unreadable_changes, Policy(), NOW)
    assert {check.name for check in checks if check.verdict is Verdict.FAIL} == {"attempt-budget"}
