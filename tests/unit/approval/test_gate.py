"""The gate of an approval: a full rollback waits for a person, without a lease, and goes on with what was approved."""

from datetime import timedelta
from typing import Any

import pytest
from fakes.aws.step_functions import FakeWorkflow
from simulations.database import BAD, GOOD, DatabaseSimulation
from simulations.fake_ports import DEGRADED, OUTAGE
from simulations.service import QUARANTINED, start_simulation
from support.builders import SERVICE, image

from rollback.approval.decide import await_approval, take_decision
from rollback.domain.approval.gate import DecisionKind
from rollback.domain.approval.identity import Identity
from rollback.domain.approval.policy import ApprovalPolicy, ApprovalReason
from rollback.domain.operator import Operator
from rollback.domain.rollback import DIRECT, Outcome, Rollback
from rollback.domain.settings.policy import Policy
from rollback.errors import CallRefused, ExternalServiceError, InvalidRequest, UnreadableItem
from rollback.operations.pause_abort_unlock import abort
from rollback.workflow import janitor
from rollback.workflow.route import Step, next_step
from rollback.workflow.runner import run_step

FULL = {"type": "full", "reason": "v2 is bad", "requested_by": "ada"}
SERVICE_ONLY = {"reason": "v2 is bad", "requested_by": "grace"}
GRACE = Identity(arn="arn:aws:sts::123456789012:assumed-role/OnCall/grace", account="123456789012", is_verified=True)
ADA = GRACE.model_copy(update={"arn": "arn:aws:sts::123456789012:assumed-role/OnCall/ada"})


def simulate(policy: Policy | None = None, **approval: Any) -> DatabaseSimulation:
    return DatabaseSimulation(policy or Policy(), approval=ApprovalPolicy(**approval))


def wait_at_gate(simulation: DatabaseSimulation, given: Any = None, execution: str = "execution-1") -> Rollback:
    """Run a rollback until it waits: its lease is free, and the request for a decision is sent."""
    rollback = simulation.run_until(simulation.admit(FULL if given is None else given, execution), Step.APPROVE)
    run_step(rollback.id, Step.APPROVE, simulation.ports)
    return simulation.read(rollback)


def decide(
    simulation: DatabaseSimulation,
    rollback: Rollback,
    kind: DecisionKind = DecisionKind.APPROVED,
    identity: Identity = GRACE,
    reason: str = "checked the plan",
) -> None:
    take_decision(rollback.id, kind, reason, identity, simulation.ports)


def waiting_simulation(**approval: Any) -> tuple[DatabaseSimulation, Rollback]:
    simulation = simulate(**approval)
    return simulation, wait_at_gate(simulation)


def requested_by(simulation: DatabaseSimulation, identity: Identity) -> Rollback:
    """Admit a full rollback whose requester AWS has confirmed, and run it to its gate."""
    rollback = simulation.admit(FULL)
    simulation.ledger.save(rollback.evolve(requester=identity))
    rollback = simulation.run_until(rollback, Step.APPROVE)
    run_step(rollback.id, Step.APPROVE, simulation.ports)
    return simulation.read(rollback)


# Waiting


def test_a_full_rollback_waits_without_a_lease_and_asks_once() -> None:
    simulation, rollback = waiting_simulation()
    for _ in range(3):
        simulation.run_due_step(rollback)

    waiting = simulation.read(rollback)
    assert waiting.is_at_gate
    assert simulation.ledger.lease(SERVICE) is None
    assert simulation.changes() == []
    (page,) = simulation.pages()
    assert f"rollback approve production {rollback.id} --reason '…'" in page
    assert f"rollback reject production {rollback.id} --reason '…'" in page
    assert "Until: 2026-03-01 04:00:00 UTC" in page
    assert "restore point: " in page
    assert "Because of: full" in page


def test_a_waiting_rollback_looks_again_within_five_minutes() -> None:
    _, rollback = waiting_simulation()
    assert rollback.wait_seconds == 300


