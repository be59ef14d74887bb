"""The ledger's index: small items beside a rollback's document, which a decision reads in one request.

A service may have thousands of documents. So items of their own say whether a rollback is open, which obligations it
has, what the rollback changed, and how its trigger's evaluation ended. They are written in the same transaction as
the document.
`build_entries` derives all of them from the document alone.
"""

from collections.abc import Iterator
from datetime import datetime

from pydantic import AwareDatetime, BaseModel, ConfigDict, Field

from rollback.check import Verdict
from rollback.domain.drills.completed_drill import CompletedDrill, completed_drill_of
from rollback.domain.event import DETERIORATION_CHECK
from rollback.domain.obligation import OPERATOR, Obligation
from rollback.domain.request import DEPLOYMENT_CHECKS, RollbackType, Trigger
from rollback.domain.rollback import Outcome, Rollback

# Outcomes by which a plan decides about an alarm: an operator was notified.
_DECIDING_OUTCOMES = frozenset({Outcome.SUPPRESSED, Outcome.REFUSED, Outcome.PLANNED, Outcome.REJECTED})


class _Entry(BaseModel):
    model_config = ConfigDict(frozen=True, extra="ignore")  # derived: an unknown field may be dropped


class PendingEntry(_Entry):
    """A rollback that is to be concluded, reported or evaluated again."""

    service: str
    rollback_id: str
    execution: str
    is_open: bool
    can_act: bool = Field(
        description="False: a dry run, or an environment that only observes; it blocks no other rollback"
    )
    recheck_at: AwareDatetime | None = None
    source: str = Field(default="", description="`TriggerEvent.source` of its trigger")


class ObligationsEntry(_Entry):
    """Obligations that a rollback has not discharged yet, of one service or of a branch on its behalf."""

    service: str = Field(description="service that was changed; a fence changes several")
    rollback_id: str
    rollback_service: str = Field(description="service of the rollback, under which its document is stored")
    is_open: bool = Field(description="the rollback is not concluded, and will discharge them")
    outcome: Outcome | None = None
    reason: str = ""
    obligations: tuple[Obligation, ...] = Field(description="undischarged ones of this service, last change first")

    def left_to_operator(self) -> tuple[Obligation, ...]:
        """Obligations that an operator has to discharge, last change first."""
        return tuple(obligation for obligation in self.obligations if obligation.handed_to == OPERATOR)


class ChangeEntry(_Entry):
    """A rollback that changed the service or its database, was about to, or had a call refused for good."""

    rollback_id: str
    trigger: Trigger
    type: RollbackType
    created_at: AwareDatetime
    admitted_at: AwareDatetime
    concluded_at: AwareDatetime | None = None
    outcome: Outcome | None = None
    has_acted: bool
    has_changed_data: bool = False
    is_refused: bool = Field(default=False, description="a call was refused for good: it is refused again")
    is_emergency: bool = False
    has_intent: bool = Field(default=False, description="an intent was written; whether the call was made is not known")
    target_fingerprint: str | None = None
    target_version: str | None = None
    continues_rollback_id: str | None = None
    taken_over_by: str | None = None


FAILED_DEPLOYMENT = "deployment-failed"  # stands in place of an alarm's name; none of our alarms has this name


class TriggerResultEntry(_Entry):
    """The result of one trigger: how the rollback that an alarm or a failed deployment triggered was decided."""

    rollback_id: str
    alarm: str = Field(description="name of the alarm, or `FAILED_DEPLOYMENT`")
    created_at: AwareDatetime
    outcome: Outcome | None = None
    is_decided: bool = Field(
        default=False, description="a plan was made, or the admission decided for good, and an operator was notified"
    )
    is_aborted_for_good: bool = Field(default=False, description="aborted, and no recheck is planned")
    rechecked_at: AwareDatetime | None = Field(default=None, description="when the janitor last started an evaluation")
    crashed_evaluations: int = Field(default=0, description="evaluations that ended without a result")
    event_at: AwareDatetime | None = Field(default=None, description="time of the event, as EventBridge gives it")
    deployment_id: str | None = Field(default=None, description="failed deployment; None: the event named none")

    @property
    def evaluation_began_at(self) -> datetime:
        """Time at which the last evaluation began; the result does not cover later deployments."""
        return max(self.created_at, self.rechecked_at or self.created_at)


Entry = PendingEntry | ObligationsEntry | ChangeEntry | TriggerResultEntry | CompletedDrill
Key = tuple[str, str]

PENDING = "PENDING"
OBLIGATIONS = "OBLIGATIONS"


def pending_key(service: str, rollback_id: str) -> Key:
    """Key in one partition of all services, so that a service that left the settings is found too."""
    return PENDING, f"{service}#{rollback_id}"


def obligations_key(service: str, rollback_id: str) -> Key:
    """Key in one partition of all services, so that a service that left the settings is found too."""
    return OBLIGATIONS, f"{service}#{rollback_id}"


def change_key(service: str, admitted_at: datetime, rollback_id: str) -> Key:
    """Key in the order of time: changes are read since a time."""
    return f"SERVICE#{service}", f"CHANGE#{format_sortable_time(admitted_at)}#{rollback_id}"


def trigger_result_key(service: str, alarm: str, created_at: datetime, rollback_id: str) -> Key:
    """Key in the order of time: results are read since the alarm's state changed to ALARM."""
    return f"SERVICE#{service}", f"ANSWER#{alarm}#{format_sortable_time(created_at)}#{rollback_id}"


def drill_key(service: str, ended_at: datetime, rollback_id: str) -> Key:
    """Key in the order of time: the newest successful drill is read alone."""
    return f"SERVICE#{service}", f"DRILL#{format_sortable_time(ended_at)}#{rollback_id}"


