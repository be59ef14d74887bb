"""The document of one rollback: everything known about it, versioned, kept in the ledger."""

import hashlib
from datetime import datetime
from enum import StrEnum
from typing import Any

from pydantic import AwareDatetime, BaseModel, ConfigDict, Field

from rollback.check import Check, Verdict
from rollback.domain.database.progress import StoredDatabaseProgress
from rollback.domain.database.reconnection import Reconnection
from rollback.domain.escalation import EscalationAttempt, EscalationLevel
from rollback.domain.plan import Plan
from rollback.domain.refusal import Refusal
from rollback.domain.releases.newer_release import NewerRelease
from rollback.domain.request import Request, RollbackType, Trigger
from rollback.domain.settings.environment import Settings
from rollback.domain.settings.stored_settings import StoredSettings
from rollback.domain.stored import SCHEMA_VERSION
from rollback.errors import RollbackError
from rollback.text import StoredText

_LONGEST_REASON = 2000
# Fields that one look leaves to the next: the record's identity, its counts, the answer that was told, and its debts.
_KEPT_BY_EVALUATION = (
    "version", "id", "environment", "trigger", "event", "created_at", "crashed_evaluations", "told",
    "obligations", "rechecked_at",
    "rechecks", "zero_desired_seen_at",
)  # fmt: skip
DIRECT = "direct:"  # begins the `execution` of a rollback in direct mode


class Outcome(StrEnum):
    """How a rollback ended."""

    SUCCEEDED = "succeeded"
    FAILED = "failed"
    REFUSED = "refused"
    REJECTED = "rejected"
    SUPPRESSED = "suppressed"
    PLANNED = "planned"
    ABORTED = "aborted"
    SUPERSEDED = "superseded"  # the team deployed a newer release meanwhile, which is left alone


class ObligationKind(StrEnum):
    """What we may have changed and must put back."""

    DEPLOYMENT_CONFIGURATION = "deployment_configuration"
    SCALING = "scaling"
    FENCE = "fence"
    BRANCH_PROTECTION = "branch_protection"


OPERATOR = "operator"  # whom an obligation is handed to when nothing of ours could discharge it


class Obligation(BaseModel):
    """Appended before the change is made; discharged in reverse order by Conclude."""

    model_config = ConfigDict(frozen=True, extra="allow")  # a newer version's fields are kept

    kind: ObligationKind
    before: dict[str, Any]
    discharged_at: AwareDatetime | None = None
    handed_to: str | None = Field(
        default=None, description="who puts it back now: another rollback's id, or `operator`"
    )
    service: str | None = Field(
        default=None, description="whose it is, if not the rollback's own service's: a fence has several (rule 8)"
    )


class Intent(BaseModel):
    """A change about to be made, in the ledger before the call is sent (rule 9)."""

    model_config = ConfigDict(frozen=True, extra="ignore")  # a newer version may have written it

    action: str
    at: AwareDatetime
    arguments: dict[str, Any] = Field(default_factory=dict)


class ServiceProgress(BaseModel):
    """How far the service is on its way to the target."""

    model_config = ConfigDict(frozen=True, extra="allow")  # a newer version's fields are kept

    started_at: AwareDatetime
    escalation_level: EscalationLevel = EscalationLevel.SERVICE
    escalation_level_since: AwareDatetime
    tried: tuple[EscalationAttempt, ...] = Field(default=(), description="the rungs before this one")
    target_definition_arn: str | None = None
    intent: Intent | None = None
    acted_at: AwareDatetime | None = None
    target_since: AwareDatetime | None = Field(default=None, description="when another target was taken, the last time")
    redeployment_forced_at: AwareDatetime | None = Field(default=None, description="a stuck deployment is, once a rung")
    restarted_at: AwareDatetime | None = Field(default=None, description="started again after a stop at zero")
    reassert_until: AwareDatetime | None = Field(
        default=None, description="rule 9: a call of the rollback that was taken over may land until then"
    )
    moves: tuple[str, ...] = ()
    stop_refused: str = Field(
        default="", description="why no deployment in flight can be stopped: the service is updated instead"
    )
    notes: tuple[str, ...] = Field(default=(), description="for the report")
    scaling_maximum: int | None = Field(default=None, description="tasks that scaling allows, as last asked")
    done_at: AwareDatetime | None = None

    def announce(self, action: str, now: datetime, **fields: Any) -> "ServiceProgress":
        """Record the change that the next round sends.

        Args:
            action: name of the change.
            now: time of the announcement.
            fields: `arguments` of the call, and fields of the progress that hold from the announcement on.
        """
        arguments = fields.pop("arguments", {})
        return self.evolve(intent=Intent(action=action, at=now, arguments=arguments), **fields)

    def add_note(self, note: str) -> "ServiceProgress":
        """The progress with a remark for the report, once."""
        return self if note in self.notes else self.evolve(notes=(*self.notes, note))

    def evolve(self, **changes: Any) -> "ServiceProgress":
        """A validated copy with some fields changed."""
        return ServiceProgress.model_validate({**dict(self), **changes})