def test_a_rollback_of_the_direct_mode_polls() -> None:
    simulation = simulate()
    rollback = simulation.admit(FULL)
    simulation.ledger.save(rollback.evolve(execution=f"{DIRECT}ada:1"))
    rollback = simulation.run_until(rollback, Step.APPROVE)
    run_step(rollback.id, Step.APPROVE, simulation.ports)
    assert simulation.read(rollback).wait_seconds == simulation.ports.settings.policy.poll_seconds


def test_an_alarm_whose_schema_breaks_waits_for_an_approval_too() -> None:
    simulation = simulate(Policy(on_incompatible_schema="full"))
    rollback = simulation.run_until(simulation.admit(), Step.APPROVE)
    assert rollback.approval is not None
    assert rollback.approval.approved_facts.schema_verdict == "breaking"
    run_step(rollback.id, Step.APPROVE, simulation.ports)
    decide(simulation, rollback)
    assert simulation.run_to_end(rollback).outcome is Outcome.SUCCEEDED


def test_a_dry_run_asks_for_no_approval() -> None:
    simulation = simulate()
    rollback = simulation.run({**FULL, "dry_run": True})
    assert (rollback.outcome, rollback.approval) == (Outcome.PLANNED, None)


def test_an_emergency_never_waits() -> None:
    simulation = start_simulation()
    settings = simulation.ports.settings
    everything = ApprovalPolicy(required_for=tuple(ApprovalReason))
    simulation.replace(settings=settings.model_copy(update={"approval": everything}))
    rollback = simulation.run({"type": "emergency", "force": True, "reason": "down"})
    assert (rollback.outcome, rollback.approval) == (Outcome.SUCCEEDED, None)


def test_a_forced_rollback_to_a_quarantined_release_waits_where_the_settings_say_so() -> None:
    simulation = start_simulation()
    simulation.ship("v0", QUARANTINED, hours_ago=72)
    simulation.ship("v2", hours_ago=0.1)
    reasons = (ApprovalReason.FORCED, ApprovalReason.QUARANTINED_TARGET)
    settings = simulation.ports.settings.model_copy(update={"approval": ApprovalPolicy(required_for=reasons)})
    simulation.replace(settings=settings)
    rollback = simulation.run_until(
        simulation.admit({"target_version": "v0", "force": True, "reason": "data"}), Step.APPROVE
    )
    assert rollback.approval is not None
    assert rollback.approval.reasons == reasons
    assert rollback.approval.approved_facts.overridden == ("target-is-good",)


def test_a_request_that_sns_refuses_is_shown_and_changes_no_outcome(monkeypatch: pytest.MonkeyPatch) -> None:
    simulation = simulate()

    def refuse(*_: object) -> None:
        raise CallRefused("SNS: no permission")

    monkeypatch.setattr(simulation.notifications, "publish", refuse)
    rollback = wait_at_gate(simulation)
    assert rollback.approval is not None
    assert rollback.approval.announcement_error == "SNS: no permission"
    assert rollback.is_at_gate


def test_a_request_is_sent_again_while_sns_does_not_answer(monkeypatch: pytest.MonkeyPatch) -> None:
    simulation = simulate()
    publish = simulation.notifications.publish

    def fail(*_: object) -> None:
        raise ExternalServiceError("SNS does not answer")

    monkeypatch.setattr(simulation.notifications, "publish", fail)
    rollback = wait_at_gate(simulation)
    assert rollback.wait_seconds == simulation.ports.settings.policy.poll_seconds
    monkeypatch.setattr(simulation.notifications, "publish", publish)
    run_step(rollback.id, Step.APPROVE, simulation.ports)
    assert len(simulation.pages()) == 1


# Decisions


def test_an_approved_rollback_plans_again_and_restores_the_data() -> None:
    simulation, rollback = waiting_simulation()
    simulation.pass_time(minutes=20)
    decide(simulation, rollback)
    ended = simulation.run_to_end(rollback)

    assert ended.outcome is Outcome.SUCCEEDED, ended.reason
    assert ended.approval is not None
    assert ended.approval.replanned_at is not None
    assert simulation.rows() == GOOD
    assert simulation.ledger.lease(SERVICE) is None
    report = simulation.notifications.sent[-1].message
    assert f"Approval: approved at 2026-03-01 03:20:00 UTC by {GRACE.arn}: checked the plan" in report


