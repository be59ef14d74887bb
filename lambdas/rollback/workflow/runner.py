"""Walk the route: load the document, take the step that is due, save, say where to go on.

Used by the Lambda handlers (one step an invocation) and by *direct* mode (all of them in one process) alike.
"""

from collections.abc import Callable
from datetime import datetime, timedelta
from typing import assert_never

from pydantic import BaseModel, ConfigDict

from rollback.conclusion.step import conclude
from rollback.database.changes.fence import renew_leases_of_stopped_services
from rollback.database.data_loss.step import compare_lost_rows, stop_comparison
from rollback.database.reconnection.step import announces_reconnection, reconnect
from rollback.database.restore.actions import has_new_intent
from rollback.database.step import database
from rollback.domain.rollback import Outcome, Rollback, service_of
from rollback.domain.settings.database import branch_key
from rollback.errors import CallRefused, Conflict, LeaseLost, UnreadableItem, UnsupportedService
from rollback.leases.successor import successor_of
from rollback.planning.step import plan
from rollback.ports.world import World
from rollback.service.reconciler import service
from rollback.verification.step import verify
from rollback.workflow import emergency
from rollback.workflow.route import Step, next_step

_WITHOUT_LEASE = frozenset({Step.CONCLUDE, Step.DATA_LOSS})
_MOST_SAVES = 50  # a step that never waits nor ends would be a defect: fail loudly rather than spin


class Cursor(BaseModel):
    """All that travels through Step Functions: small, no secrets, readable in the console."""

    model_config = ConfigDict(frozen=True, extra="ignore")

    rollback_id: str
    next: Step
    wait_seconds: int = 0
    summary: str = ""


def cursor_of(rollback: Rollback) -> Cursor:
    """Where a document stands."""
    outcome = f": {rollback.outcome}" if rollback.outcome else ""
    summary = f"{rollback.request.type} rollback of {rollback.service_name}{outcome} {rollback.reason}".strip()
    return Cursor(
        rollback_id=rollback.id, next=next_step(rollback), wait_seconds=rollback.wait_seconds, summary=summary[:500]
    )


def start_emergency(given: object, execution: str, started_at: datetime, world: World) -> Cursor:
    """Admit, plan and act in one invocation.

    Raises:
        InvalidRequest: the input can't be understood; nothing was changed.
    """
    return cursor_of(
        emergency.start_emergency_rollback(given, execution, started_at, world.with_short_timeouts(), _run_round)
    )


def run_step(rollback_id: str, due: Step, world: World, failure: str | None = None) -> Cursor:
    """Take one step until it waits or another one is due; a retry finds the document further on and only says so.

    Args:
        failure: why the execution came to Conclude from a step that failed.

    Raises:
        KeyError: the ledger has no such rollback.
        UnreadableItem: it can't be read.
        ExternalServiceError, Conflict: nothing is lost; call again (not after `CallRefused`).
    """
    rollback = world.ledger.read(service_of(rollback_id), rollback_id)
    world = world.for_settings(rollback.settings)
    if rollback.is_emergency and due in (Step.EMERGENCY, Step.SERVICE):
        world = world.with_short_timeouts()
    if failure is not None and rollback.outcome is None:
        rollback = world.ledger.save(rollback.evolve(outcome=Outcome.FAILED, reason=failure[:2000], wait_seconds=0))
    if failure is not None and next_step(rollback) is Step.DATA_LOSS:
        rollback = world.ledger.save(stop_comparison(rollback, failure, world.clock.now()))
    for _ in range(_MOST_SAVES):
        step = next_step(rollback)
        if rollback.concluded_at is not None:  # the account of lost writes holds nothing
            _release_leases(rollback, world)
        if step is not due or step is Step.DONE:
            return cursor_of(rollback)
        rollback = _run_round(rollback, step, world)
        if rollback.wait_seconds:
            return cursor_of(rollback)
    raise Conflict(f"{rollback_id}: step {due} went on for {_MOST_SAVES} rounds without waiting; call it again")


