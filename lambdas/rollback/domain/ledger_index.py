"""The ledger's index: small items beside a rollback's document, which decisions read in one request.

A document may be one of thousands. Whether a rollback is open, what it owes, what it changed and how it answered an
alarm are therefore kept as items of their own, written in the same transaction as the document. All of them follow from
the document alone: `build_entries` is the one place that says how.
"""

from collections.abc import Iterator
from datetime import datetime

from pydantic import AwareDatetime, BaseModel, ConfigDict, Field

from rollback.check import Verdict
from rollback.domain.event import DETERIORATION_CHECK
from rollback.domain.request import RollbackType, Trigger
from rollback.domain.rollback import OPERATOR, Obligation, Outcome, Rollback

# Outcomes by which a plan has answered an alarm: an operator has been told.
_ANSWERS = frozenset({Outcome.SUPPRESSED, Outcome.REFUSED, Outcome.PLANNED, Outcome.REJECTED})


class _Entry(BaseModel):
    model_config = ConfigDict(frozen=True, extra="ignore")  # derived from the document: nothing of it can be lost


class PendingEntry(_Entry):
    """A rollback about which something is still to be done: to conclude, to report, or to look again."""

    service: str
    rollback_id: str
    execution: str
    is_open: bool
    can_act: bool = Field(
        description="False: a dry run, or an environment that only observes; it stands in nobody's way"
    )
    recheck_at: AwareDatetime | None = None
    source: str = Field(default="", description="`TriggerEvent.source` of what asked for it")


class ObligationsEntry(_Entry):
    """Changes to one service (or to a branch, for it) that a rollback has not put back yet."""

    service: str = Field(description="the service that is changed; a fence changes several")
    rollback_id: str
    rollback_service: str = Field(description="the service that the rollback is about: its document is kept there")
    is_open: bool = Field(description="the rollback is not concluded, and still puts it back")
    outcome: Outcome | None = None
    reason: str = ""
    obligations: tuple[Obligation, ...] = Field(description="undischarged ones of this service, last change first")

    def left_to_operator(self) -> tuple[Obligation, ...]:
        """Those that an operator has to put back, last change first."""
        return tuple(one for one in self.obligations if one.handed_to == OPERATOR)


class ChangeEntry(_Entry):
    """A rollback that changed the service or its database, was about to, or was refused a call for good."""

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
    has_intent: bool = Field(default=False, description="a call was announced; whether it was made is not known")
    target_fingerprint: str | None = None
    target_version: str | None = None
    supersedes: str | None = None
    superseded_by: str | None = None


FAILED_DEPLOYMENT = "deployment-failed"  # stands for the alarm; no alarm of ours has this name


class AnswerEntry(_Entry):
    """How one rollback answered its alarm, or the failure of a deployment."""

    rollback_id: str
    alarm: str
    created_at: AwareDatetime
    outcome: Outcome | None = None
    is_decided: bool = Field(
        default=False, description="a plan was made, or the admission decided for good; an operator was told"
    )
    is_stopped: bool = Field(default=False, description="an operator stopped it: the alarm is theirs")
    rechecked_at: AwareDatetime | None = None
    crashed_evaluations: int = 0
    event_at: AwareDatetime | None = None
    deployment_id: str | None = Field(default=None, description="that failed; None: the event named none")

    @property
    def answered_at(self) -> datetime:
        """When the look began that gave the answer: what was deployed later is not meant by it."""
        return max(self.created_at, self.rechecked_at or self.created_at)


Entry = PendingEntry | ObligationsEntry | ChangeEntry | AnswerEntry
Key = tuple[str, str]

PENDING = "PENDING"
OWED = "OWED"


def pending_key(service: str, rollback_id: str) -> Key:
    """One partition for all services: also one that is in the settings no more is found."""
    return PENDING, f"{service}#{rollback_id}"


def owed_key(service: str, rollback_id: str) -> Key:
    """One partition for all services, as above."""
    return OWED, f"{service}#{rollback_id}"