def test_a_rejected_rollback_ends_without_a_change() -> None:
    simulation, rollback = waiting_simulation()
    decide(simulation, rollback, DecisionKind.REJECTED, reason="we fix forward")
    ended = simulation.run_to_end(rollback)
    assert (ended.outcome, ended.reason) == (Outcome.REJECTED, f"rejected by {GRACE.arn}: we fix forward")
    assert simulation.neon.calls == []
    assert simulation.rows() == GOOD + BAD


def test_a_rollback_that_nobody_decides_is_rejected_at_its_time() -> None:
    simulation, rollback = waiting_simulation()
    ended = simulation.run_to_end(rollback)
    assert ended.outcome is Outcome.REJECTED
    assert ended.reason == "no person decided by 2026-03-01 04:00:00 UTC; nothing was changed"
    assert simulation.changes() == []
    assert "Approval: expired at" in simulation.notifications.sent[-1].message


def test_a_decision_wakes_the_execution_that_waits() -> None:
    simulation, rollback = waiting_simulation()
    workflow = simulation.workflow
    workflow.waiting.add("token-1")
    assert await_approval(rollback.id, "token-1", simulation.ports)
    result = take_decision(rollback.id, DecisionKind.APPROVED, "good", GRACE, simulation.ports)
    assert result.is_woken
    assert workflow.woken == ["token-1"]


@pytest.mark.parametrize(
    ("kind", "verb"), [(DecisionKind.APPROVED, "approve"), (DecisionKind.REJECTED, "reject")], ids=str
)
def test_a_decision_is_among_the_actions_of_operators_once_the_rollback_follows_it(
    kind: DecisionKind, verb: str
) -> None:
    simulation, rollback = waiting_simulation()
    decided_at = simulation.clock.now()
    decide(simulation, rollback, kind)
    assert list(simulation.ledger.actions(SERVICE)) == []  # the function `approve` may not write them
    simulation.run_to_end(rollback)

    (action,) = simulation.ledger.actions(SERVICE)
    assert (action.verb, action.subject, action.by) == (verb, rollback.id, GRACE.arn)
    assert (action.at, action.reason) == (decided_at, "checked the plan")


def test_a_gate_that_nobody_decides_is_no_action_of_an_operator() -> None:
    simulation, rollback = waiting_simulation()
    simulation.run_to_end(rollback)
    assert list(simulation.ledger.actions(SERVICE)) == []


def test_an_execution_that_begins_to_wait_after_the_decision_is_woken_at_once() -> None:
    simulation, rollback = waiting_simulation()
    decide(simulation, rollback)
    simulation.workflow.waiting.add("token-1")
    assert not await_approval(rollback.id, "token-1", simulation.ports)
    assert simulation.workflow.woken == ["token-1"]


def test_an_execution_that_waits_again_is_woken_by_its_last_token() -> None:
    simulation, rollback = waiting_simulation()
    for token in ("token-1", "token-2"):
        simulation.workflow.waiting = {token}
        await_approval(rollback.id, token, simulation.ports)
    decide(simulation, rollback)
    assert simulation.workflow.woken == ["token-2"]


def test_a_lost_wake_up_loses_no_decision(monkeypatch: pytest.MonkeyPatch) -> None:
    simulation, rollback = waiting_simulation()
    simulation.workflow.waiting.add("token-1")
    await_approval(rollback.id, "token-1", simulation.ports)

    def fail(self: FakeWorkflow, token: str) -> bool:
        raise ExternalServiceError("Step Functions does not answer")

    monkeypatch.setattr(FakeWorkflow, "send_task_success", fail)
    result = take_decision(rollback.id, DecisionKind.APPROVED, "good", GRACE, simulation.ports)
    assert not result.is_woken
    assert simulation.run_to_end(rollback).outcome is Outcome.SUCCEEDED