class Verification(BaseModel):
    """Rounds of checks after the service settled."""

    model_config = ConfigDict(frozen=True, extra="ignore")  # a newer version may have written it

    started_at: AwareDatetime
    good_rounds: int = Field(default=0, description="in a row, in which all that could be asked was well")
    rounds: int = 0
    checks: tuple[Check, ...] = ()
    passed_at: AwareDatetime | None = None


class TriggerEvent(BaseModel):
    """The EventBridge event that asked, cut to what decides."""

    model_config = ConfigDict(frozen=True, extra="ignore")  # a newer version may have written it

    id: str
    at: AwareDatetime
    alarm: str | None = None
    deployment_id: str | None = Field(default=None, description="`ecs-svc/…`, of a failed deployment")
    reason: StoredText = ""

    @property
    def source(self) -> str:
        """The alarm or deployment that is asked again before anything is changed."""
        return f"alarm {self.alarm}" if self.alarm is not None else f"deployment {self.deployment_id or 'unknown'}"


class Rollback(BaseModel):
    """One rollback. `version` counts the saves: each save is a compare-and-set on it."""

    model_config = ConfigDict(frozen=True, extra="allow")  # a newer version's fields are kept

    schema_version: int = SCHEMA_VERSION
    version: int = 0
    id: str
    environment: str
    settings: StoredSettings = Field(
        default=None,
        description="the environment's when it was admitted: a deployment of the stack changes no open one",
    )
    request: Request
    escalated_from_type: RollbackType | None = Field(
        default=None,
        description="what was asked for, where the schema made it a full rollback; None: a person asked for what it is",
    )
    trigger: Trigger
    event: TriggerEvent | None = None
    execution: str = ""
    created_at: AwareDatetime
    evaluations: int = Field(
        default=1, ge=1, description="how often its trigger was looked at, each time by an execution"
    )
    evaluation_started_at: AwareDatetime | None = Field(
        default=None, description="when the last of several looks began"
    )
    zero_desired_seen_at: AwareDatetime | None = Field(
        default=None, description="when its last look found that the team wants no task of the service"
    )
    crashed_evaluations: int = Field(default=0, ge=0, description="looks that ended before they came to an answer")
    told: str = Field(default="", description="the answer that the last report gave: the same one is not sent again")
    admission: tuple[Check, ...] = ()
    admitted_at: AwareDatetime | None = None
    lease_counter: int | None = None
    supersedes: str | None = Field(default=None, description="the open rollback that this one goes on with")
    source_compute_branch_id: str | None = Field(
        default=None, description="the source of an undo that was given a compute to be looked at; it is deleted again"
    )
    inherits_fence_of: str | None = Field(
        default=None,
        description="a rollback that had changed the database, or that a person ended behind its fence: its fence is "
        "inherited, and only success lifts it",
    )
    superseded_by: str | None = Field(default=None, description="who took the lease over, and reports")
    newer: NewerRelease | None = Field(
        default=None, description="what the team deployed meanwhile: left alone if the outcome is `superseded`"
    )
    is_operator_abort: bool | None = Field(
        default=None, description="an operator's abort, not a crash; None: not ended, or an older version wrote it"
    )
    plan: Plan | None = None
    database: StoredDatabaseProgress | None = None
    database_waits_since: AwareDatetime | None = Field(
        default=None, description="Neon could not be asked; the database's part has not begun"
    )
    service: ServiceProgress | None = None
    reconnection: Reconnection | None = Field(default=None, description="only after data changed")
    verification: Verification | None = None
    obligations: tuple[Obligation, ...] = ()
    outcome: Outcome | None = None
    reason: StoredText = ""
    refusal: Refusal | None = Field(default=None, description="the call that AWS or Neon refused for good")
    recheck_at: AwareDatetime | None = Field(default=None, description="a suppression without it is final")
    rechecked_at: AwareDatetime | None = Field(default=None, description="when the janitor last started another look")
    rechecks: int = Field(default=0, ge=0, description="looks that the janitor started")
    drift: StoredText = Field(default="", description="how CloudFormation's idea of the service differs from what runs")
    conclusion_started_at: AwareDatetime | None = None
    reported: bool = Field(default=False, description="the report was sent; a concluded document without is sent again")
    concluded_at: AwareDatetime | None = None
    wait_seconds: int = 0

    @property
    def is_direct(self) -> bool:
        """Walked by a person's own process, not by Step Functions."""
        return self.execution.startswith(DIRECT)

    @property
    def has_acted(self) -> bool:
        """Whether the service was moved or stopped, or the database was changed."""
        return self.has_moved_service or self.has_fenced or self.has_changed_data

    @property
    def has_moved_service(self) -> bool:
        """Whether ECS was changed on the way to the target, or found changed to it already."""
        return self.service is not None and (self.service.acted_at is not None or self.service.done_at is not None)

    @property
    def has_fenced(self) -> bool:
        """Whether tasks were stopped, or about to be, whatever became of the fence."""
        return any(owed.kind is ObligationKind.FENCE for owed in self.obligations)

    @property
    def is_aborted_by_operator(self) -> bool:
        """Whether an operator stopped it: they know more than we do (rule 3). A crash knows nothing.

        An older version did not tell the two apart; its aborted rollbacks are taken for an operator's.
        """
        if self.is_operator_abort is not None:
            return self.is_operator_abort
        return self.outcome is Outcome.ABORTED and self.superseded_by is None

    @property
    def has_changed_data(self) -> bool:
        """Whether the database branch is not, or perhaps not, as it was before."""
        return self.database is not None and self.database.may_have_changed_data

    @property
    def is_reconnection_due(self) -> bool:
        """Whether services still have to get new connections to data that changed."""
        planned = self.plan.database if self.plan is not None else None
        if planned is None or not planned.reconnecting_services or not self.has_changed_data:
            return False
        return self.reconnection is None or self.reconnection.ended_at is None

    @property
    def is_data_loss_report_due(self) -> bool:
        """Whether it is concluded but for the account of lost writes, which holds no lease and keeps nobody waiting."""
        return self.concluded_at is not None and self.database is not None and self.database.is_data_loss_report_due

    @property
    def never_acts(self) -> bool:
        """A dry run, or any rollback of an environment that only observes: it plans, and holds nothing."""
        return self.request.dry_run or (self.settings is not None and self.settings.policy.mode == "observe")

    @property
    def began_at(self) -> datetime:
        """When its last look began: of the first one, when it was created."""
        return self.evaluation_started_at or self.created_at

    @property
    def answer(self) -> str:
        """The result without times and numbers: two looks with the same answer say nothing new."""
        checks = (*self.admission, *(self.plan.checks if self.plan is not None else ()))
        against = sorted({check.name for check in checks if check.verdict is Verdict.FAIL})
        left = len(self.left_to_operator())
        again = " for now" if self.recheck_at is not None else ""
        acted = " acted" if self.has_acted else ""
        asked = (
            " database asked" if self.database is not None and self.database.last_change_checked_at is not None else ""
        )
        lost = " lost writes told" if self.database is not None and self.database.lost is not None else ""
        left_over = f" {left} left to an operator" if left else ""
        return f"{self.outcome}{again}{acted}{asked}{lost} {' '.join(against)}{left_over}"

    @property
    def is_aborted_midway(self) -> bool:
        """Aborted after it had begun to change ECS, and not behind a fence: the next trigger goes on with it."""
        moved = self.outcome is Outcome.ABORTED and self.has_moved_service
        return moved and not self.is_fenced and not self.has_changed_data

    @property
    def is_emergency(self) -> bool:
        """Asked for as one, or become one."""
        escalated = self.service is not None and self.service.escalation_level is not EscalationLevel.SERVICE
        return self.request.type is RollbackType.EMERGENCY or escalated

    @property
    def is_fenced(self) -> bool:
        """Whether the service stands at zero tasks, or is about to, by our doing."""
        return any(o.kind is ObligationKind.FENCE for o in self.open_obligations())

    @property
    def holds_database_lease(self) -> bool:
        """Whether it may be changing the database."""
        return self.request.type in (RollbackType.DATABASE, RollbackType.FULL) and self.admitted_at is not None

    @property
    def service_name(self) -> str:
        """Which ECS service goes back."""
        return self.request.service

    def service_of_obligation(self, owed: Obligation) -> str:
        """Which service an obligation is about."""
        return owed.service or self.service_name

    def open_obligations(self) -> tuple[Obligation, ...]:
        """What is still to be put back, in the order to do it: last change first."""
        return tuple(o for o in reversed(self.obligations) if o.discharged_at is None and o.handed_to is None)

    def left_to_operator(self) -> tuple[Obligation, ...]:
        """What a person still has to put back, in the order to do it."""
        return tuple(o for o in reversed(self.obligations) if o.discharged_at is None and o.handed_to == OPERATOR)

    def mark_refused(self, refused: RollbackError) -> "Rollback":
        """Failed at once: what was refused for good is refused again, on every rung of the ladder."""
        return self.evolve(
            outcome=Outcome.FAILED,
            reason=str(refused)[:_LONGEST_REASON],
            refusal=Refusal.of(refused),
            wait_seconds=0,
        )

    def begin_evaluation(self, request: Request, execution: str, settings: Settings, now: datetime) -> "Rollback":
        """The same record at the beginning of another look: only what `_KEPT_BY_EVALUATION` names stays as it was."""
        kept = {name: getattr(self, name) for name in _KEPT_BY_EVALUATION}
        begun = {"request": request, "execution": execution, "settings": settings, "evaluation_started_at": now}
        return Rollback.model_validate({**kept, **begun, "evaluations": self.evaluations + 1})

    def evolve(self, **changes: Any) -> "Rollback":
        """A validated copy with some fields changed.

        Raises:
            TypeError: there is no such field.
        """
        unknown = changes.keys() - Rollback.model_fields.keys()
        if unknown:
            raise TypeError(f"a rollback has no field {', '.join(sorted(unknown))}")
        return Rollback.model_validate({**dict(self), **changes})