def format_sortable_time(at: datetime) -> str:
    """Format a time so that texts sort as the times do."""
    return f"{at:%Y-%m-%dT%H:%M:%S.%fZ}"


def build_entries(rollback: Rollback) -> dict[Key, Entry | None]:
    """Build the entries of a document under every key that it ever had; None: the entry is to be deleted.

    A document never loses an obligation, its trigger or its time, so the former keys can be derived.
    """
    entries: dict[Key, Entry | None] = {pending_key(rollback.service_name, rollback.id): build_pending_entry(rollback)}
    for service in sorted({rollback.service_of_obligation(obligation) for obligation in rollback.obligations}):
        entries[obligations_key(service, rollback.id)] = build_obligations_entry(rollback, service)
    has_begun = rollback.service is not None or rollback.database is not None
    if rollback.refusal is not None or (rollback.admitted_at is not None and has_begun):
        at = rollback.admitted_at or rollback.began_at
        entries[change_key(rollback.service_name, at, rollback.id)] = build_change_entry(rollback)
    drill = completed_drill_of(rollback)
    if drill is not None:
        entries[drill_key(rollback.service_name, drill.ended_at, rollback.id)] = drill
    trigger_result = build_trigger_result_entry(rollback)
    if trigger_result is not None:
        entries[
            trigger_result_key(rollback.service_name, trigger_result.alarm, trigger_result.created_at, rollback.id)
        ] = trigger_result
    return entries


def build_pending_entry(rollback: Rollback) -> PendingEntry | None:
    """Build the entry; None: concluded and reported, data loss too, and not to be evaluated again."""
    is_open = rollback.concluded_at is None
    if not is_open and rollback.is_reported and rollback.recheck_at is None and not rollback.is_data_loss_report_due:
        return None
    return PendingEntry(
        service=rollback.service_name,
        rollback_id=rollback.id,
        execution=rollback.execution,
        is_open=is_open,
        can_act=not rollback.never_acts,
        recheck_at=rollback.recheck_at,
        source=rollback.event.source if rollback.event is not None else "",
    )


def build_obligations_entry(rollback: Rollback, service: str) -> ObligationsEntry | None:
    """Build the entry; None: all obligations of this service are discharged or handed to another rollback."""
    obligations = tuple(_undischarged(rollback, service))
    if not obligations:
        return None
    return ObligationsEntry(
        service=service,
        rollback_id=rollback.id,
        rollback_service=rollback.service_name,
        is_open=rollback.concluded_at is None,
        outcome=rollback.outcome,
        reason=rollback.reason,
        obligations=obligations,
    )


def _undischarged(rollback: Rollback, service: str) -> Iterator[Obligation]:
    for obligation in reversed(rollback.obligations):
        is_own_or_operators = obligation.handed_to is None or obligation.handed_to == OPERATOR
        if (
            obligation.discharged_at is None
            and is_own_or_operators
            and rollback.service_of_obligation(obligation) == service
        ):
            yield obligation


def build_change_entry(rollback: Rollback) -> ChangeEntry | None:
    """Build the entry; None: a drill, no change, no intent whose call may still be made, and no refused call.

    A drill counts neither as an attempt nor as a rollback of a release: what runs after it is what ran before.
    """
    if rollback.is_drill:
        return None
    service, database = rollback.service, rollback.database
    has_intent = (service is not None and service.intent is not None) or (
        database is not None and database.intent is not None
    )
    is_refused = rollback.refusal is not None
    if not is_refused and (rollback.admitted_at is None or not (rollback.has_acted or has_intent)):
        return None
    target = rollback.plan.target if rollback.plan is not None else None
    return ChangeEntry(
        rollback_id=rollback.id,
        trigger=rollback.trigger,
        type=rollback.request.type,
        created_at=rollback.created_at,
        admitted_at=rollback.admitted_at or rollback.began_at,
        is_refused=is_refused,
        is_emergency=rollback.is_emergency,
        concluded_at=rollback.concluded_at,
        outcome=rollback.outcome,
        has_acted=rollback.has_acted,
        has_changed_data=rollback.has_changed_data,
        has_intent=has_intent,
        target_fingerprint=target.fingerprint if target is not None else None,
        target_version=target.version if target is not None else None,
        continues_rollback_id=rollback.continues_rollback_id,
        taken_over_by=rollback.taken_over_by,
    )


def build_trigger_result_entry(rollback: Rollback) -> TriggerResultEntry | None:
    """Build the entry; None: neither an alarm nor ECS's event about a deployment triggered the rollback.

    An event without an alarm would count as one about a failed deployment, so a test event gets no entry.
    """
    event = rollback.event
    if event is None or rollback.trigger in {*DEPLOYMENT_CHECKS, Trigger.TEST}:
        return None
    return TriggerResultEntry(
        rollback_id=rollback.id,
        alarm=event.alarm or FAILED_DEPLOYMENT,
        created_at=rollback.created_at,
        outcome=rollback.outcome,
        is_decided=rollback.outcome in _DECIDING_OUTCOMES
        and (rollback.plan is not None or _is_no_change_for_the_worse(rollback)),
        is_aborted_for_good=rollback.outcome is Outcome.ABORTED and rollback.recheck_at is None,
        rechecked_at=rollback.rechecked_at,
        crashed_evaluations=rollback.crashed_evaluations,
        event_at=event.at,
        deployment_id=event.deployment_id,
    )


def _is_no_change_for_the_worse(rollback: Rollback) -> bool:
    """Whether the admission ruled that the alarm's change of state is no deterioration.

    Another suppression (a stale event, a copy of an event) decides nothing: the janitor evaluates the alarm again.
    """
    return any(check.name == DETERIORATION_CHECK and check.verdict is Verdict.FAIL for check in rollback.admission)