@pytest.mark.parametrize(
    ("reason", "text"), [(" ", "the reason is empty"), ("x" * 1001, "the reason has 1001 characters")]
)
def test_a_decision_needs_a_reason(reason: str, text: str) -> None:
    simulation, rollback = waiting_simulation()
    with pytest.raises(InvalidRequest, match=text):
        decide(simulation, rollback, reason=reason)
    assert simulation.read(rollback).is_at_gate


def test_a_second_decision_is_refused_and_names_the_first() -> None:
    simulation, rollback = waiting_simulation()
    decide(simulation, rollback, DecisionKind.REJECTED, reason="no")
    with pytest.raises(
        InvalidRequest, match=f"decided already: rejected at .* by {GRACE.arn}: no; nothing was changed"
    ):
        decide(simulation, rollback, identity=ADA)
    assert simulation.run_to_end(rollback).outcome is Outcome.REJECTED


def test_a_decision_after_the_time_is_refused() -> None:
    simulation, rollback = waiting_simulation(approval_timeout_minutes=10)
    simulation.clock.pass_time(minutes=10)
    with pytest.raises(InvalidRequest, match=r"the time to decide .* ended at 2026-03-01 03:10:00 UTC"):
        decide(simulation, rollback)
    assert simulation.run_to_end(rollback).outcome is Outcome.REJECTED


def test_an_approval_in_time_counts_although_the_execution_wakes_late() -> None:
    simulation, rollback = waiting_simulation(approval_timeout_minutes=10)
    simulation.pass_time(minutes=9)
    decide(simulation, rollback)
    simulation.pass_time(minutes=30)
    assert simulation.run_to_end(rollback).outcome is Outcome.SUCCEEDED


def test_a_decision_about_an_unknown_rollback_is_refused() -> None:
    simulation, _ = waiting_simulation()
    for rollback_id in ("", "nonsense", f"{SERVICE}-20260301T030000000Z-00000000"):
        with pytest.raises(InvalidRequest, match="there is no rollback"):
            take_decision(rollback_id, DecisionKind.APPROVED, "good", GRACE, simulation.ports)


def test_a_decision_about_a_rollback_that_waits_for_none_is_refused() -> None:
    simulation = start_simulation()
    rollback = simulation.run()
    with pytest.raises(InvalidRequest, match="waits for no approval: it ended as succeeded"):
        take_decision(rollback.id, DecisionKind.APPROVED, "good", GRACE, simulation.ports)


def test_a_decision_about_an_aborted_rollback_is_refused() -> None:
    simulation, rollback = waiting_simulation()
    abort(rollback.id, Operator("ada", "a mistake"), simulation.ports)
    with pytest.raises(InvalidRequest, match="waits for no approval any more: aborted"):
        decide(simulation, rollback)
    assert simulation.run_to_end(rollback).outcome is Outcome.ABORTED


def test_an_abort_after_the_approval_keeps_the_approval_in_the_report() -> None:
    simulation, rollback = waiting_simulation()
    decide(simulation, rollback)
    abort(rollback.id, Operator("ada", "a mistake"), simulation.ports)
    ended = simulation.run_to_end(rollback)
    assert ended.outcome is Outcome.ABORTED
    assert f"by {GRACE.arn}: checked the plan" in simulation.notifications.sent[-1].message
    assert {action.verb for action in simulation.ledger.actions(SERVICE)} == {"approve", "abort"}
    assert simulation.neon.calls == []


def test_a_damaged_decision_keeps_no_operator_from_an_abort(monkeypatch: pytest.MonkeyPatch) -> None:
    simulation, rollback = waiting_simulation()

    def fail(*_: object) -> None:
        raise UnreadableItem("APPROVAL#x / DECISION#y", "it is damaged")

    monkeypatch.setattr(simulation.ledger, "approval_decision", fail)
    assert abort(rollback.id, Operator("ada", "a mistake"), simulation.ports).outcome is Outcome.ABORTED