def service_of(rollback_id: str) -> str:
    """The service in an id: services may have dashes in their names, time and hash have none."""
    return rollback_id.rsplit("-", 2)[0]


def rollback_id(service: str, started_at: datetime, cause: str) -> str:
    """`<service>-<utc time in milliseconds>-<hash of the cause>`: sortable, and the same when Admit is retried.

    Args:
        started_at: Step Functions gives milliseconds (`$$.Execution.StartTime`).
        cause: what is unique to this start, e.g. the execution's ARN.
    """
    at = f"{started_at:%Y%m%dT%H%M%S}{started_at.microsecond // 1000:03}Z"
    return f"{service}-{at}-{hashlib.sha256(cause.encode()).hexdigest()[:8]}"


def drop_recorded_settings(owed: Obligation, rollback: Rollback) -> Obligation:
    """Without the parts that are owed already: what stood before the first change is what is put back."""
    same = [
        o
        for o in rollback.open_obligations()
        if o.kind is owed.kind and rollback.service_of_obligation(o) == rollback.service_of_obligation(owed)
    ]
    known = {part for o in same for part in o.before}
    return owed.model_copy(update={"before": {part: was for part, was in owed.before.items() if part not in known}})


def update_obligation(rollback: Rollback, owed: Obligation, **how: object) -> Rollback:
    """The rollback with that obligation discharged or handed on."""
    settled = Obligation.model_validate({**dict(owed), **how})
    obligations = list(rollback.obligations)
    last = max(i for i, o in enumerate(obligations) if o == owed)
    obligations[last] = settled
    return rollback.evolve(obligations=tuple(obligations), wait_seconds=0)