def _run_round(rollback: Rollback, step: Step, world: World) -> Rollback:
    """One round of one step, saved. A lost lease ends the rollback: whoever holds it acts now, and reports."""
    try:
        # Conclude is reached without the lease too, and takes it where it needs it.
        # The account of lost writes is made without one.
        if step not in _WITHOUT_LEASE and not rollback.never_acts:
            counter = _renew_lease(rollback, world)
            if counter != rollback.lease_counter:
                return world.ledger.save(rollback.evolve(lease_counter=counter))
            if step is not Step.DATABASE:  # which holds them itself, and ends without them
                renew_leases_of_stopped_services(rollback, world)
        after = _action_of(step)(rollback, world)
        return world.ledger.save(after, under_lease_until=_lease_needed_until(rollback, after, step, world))
    except (CallRefused, UnsupportedService) as refused:
        if step in _WITHOUT_LEASE:  # it has its outcome: the janitor goes on with what is left
            raise
        return world.ledger.save(rollback.mark_refused(refused))
    except LeaseLost as lost:
        return world.ledger.save(
            rollback.evolve(
                outcome=Outcome.ABORTED,
                reason=str(lost),
                superseded_by=successor_of(rollback, world),
                is_operator_abort=bool(rollback.is_operator_abort),  # `unlock --force` wrote it down
                wait_seconds=0,
            )
        )


def _lease_needed_until(before: Rollback, after: Rollback, step: Step, world: World) -> datetime | None:
    """How long the lease must last for what a step has announced (rule 9); None: it announced nothing."""
    policy, now = world.settings.policy, world.clock.now()
    if step is Step.DATABASE:
        until = now + timedelta(seconds=policy.database_timeout_seconds)
        return until if has_new_intent(before, after) else None
    if step is Step.RECONNECT:
        until = now + timedelta(seconds=policy.database_timeout_seconds)
        return until if announces_reconnection(before, after) else None
    intent = after.service.intent if after.service is not None else None
    was = before.service.intent if before.service is not None else None
    return now + timedelta(seconds=policy.act_timeout_seconds) if intent is not None and intent != was else None


def _release_leases(rollback: Rollback, world: World) -> None:
    """The service's; and those of the branch, its writers and its readers, where the database was part of it."""
    world.ledger.release_lease(rollback.service_name, rollback.id)
    settings = world.settings.database
    planned = rollback.plan.database if rollback.plan is not None else None
    if planned is None or settings is None:
        return
    world.ledger.release_lease(branch_key(settings.project_id, planned.branch), rollback.id)
    for one in (*world.settings.writers(), *world.settings.readers()):
        world.ledger.release_lease(one.name, rollback.id)


def _action_of(step: Step) -> Callable[[Rollback, World], Rollback]:
    match step:
        case Step.EMERGENCY:
            return emergency.plan_emergency
        case Step.PLAN:
            return plan
        case Step.DATABASE:
            return database
        case Step.SERVICE:
            return service
        case Step.RECONNECT:
            return reconnect
        case Step.VERIFY:
            return verify
        case Step.CONCLUDE:
            return conclude
        case Step.DATA_LOSS:
            return compare_lost_rows
        case Step.ADMIT | Step.DONE:
            raise Conflict(f"{step} is not walked to: Admit makes the document, and done is the end")
        case _:
            assert_never(step)


def _renew_lease(rollback: Rollback, world: World) -> int:
    """The counter of our lease, held for longer. One that ran out, and that nobody took, is taken again.

    Step Functions or Lambda may stand still for longer than a lease; to end for that could leave a service at zero.
    """
    now = world.clock.now()
    until = now + timedelta(minutes=world.settings.policy.lease_minutes)
    try:
        held = world.ledger.lease(rollback.service_name)
    except UnreadableItem:  # nobody can show that they hold it: the first who asks has it
        held = world.ledger.acquire(rollback.service_name, rollback.id, now, until)
        if held is not None:
            return held.counter
    if held is None or held.holder != rollback.id or held.counter != rollback.lease_counter:
        raise LeaseLost(f"{rollback.id} no longer holds the lease on {rollback.service_name}")
    ours = held if held.expires_at > now else world.ledger.acquire(rollback.service_name, rollback.id, now, until)
    if ours is None:
        raise LeaseLost(f"{rollback.id} no longer holds the lease on {rollback.service_name}: it ran out")
    return world.ledger.renew(ours, now, until).counter