def test_the_report_about_an_execution_that_died_after_the_approval_names_the_approval() -> None:
    simulation, rollback = waiting_simulation()
    decide(simulation, rollback)
    janitor.conclude_execution(rollback.execution, "it was stopped", simulation.ports)
    ended = simulation.read(rollback)
    assert (ended.outcome, ended.has_acted) == (Outcome.ABORTED, False)
    report = simulation.notifications.sent[-1].message
    assert f"by {GRACE.arn}: checked the plan" in report
    assert "nobody decided" not in report


def test_only_people_s_kinds_of_decisions_are_taken_from_people() -> None:
    simulation, rollback = waiting_simulation()
    with pytest.raises(InvalidRequest, match="a person can't decide"):
        decide(simulation, rollback, DecisionKind.SUPERSEDED)


def test_a_principal_that_is_no_approver_is_refused() -> None:
    simulation, rollback = waiting_simulation(approvers=("arn:aws:iam::*:role/DatabaseAdmin",))
    with pytest.raises(InvalidRequest, match="is no approver"):
        decide(simulation, rollback)
    decide(
        simulation, rollback, identity=GRACE.model_copy(update={"arn": GRACE.arn.replace("OnCall", "DatabaseAdmin")})
    )
    assert simulation.run_to_end(rollback).outcome is Outcome.SUCCEEDED


def test_an_unverified_identity_decides_only_where_nothing_demands_a_proof() -> None:
    simulation, rollback = waiting_simulation(approvers=("arn:aws:iam::*:role/OnCall",))
    with pytest.raises(InvalidRequest, match="unverified: grace gave no proof of identity"):
        decide(simulation, rollback, identity=Identity.unverified("grace"))

    simulation, rollback = waiting_simulation()
    decide(simulation, rollback, identity=Identity.unverified("grace"))
    ended = simulation.run_to_end(rollback)
    assert ended.approval is not None
    assert ended.approval.decision is not None
    assert (ended.approval.decision.by, ended.approval.decision.is_verified) == ("unverified: grace", False)


def test_with_four_eyes_the_requester_can_not_decide_and_another_person_can() -> None:
    simulation = simulate(four_eyes=True)
    rollback = requested_by(simulation, ADA)
    with pytest.raises(InvalidRequest, match=r"started the rollback, and approval\.four_eyes demands"):
        decide(simulation, rollback, identity=ADA)
    decide(simulation, rollback, identity=GRACE)
    assert simulation.run_to_end(rollback).outcome is Outcome.SUCCEEDED


def test_with_four_eyes_a_manual_rollback_without_a_proof_is_refused_at_plan() -> None:
    simulation = simulate(four_eyes=True)
    rollback = simulation.run(FULL)
    assert rollback.outcome is Outcome.REFUSED
    assert "start it from the command line" in simulation.check(rollback, "requester-is-verified").reason
    assert simulation.neon.calls == []


def test_with_four_eyes_any_person_decides_about_an_alarm_s_rollback() -> None:
    simulation = simulate(Policy(on_incompatible_schema="full"), four_eyes=True)
    rollback = simulation.run_until(simulation.admit(), Step.APPROVE)
    decide(simulation, rollback, identity=ADA)
    assert simulation.run_to_end(rollback).outcome is Outcome.SUCCEEDED


# The world changes meanwhile


def test_a_release_that_was_deployed_meanwhile_refuses_the_approved_rollback() -> None:
    simulation, rollback = waiting_simulation()
    simulation.ship_v3()
    decide(simulation, rollback)
    ended = simulation.run_to_end(rollback)
    assert ended.outcome is Outcome.REFUSED
    assert f"the plan changed after {GRACE.arn} approved it: v3 (" in ended.reason
    assert "approved was a rollback of v2 (" in ended.reason
    assert simulation.neon.calls == []