def change_key(service: str, admitted_at: datetime, rollback_id: str) -> Key:
    """In the order of time: changes are read since a time."""
    return f"SERVICE#{service}", f"CHANGE#{format_sortable_time(admitted_at)}#{rollback_id}"


def answer_key(service: str, alarm: str, created_at: datetime, rollback_id: str) -> Key:
    """In the order of time: answers are read since the alarm went red."""
    return f"SERVICE#{service}", f"ANSWER#{alarm}#{format_sortable_time(created_at)}#{rollback_id}"


def format_sortable_time(at: datetime) -> str:
    """A time as text that sorts as the times do."""
    return f"{at:%Y-%m-%dT%H:%M:%S.%fZ}"


def build_entries(rollback: Rollback) -> dict[Key, Entry | None]:
    """All entries that this document has had or has; None: it has that one no more.

    A document never loses an obligation, its trigger or its time, so that every key it ever had is found again.
    """
    entries: dict[Key, Entry | None] = {pending_key(rollback.service_name, rollback.id): build_pending_entry(rollback)}
    for service in sorted({rollback.service_of_obligation(owed) for owed in rollback.obligations}):
        entries[owed_key(service, rollback.id)] = build_obligations_entry(rollback, service)
    began = rollback.service is not None or rollback.database is not None
    if rollback.refusal is not None or (rollback.admitted_at is not None and began):
        at = rollback.admitted_at or rollback.began_at
        entries[change_key(rollback.service_name, at, rollback.id)] = build_change_entry(rollback)
    answer = build_answer_entry(rollback)
    if answer is not None:
        entries[answer_key(rollback.service_name, answer.alarm, answer.created_at, rollback.id)] = answer
    return entries


def build_pending_entry(rollback: Rollback) -> PendingEntry | None:
    """None: concluded, reported, all lost writes told, and its trigger is not to be looked at again."""
    is_open = rollback.concluded_at is None
    if not is_open and rollback.reported and rollback.recheck_at is None and not rollback.is_data_loss_report_due:
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
    """None: everything of this service was put back, or another rollback does it."""
    owed = tuple(_undischarged(rollback, service))
    if not owed:
        return None
    return ObligationsEntry(
        service=service,
        rollback_id=rollback.id,
        rollback_service=rollback.service_name,
        is_open=rollback.concluded_at is None,
        outcome=rollback.outcome,
        reason=rollback.reason,
        obligations=owed,
    )


def _undischarged(rollback: Rollback, service: str) -> Iterator[Obligation]:
    for owed in reversed(rollback.obligations):
        open_or_left = owed.handed_to is None or owed.handed_to == OPERATOR
        if owed.discharged_at is None and open_or_left and rollback.service_of_obligation(owed) == service:
            yield owed


def build_change_entry(rollback: Rollback) -> ChangeEntry | None:
    """None: it changed nothing, announced nothing that may still be made, and was refused nothing."""
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
        supersedes=rollback.supersedes,
        superseded_by=rollback.superseded_by,
    )


def build_answer_entry(rollback: Rollback) -> AnswerEntry | None:
    """None: no event asked for it."""
    event = rollback.event
    if event is None:
        return None
    return AnswerEntry(
        rollback_id=rollback.id,
        alarm=event.alarm or FAILED_DEPLOYMENT,
        created_at=rollback.created_at,
        outcome=rollback.outcome,
        is_decided=rollback.outcome in _ANSWERS
        and (rollback.plan is not None or _is_no_change_for_the_worse(rollback)),
        is_stopped=rollback.outcome is Outcome.ABORTED and rollback.recheck_at is None,
        rechecked_at=rollback.rechecked_at,
        crashed_evaluations=rollback.crashed_evaluations,
        event_at=event.at,
        deployment_id=event.deployment_id,
    )


def _is_no_change_for_the_worse(rollback: Rollback) -> bool:
    """The admission decided about this time that the alarm is red: by the setting, such a change starts nothing.

    What it suppressed for another reason (a stale event, a copy) was not about the alarm, which is asked again.
    """
    return any(c.name == DETERIORATION_CHECK and c.verdict is Verdict.FAIL for c in rollback.admission)
