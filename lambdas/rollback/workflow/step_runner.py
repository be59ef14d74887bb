"""Run the route: load the document, run the step that is due, save it, and return a cursor to the next step.

A runner has the steps that its process runs. So a Lambda function imports no step of another function.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta

from pydantic import BaseModel, ConfigDict

from rollback.delivery.events import emit_phases
from rollback.domain.rollback import Outcome, Rollback, service_of
from rollback.errors import CallRefused, Conflict, LeaseLost, UnsupportedService
from rollback.identity.task_definition import with_definition_memo
from rollback.leases.hold import release_leases, renew_leases_of_stopped_services, renew_service_lease
from rollback.leases.holder import successor_of
from rollback.planning.approval import supersede_waiting
from rollback.ports.all_ports import AllPorts
from rollback.workflow.route import Step, next_step

_WITHOUT_LEASE = frozenset({Step.APPROVE, Step.CONCLUDE, Step.DATA_LOSS})
_BEGINNING = frozenset({Step.APPROVE, Step.DATABASE, Step.SERVICE})  # the first round after Plan is one of these
_AFTER_OUTCOME = frozenset({Step.CONCLUDE, Step.DATA_LOSS})
_MAX_ROUNDS = 50  # a step that neither waits nor ends is a defect: raise instead of spinning


class Cursor(BaseModel):
    """The state that travels through Step Functions: small, free of secrets, readable in the console."""

    model_config = ConfigDict(frozen=True, extra="ignore")

    rollback_id: str
    next: Step
    wait_seconds: int = 0
    summary: str = ""


def cursor_of(rollback: Rollback) -> Cursor:
    """Make the cursor of a document: its next step and a summary."""
    outcome = f": {rollback.outcome}" if rollback.outcome else ""
    summary = f"{rollback.request.type} rollback of {rollback.service_name}{outcome} {rollback.reason}".strip()
    return Cursor(
        rollback_id=rollback.id, next=next_step(rollback), wait_seconds=rollback.wait_seconds, summary=summary[:500]
    )


def lease_until_service_is_changed(before: Rollback, after: Rollback, ports: AllPorts) -> datetime | None:
    """Return when the function that makes an announced change of the service has ended; None: nothing announced."""
    intent = after.service.intent if after.service is not None else None
    previous_intent = before.service.intent if before.service is not None else None
    is_new_intent = intent is not None and intent != previous_intent
    return ports.clock.now() + timedelta(seconds=ports.settings.policy.act_timeout_seconds) if is_new_intent else None


@dataclass(frozen=True)
class StepAction:
    """One step as a process runs it.

    Attributes:
        run: one round of the step: the next safe action on a document, and the document after it.
        lease_until: given the document before and after a round, when the function that makes an announced change has
            ended (rule 9: the lease outlasts the function). None: the round announced no change, and opened no gate.
    """

    run: Callable[[Rollback, AllPorts], Rollback]
    lease_until: Callable[[Rollback, Rollback, AllPorts], datetime | None] = lease_until_service_is_changed


class StepRunner:
    """Runner of some steps of the route."""

    def __init__(
        self,
        actions: Mapping[Step, StepAction],
        want_deliveries: Callable[[Rollback, AllPorts], None] | None = None,
        stop_comparison: Callable[[Rollback, str, datetime], Rollback] | None = None,
    ) -> None:
        """Keep the steps that this process runs.

        Args:
            actions: the steps.
            want_deliveries: writes down what each channel should show; only Plan and Conclude need it.
            stop_comparison: end of the data-loss analysis by a failure; only the process of Conclude needs it.
        """
        self._actions, self._want_deliveries, self._stop_comparison = actions, want_deliveries, stop_comparison

    def run(self, rollback_id: str, due: Step, ports: AllPorts, failure: str | None = None) -> Cursor:
        """Run one step until it waits or another step is due. A retry continues from the saved document.

        Args:
            rollback_id: the rollback.
            due: the step that the caller's cursor names.
            ports: access to AWS, Neon and the ledger.
            failure: error of the step that Step Functions caught on the way to Conclude; None: no step failed.

        Raises:
            KeyError: the ledger has no such rollback.
            UnreadableItem: the document can't be read.
            ExternalServiceError: nothing is lost; call again (not after `CallRefused`).
            Conflict: another process saved the document; call again.
        """
        rollback = ports.ledger.read(service_of(rollback_id), rollback_id)
        ports = with_definition_memo(ports.for_settings(rollback.settings))
        if rollback.is_emergency and due in (Step.EMERGENCY, Step.SERVICE):
            ports = ports.with_short_timeouts()
        announced: Rollback | None = rollback
        if failure is not None and rollback.outcome is None:
            rollback = ports.ledger.save(rollback.evolve(outcome=Outcome.FAILED, reason=failure[:2000], wait_seconds=0))
        if failure is not None and next_step(rollback) is Step.DATA_LOSS and self._stop_comparison is not None:
            rollback = ports.ledger.save(self._stop_comparison(rollback, failure, ports.clock.now()))
        for _ in range(_MAX_ROUNDS):
            step = next_step(rollback)
            if rollback.concluded_at is not None:  # the data-loss analysis needs no lease
                release_leases(rollback, ports)
            if step is not due or step is Step.DONE:
                return cursor_of(rollback)
            rollback = self.run_round(rollback, step, ports)
            announced = emit_phases(announced, rollback, ports)
            if rollback.wait_seconds:
                return cursor_of(rollback)
        raise Conflict(f"{rollback_id}: step {due} ran {_MAX_ROUNDS} rounds without waiting; call it again")

    def run_round(self, rollback: Rollback, step: Step, ports: AllPorts) -> Rollback:
        """Run and save one round of a step. A lost lease ends the rollback: its new holder acts and reports.

        Raises:
            Conflict: another process saved the document, or this process does not run the step.
            ExternalServiceError: nothing is lost; call again (not after `CallRefused`).
        """
        action = self._action_of(step)
        try:
            # Conclude may be reached without the lease, and takes the lease where it needs one.
            if step not in _WITHOUT_LEASE and not rollback.never_acts:
                counter = renew_service_lease(rollback, ports)
                if counter != rollback.lease_counter:
                    return ports.ledger.save(rollback.evolve(lease_counter=counter))
                if step is not Step.DATABASE:  # the database step holds these leases itself
                    renew_leases_of_stopped_services(rollback, ports)
            if step in _BEGINNING:
                supersede_waiting(rollback, ports)
            after = action.run(rollback, ports)
            asks = step is Step.PLAN and after.is_at_gate  # its event may be lost; the janitor then asks the people
            is_concluded = step is Step.CONCLUDE and after.concluded_at is not None
            if (asks or is_concluded) and self._want_deliveries is not None:
                self._want_deliveries(after, ports)
            return ports.ledger.save(after, under_lease_until=action.lease_until(rollback, after, ports))
        except (CallRefused, UnsupportedService) as refusal:
            if step in _AFTER_OUTCOME:  # the outcome is known: the janitor finishes the conclusion
                raise
            return ports.ledger.save(rollback.fail_on_refused_call(refusal))
        except LeaseLost as lease_lost:
            return ports.ledger.save(
                rollback.evolve(
                    outcome=Outcome.ABORTED,
                    reason=str(lease_lost),
                    taken_over_by=successor_of(rollback, ports),
                    is_operator_abort=bool(rollback.is_operator_abort),  # `unlock --force` records it
                    wait_seconds=0,
                )
            )

    def _action_of(self, step: Step) -> StepAction:
        action = self._actions.get(step)
        if action is None:
            can_run = ", ".join(sorted(self._actions)) or "no step"
            raise Conflict(f"{step} can't be run: this process runs {can_run}; nothing was changed")
        return action