def test_another_restore_point_refuses_the_approved_rollback() -> None:
    simulation, rollback = waiting_simulation()
    assert rollback.approval is not None
    other_facts = rollback.approval.approved_facts.model_copy(
        update={"restore_point": "0/1 at 2026-03-01 02:00:00 UTC"}
    )
    simulation.ledger.save(
        rollback.evolve(approval=rollback.approval.model_copy(update={"approved_facts": other_facts}))
    )
    decide(simulation, rollback)
    ended = simulation.run_to_end(rollback)
    assert ended.outcome is Outcome.REFUSED
    assert "the restore point is" in ended.reason
    assert simulation.neon.calls == []


def test_another_target_refuses_the_approved_rollback() -> None:
    simulation, rollback = waiting_simulation()
    (v1,) = (release for release in simulation.ledger.releases(SERVICE) if release.version == "v1")
    simulation.ledger.set_release_state(v1, QUARANTINED, simulation.clock.now(), "it leaks")
    decide(simulation, rollback)
    ended = simulation.run_to_end(rollback)
    assert ended.outcome is Outcome.REFUSED
    assert simulation.neon.calls == []


def test_a_schema_that_fits_again_refuses_the_rollback_that_was_approved_since_it_did_not() -> None:
    simulation = simulate(Policy(on_incompatible_schema="full"))
    rollback = simulation.run_until(simulation.admit(), Step.APPROVE)
    assert rollback.approval is not None
    facts = rollback.approval.approved_facts.model_copy(update={"schema_verdict": "unknown"})
    simulation.ledger.save(rollback.evolve(approval=rollback.approval.model_copy(update={"approved_facts": facts})))
    decide(simulation, rollback)
    ended = simulation.run_to_end(rollback)
    assert ended.outcome is Outcome.REFUSED
    assert "the schema verdict is breaking, approved was unknown" in ended.reason


def test_a_rollback_that_holds_the_lease_refuses_the_approved_one() -> None:
    simulation, rollback = waiting_simulation()
    other = f"{SERVICE}-20260301T030500000Z-11111111"
    now = simulation.clock.now()
    simulation.ledger.acquire(SERVICE, other, now, now + timedelta(hours=3))
    decide(simulation, rollback)
    ended = simulation.run_to_end(rollback)
    assert ended.outcome is Outcome.REFUSED
    assert f"{other} holds the lease on {SERVICE}" in ended.reason
    assert simulation.ledger.lease(SERVICE) is not None


# Other rollbacks of the service meanwhile


@pytest.mark.parametrize("alarm", [DEGRADED, OUTAGE])
def test_an_automatic_rollback_begins_at_once_and_ends_the_waiting_gate(alarm: str) -> None:
    simulation = start_simulation()
    simulation.replace(
        settings=simulation.ports.settings.model_copy(
            update={"approval": ApprovalPolicy(required_for=(ApprovalReason.FORCED,))}
        )
    )
    waiting = simulation.run_until(simulation.admit({"force": True, "reason": "try"}), Step.APPROVE)
    run_step(waiting.id, Step.APPROVE, simulation.ports)
    simulation.clock.pass_time(minutes=1)
    automatic = simulation.run_alarm_rollback(alarm)

    assert automatic.outcome is Outcome.SUCCEEDED, automatic.reason
    assert simulation.running() == image("v1")
    with pytest.raises(InvalidRequest, match=f"superseded at .* by {automatic.id}"):
        take_decision(waiting.id, DecisionKind.APPROVED, "late", GRACE, simulation.ports)
    changes = simulation.changes()
    ended = simulation.run_to_end(waiting)
    assert (ended.outcome, ended.taken_over_by) == (Outcome.ABORTED, automatic.id)
    assert simulation.changes() == changes


def test_an_outage_between_the_plan_and_the_return_of_the_lease_takes_the_lease() -> None:
    simulation = start_simulation()
    simulation.replace(
        settings=simulation.ports.settings.model_copy(
            update={"approval": ApprovalPolicy(required_for=(ApprovalReason.FORCED,))}
        )
    )
    waiting = simulation.run_until(simulation.admit({"force": True, "reason": "try"}), Step.APPROVE)
    assert simulation.ledger.lease(SERVICE) is not None
    emergency = simulation.run_alarm_rollback(OUTAGE)
    assert emergency.outcome is Outcome.SUCCEEDED
    assert simulation.workflow.stopped == []
    assert simulation.run_to_end(waiting).taken_over_by == emergency.id


def test_an_alarm_that_would_need_an_approval_too_leaves_the_waiting_gate_alone() -> None:
    simulation = simulate(Policy(on_incompatible_schema="full"))
    waiting = wait_at_gate(simulation)
    simulation.clock.pass_time(minutes=1)
    simulation.alarms.recover(DEGRADED)
    second = simulation.run(simulation.fire_alarm(OUTAGE), "execution-2")
    assert second.outcome is Outcome.SUPPRESSED
    assert f"{waiting.id} waits for an approval already" in second.reason
    assert second.recheck_at is not None
    decide(simulation, waiting)
    assert simulation.run_to_end(waiting).outcome is Outcome.SUCCEEDED


def test_an_operator_decides_about_the_waiting_rollback_before_starting_another() -> None:
    simulation, waiting = waiting_simulation()
    second = simulation.run(FULL, "execution-2")
    assert second.outcome is Outcome.SUPPRESSED
    assert f"rollback reject production {waiting.id} --reason '…'" in second.reason
    assert simulation.read(waiting).is_at_gate
    assert simulation.ledger.lease(SERVICE) is None


def test_a_forced_rollback_ends_the_waiting_gate_and_waits_at_its_own() -> None:
    simulation, waiting = waiting_simulation()
    forced = wait_at_gate(simulation, {**FULL, "force": True}, "execution-2")
    assert forced.is_at_gate
    assert simulation.run_to_end(waiting).taken_over_by == forced.id
    decide(simulation, forced)
    assert simulation.run_to_end(forced).outcome is Outcome.SUCCEEDED


# The janitor


def test_the_janitor_ends_a_gate_whose_execution_is_gone() -> None:
    simulation, rollback = waiting_simulation()
    simulation.clock.pass_time(minutes=15)
    simulation.alarms.recover(DEGRADED)
    janitor.sweep(simulation.ports)
    ended = simulation.read(rollback)
    assert (ended.outcome, ended.concluded_at is not None) == (Outcome.ABORTED, True)
    with pytest.raises(InvalidRequest, match="waits for no approval any more: aborted"):
        decide(simulation, rollback)


def test_the_janitor_leaves_a_gate_alone_while_its_execution_waits() -> None:
    simulation, rollback = waiting_simulation()
    simulation.workflow.running.add(rollback.execution)
    simulation.clock.pass_time(minutes=30)
    janitor.sweep(simulation.ports)
    assert simulation.read(rollback).is_at_gate


def test_the_janitor_ends_an_expired_gate_whose_wake_up_was_lost() -> None:
    simulation, rollback = waiting_simulation()
    simulation.workflow.running.add(rollback.execution)
    simulation.clock.pass_time(minutes=75)
    janitor.sweep(simulation.ports)
    assert simulation.read(rollback).outcome is Outcome.REJECTED
    assert next_step(simulation.read(rollback)) is Step.CONCLUDE


def test_the_janitor_leaves_a_gate_of_the_direct_mode_alone_until_its_time_is_over() -> None:
    simulation = simulate()
    rollback = simulation.admit(FULL)
    simulation.ledger.save(rollback.evolve(execution=f"{DIRECT}ada:1"))
    rollback = simulation.run_until(rollback, Step.APPROVE)
    run_step(rollback.id, Step.APPROVE, simulation.ports)
    simulation.clock.pass_time(minutes=40)
    janitor.sweep(simulation.ports)
    assert simulation.read(rollback).is_at_gate
    simulation.clock.pass_time(minutes=40)
    janitor.sweep(simulation.ports)
    assert simulation.read(rollback).concluded_at is not None
