"""The document of one rollback: all that is known about the rollback, versioned, kept in the ledger.

`Rollback.planned()` and `Rollback.deploying()` give typed views of a document that has come far enough: a step obtains
its view once, at its entry, and its functions take the view.
"""

import hashlib
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Any

from pydantic import AwareDatetime, BaseModel, ConfigDict, Field

from rollback.check import Check, Verdict
from rollback.domain.approval.gate import Approval
from rollback.domain.approval.identity import Identity
from rollback.domain.database.plan import DatabasePlan
from rollback.domain.database.progress import CommandRun, StoredDatabaseProgress
from rollback.domain.database.reconnection import Reconnection
from rollback.domain.escalation import EscalationLevel
from rollback.domain.obligation import Obligation, ObligationKind
from rollback.domain.plan import Plan
from rollback.domain.refusal import Refusal
from rollback.domain.releases.newer_release import NewerRelease
from rollback.domain.releases.release import Release
from rollback.domain.request import DATABASE_TYPES, DEPLOYMENT_CHECKS, Request, RollbackType, Trigger
from rollback.domain.service_progress import ServiceProgress
from rollback.domain.settings.environment import Settings, StoredSettings
from rollback.domain.stored import SCHEMA_VERSION
from rollback.errors import RollbackError, StageNotReached
from rollback.resources.database.probe import DatabaseProbe
from rollback.text import StoredText

_MAX_REASON_CHARACTERS = 2000
# Fields that survive a new evaluation: identity, counts, the result that was reported, and obligations.
_KEPT_BY_EVALUATION = (
    "version", "id", "environment", "trigger", "event", "created_at", "crashed_evaluations", "last_reported_result",
    "obligations", "rechecked_at",
    "rechecks", "zero_desired_seen_at",
)  # fmt: skip
EVENT_IS_NEW = "event-is-new"  # check of Admit: no other rollback has taken the event
DIRECT = "direct:"  # begins the `execution` of a rollback in direct mode


class Outcome(StrEnum):
    """The end of a rollback."""

    SUCCEEDED = "succeeded"
    FAILED = "failed"
    REFUSED = "refused"
    REJECTED = "rejected"  # a person declined the rollback, or nobody approved it in time
    SUPPRESSED = "suppressed"
    PLANNED = "planned"
    ABORTED = "aborted"
    SUPERSEDED = "superseded"  # the team deployed a newer release during the rollback; that release keeps running


class Verification(BaseModel):
    """Rounds of checks after the service has settled on the target."""

    model_config = ConfigDict(frozen=True, extra="ignore")  # a newer version may have written it

    started_at: AwareDatetime
    good_rounds: int = Field(default=0, description="consecutive rounds in which no check failed")
    rounds: int = 0
    checks: tuple[Check, ...] = ()
    passed_at: AwareDatetime | None = None
    smoke_announced_at: AwareDatetime | None = Field(
        default=None, description="when the smoke command's task was announced (rule 9)"
    )
    smoke: CommandRun | None = Field(default=None, description="the smoke command, once in a verification")


class TriggerEvent(BaseModel):
    """The EventBridge event that triggered the rollback, reduced to the fields that decide."""

    model_config = ConfigDict(frozen=True, extra="ignore")  # a newer version may have written it

    id: str
    at: AwareDatetime
    alarm: str | None = None
    deployment_id: str | None = Field(default=None, description="`ecs-svc/…`, of a failed deployment")
    reason: StoredText = ""

    @property
    def source(self) -> str:
        """The alarm or deployment whose state Admit reads again before anything is changed."""
        return f"alarm {self.alarm}" if self.alarm is not None else f"deployment {self.deployment_id or 'unknown'}"


class Rollback(BaseModel):
    """One rollback. `version` counts the saves: each save is a compare-and-set on the version."""

    model_config = ConfigDict(frozen=True, extra="allow")  # a newer version's fields are kept

    schema_version: int = SCHEMA_VERSION
    version: int = 0
    id: str
    environment: str
    settings: StoredSettings = Field(
        default=None,
        description="the environment's settings at admission: a deployment of the stack changes no open rollback",
    )
    request: Request
    escalated_from_type: RollbackType | None = Field(
        default=None,
        description="requested type, if the schema escalated it to a full rollback; None: the type is as requested",
    )
    requester: Identity | None = Field(
        default=None, description="operator whose identity AWS STS confirmed; None: an alarm, or only a claimed name"
    )
    trigger: Trigger
    event: TriggerEvent | None = None
    execution: str = ""
    created_at: AwareDatetime
    evaluations: int = Field(default=1, ge=1, description="evaluations of the trigger, each by an execution of its own")
    evaluation_started_at: AwareDatetime | None = Field(
        default=None, description="when the last of several evaluations began"
    )
    zero_desired_seen_at: AwareDatetime | None = Field(
        default=None, description="when the last evaluation found the service at desired count 0 by the team's will"
    )
    crashed_evaluations: int = Field(default=0, ge=0, description="evaluations that ended without a result")
    last_reported_result: str = Field(
        default="", description="`result_key` of the last report: the same result is not sent again"
    )
    admission: tuple[Check, ...] = ()
    admitted_at: AwareDatetime | None = None
    lease_counter: int | None = None
    continues_rollback_id: str | None = Field(default=None, description="the open rollback that this one continues")
    source_compute_branch_id: str | None = Field(
        default=None,
        description="source branch of an undo, given a compute so that it could be read; the compute is deleted again",
    )
    inherits_fence_of: str | None = Field(
        default=None,
        description="rollback whose fence this one inherits, since it changed the database or an operator ended it; "
        "only success lifts the fence",
    )
    taken_over_by: str | None = Field(default=None, description="rollback that took the lease over, and reports")
    newer: NewerRelease | None = Field(
        default=None,
        description="release that the team deployed during the rollback; with outcome `superseded` it keeps running",
    )
    is_operator_abort: bool | None = Field(
        default=None,
        description="whether an operator, and not a crash, ended the rollback; None: not ended, or an older version",
    )
    abandoned_at: AwareDatetime | None = Field(
        default=None,
        exclude_if=lambda value: value is None,
        description="when the janitor found the process of a direct rollback dead, and began to conclude it",
    )
    plan: Plan | None = None
    approval: Approval | None = Field(default=None, description="set once the plan needs an approval")
    supersedes: tuple[str, ...] = Field(
        default=(), description="rollbacks at a gate that end once this one acts, or opens a gate of its own"
    )
    database: StoredDatabaseProgress | None = None
    database_waits_since: AwareDatetime | None = Field(
        default=None, description="since when Neon does not answer; the database step has not begun"
    )
    service: ServiceProgress | None = None
    reconnection: Reconnection | None = Field(default=None, description="set once data changed")
    verification: Verification | None = None
    obligations: tuple[Obligation, ...] = ()
    outcome: Outcome | None = None
    reason: StoredText = ""
    refusal: Refusal | None = Field(default=None, description="the call that AWS or Neon refused permanently")
    recheck_at: AwareDatetime | None = Field(default=None, description="a suppression without it is final")
    rechecked_at: AwareDatetime | None = Field(default=None, description="when the janitor last started an evaluation")
    rechecks: int = Field(default=0, ge=0, description="evaluations that the janitor started")
    drift: StoredText = Field(default="", description="difference between the CloudFormation template and what runs")
    database_probe: DatabaseProbe | None = Field(
        default=None, description="the last measurement of the database before the conclusion"
    )
    conclusion_started_at: AwareDatetime | None = None
    is_reported: bool = Field(default=False, description="the report was sent; the janitor sends a missing one")
    concluded_at: AwareDatetime | None = None
    wait_seconds: int = 0

    @property
    def is_direct(self) -> bool:
        """Whether an operator's own process runs the steps (direct mode), not Step Functions."""
        return self.execution.startswith(DIRECT)

    @property
    def is_forced_by_operator(self) -> bool:
        """Whether an operator started it with `--force`."""
        return self.trigger is Trigger.MANUAL and self.request.force

    @property
    def is_drill(self) -> bool:
        """Whether it only rehearses a rollback, on a healthy service."""
        return self.trigger is Trigger.DRILL

    @property
    def is_test(self) -> bool:
        """Whether a test event started it, which Admit suppresses: it acts, reports and counts as nothing."""
        return self.trigger is Trigger.TEST

    @property
    def is_requested_by_person(self) -> bool:
        """Whether a person, or a pipeline on a person's behalf, started it, and not an alarm or an event."""
        return self.trigger in (Trigger.MANUAL, Trigger.HEALTH_CHECK)

    @property
    def is_at_gate(self) -> bool:
        """Whether it waits for an approval, as far as the document says. It then holds no lease."""
        return self.outcome is None and self.approval is not None and self.approval.is_open

    @property
    def has_acted(self) -> bool:
        """Whether it deployed to or stopped the service, or changed the database."""
        return self.has_moved_service or self.has_fenced or self.has_changed_data

    @property
    def has_moved_service(self) -> bool:
        """Whether it deployed to the service, or found the target deployed already."""
        return self.service is not None and (self.service.acted_at is not None or self.service.done_at is not None)

    @property
    def may_be_evaluated_again(self) -> bool:
        """Whether the janitor may evaluate the trigger again. Who looked at one deployment looks again."""
        return self.event is not None and self.trigger not in {*DEPLOYMENT_CHECKS, Trigger.TEST}

    @property
    def has_fenced(self) -> bool:
        """Whether it stopped tasks, or announced that; the fence may have been lifted since."""
        return any(obligation.kind is ObligationKind.FENCE for obligation in self.obligations)

    @property
    def is_aborted_by_operator(self) -> bool:
        """Whether an operator aborted it (rule 3: aborted while fenced, stay fenced). A crash is no abort.

        An older version did not record the difference: its aborted rollbacks count as an operator's.
        """
        if self.is_operator_abort is not None:
            return self.is_operator_abort
        return self.outcome is Outcome.ABORTED and self.taken_over_by is None

    @property
    def has_changed_data(self) -> bool:
        """Whether the data on the database branch was changed, or may have been."""
        return self.database is not None and self.database.may_have_changed_data

    @property
    def is_reconnection_due(self) -> bool:
        """Whether data changed and services still need new connections to it."""
        database_plan = self.plan.database if self.plan is not None else None
        if database_plan is None or not database_plan.reconnecting_services or not self.has_changed_data:
            return False
        return self.reconnection is None or self.reconnection.ended_at is None

    @property
    def is_data_loss_report_due(self) -> bool:
        """Whether it is concluded but for the data-loss report, which needs no lease."""
        return self.concluded_at is not None and self.database is not None and self.database.is_data_loss_report_due

    @property
    def never_acts(self) -> bool:
        """Whether it takes no lease: a dry run, a test, or any rollback of an environment in observe mode."""
        return (
            self.is_test
            or self.request.dry_run
            or (self.settings is not None and self.settings.policy.mode == "observe")
        )

    @property
    def began_at(self) -> datetime:
        """Start of its last evaluation; the first starts when the rollback is created."""
        return self.evaluation_started_at or self.created_at

    @property
    def result_key(self) -> str:
        """The result without times and numbers: an equal result of another evaluation is not reported again."""
        recheck = " for now" if self.recheck_at is not None else ""
        acted = " acted" if self.has_acted else ""
        database_check = (
            " database checked"
            if self.database is not None and self.database.last_change_checked_at is not None
            else ""
        )
        data_loss = " data loss reported" if self.database is not None and self.database.data_loss is not None else ""
        obligations = len(self.left_to_operator())
        handed_over = f" {obligations} left to an operator" if obligations else ""
        failed = " ".join(self.failed_check_names)
        return f"{self.outcome}{recheck}{acted}{database_check}{data_loss} {failed}{handed_over}"

    @property
    def failed_check_names(self) -> tuple[str, ...]:
        """Names of the failed checks of admission and plan, sorted."""
        checks = (*self.admission, *(self.plan.checks if self.plan is not None else ()))
        return tuple(sorted({check.name for check in checks if check.verdict is Verdict.FAIL}))

    @property
    def is_duplicate(self) -> bool:
        """Whether it was suppressed because another rollback had taken its event; it did nothing else."""
        return self.outcome is Outcome.SUPPRESSED and EVENT_IS_NEW in self.failed_check_names

    @property
    def is_aborted_midway(self) -> bool:
        """Whether it was aborted after it had changed ECS, and not behind a fence: the next trigger continues it."""
        moved = self.outcome is Outcome.ABORTED and self.has_moved_service
        return moved and not self.is_fenced and not self.has_changed_data

    @property
    def is_emergency(self) -> bool:
        """Whether it was requested as an emergency, or has escalated to one."""
        escalated = self.service is not None and self.service.escalation_level is not EscalationLevel.SERVICE
        return self.request.type is RollbackType.EMERGENCY or escalated

    @property
    def is_fenced(self) -> bool:
        """Whether it keeps a service at zero tasks, or announced that."""
        return any(obligation.kind is ObligationKind.FENCE for obligation in self.open_obligations())

    @property
    def holds_database_lease(self) -> bool:
        """Whether it may be changing the database."""
        return self.request.type in DATABASE_TYPES and self.admitted_at is not None

    @property
    def service_name(self) -> str:
        """Name of the service that is rolled back."""
        return self.request.service

    def planned(self) -> "PlannedRollback":
        """Return the view for steps after Plan.

        Raises:
            StageNotReached: the rollback has no plan, or its plan has no target.
        """
        if self.plan is None or self.plan.target is None:
            raise StageNotReached(f"{self.id} has no plan with a target: a step began before Plan had ended")
        return PlannedRollback(self, self.plan, self.plan.target)

    def deploying(self, new_progress: ServiceProgress | None = None) -> "DeployingRollback":
        """Return the view for the service step.

        Args:
            new_progress: progress of a service step that begins now.

        Raises:
            StageNotReached: the rollback has no plan with a target, or its service step has not begun.
        """
        planned = self.planned()
        progress = self.service or new_progress
        if progress is None:
            raise StageNotReached(f"{self.id} has no progress of its service: its service step has not begun")
        return DeployingRollback(self, planned.plan, planned.target, progress)

    def planned_database(self) -> DatabasePlan:
        """Return the database's part of the plan, for the database step and the steps after it.

        Raises:
            StageNotReached: the rollback has no plan, or its plan leaves the database as it is.
        """
        if self.plan is None or self.plan.database is None:
            raise StageNotReached(f"{self.id} has no plan for the database: a database step began without one")
        return self.plan.database

    def begun_database(self) -> StoredDatabaseProgress:
        """Return the progress of the database, for the steps after the database step.

        Raises:
            StageNotReached: the database step has not begun.
        """
        if self.database is None:
            raise StageNotReached(f"{self.id} has no progress of its database: its database step has not begun")
        return self.database

    def service_of_obligation(self, obligation: Obligation) -> str:
        """Name of the service that an obligation is about."""
        return obligation.service or self.service_name

    def open_obligations(self) -> tuple[Obligation, ...]:
        """Settings that this rollback still has to put back, in the order to do so: the last change first."""
        return tuple(obligation for obligation in reversed(self.obligations) if obligation.is_open)

    def left_to_operator(self) -> tuple[Obligation, ...]:
        """Settings that an operator still has to put back, in the order to do so: the last change first."""
        return tuple(obligation for obligation in reversed(self.obligations) if obligation.is_left_to_operator)

    def has_obligation_like(self, obligation: Obligation, debtor: "Rollback") -> bool:
        """Whether this rollback has an obligation of the same kind, about the same service, as another rollback's."""
        service = debtor.service_of_obligation(obligation)
        return any(
            own.kind is obligation.kind and self.service_of_obligation(own) == service for own in self.obligations
        )

    def keep_unrecorded(self, obligations: Iterable[Obligation]) -> tuple[Obligation, ...]:
        """Drop settings that open obligations record already: only the original value is put back.

        Args:
            obligations: obligations that are about to be announced.

        Returns:
            The obligations with the settings that are left; those without any are left out.
        """
        unrecorded = (self._without_recorded_settings(new) for new in obligations)
        return tuple(new for new in unrecorded if new.before)

    def _without_recorded_settings(self, obligation: Obligation) -> Obligation:
        service = self.service_of_obligation(obligation)
        recorded = {
            setting
            for earlier in self.open_obligations()
            if earlier.kind is obligation.kind and self.service_of_obligation(earlier) == service
            for setting in earlier.before
        }
        before = {setting: value for setting, value in obligation.before.items() if setting not in recorded}
        return obligation.model_copy(update={"before": before})

    def discharge(self, obligation: Obligation, at: datetime) -> "Rollback":
        """Return the rollback with an obligation discharged: the setting was seen to be put back."""
        return self._settle(obligation, discharged_at=at)

    def hand_over(self, obligation: Obligation, to: str) -> "Rollback":
        """Return the rollback with an obligation handed to another rollback, by its id, or to `OPERATOR`."""
        return self._settle(obligation, handed_to=to)

    def _settle(self, obligation: Obligation, **changes: object) -> "Rollback":
        obligations = list(self.obligations)
        index_of_last = max(index for index, own in enumerate(obligations) if own == obligation)
        obligations[index_of_last] = Obligation.model_validate({**dict(obligation), **changes})
        return self.evolve(obligations=tuple(obligations), wait_seconds=0)

    def fail_on_refused_call(self, refused: RollbackError) -> "Rollback":
        """Return the rollback as failed: a permanently refused call is refused again at every escalation level."""
        return self.evolve(
            outcome=Outcome.FAILED,
            reason=str(refused)[:_MAX_REASON_CHARACTERS],
            refusal=Refusal.of(refused),
            wait_seconds=0,
        )

    def begin_evaluation(self, request: Request, execution: str, settings: Settings, now: datetime) -> "Rollback":
        """Return the record at the start of a new evaluation; all but `_KEPT_BY_EVALUATION` is reset."""
        kept_fields = {name: getattr(self, name) for name in _KEPT_BY_EVALUATION}
        changes = {"request": request, "execution": execution, "settings": settings, "evaluation_started_at": now}
        return Rollback.model_validate({**kept_fields, **changes, "evaluations": self.evaluations + 1})

    def evolve(self, **changes: Any) -> "Rollback":
        """Return a validated copy with some fields changed.

        Raises:
            TypeError: a rollback has no such field.
        """
        unknown = changes.keys() - Rollback.model_fields.keys()
        if unknown:
            raise TypeError(f"a rollback has no field {', '.join(sorted(unknown))}")
        return Rollback.model_validate({**dict(self), **changes})


@dataclass(frozen=True)
class PlannedRollback:
    """A rollback whose plan has a target."""

    rollback: Rollback
    plan: Plan
    target: Release


@dataclass(frozen=True)
class DeployingRollback(PlannedRollback):
    """A planned rollback whose service step has begun, or begins now."""

    progress: ServiceProgress


def service_of(rollback_id: str) -> str:
    """Name of the service in a rollback's id. A service's name may have dashes; time and hash have none."""
    return rollback_id.rsplit("-", 2)[0]


def rollback_id(service: str, started_at: datetime, cause: str) -> str:
    """Build `<service>-<UTC time in milliseconds>-<hash of the cause>`: sortable, and equal when Admit is retried.

    Args:
        service: name of the service.
        started_at: start of the execution; Step Functions gives milliseconds (`$$.Execution.StartTime`).
        cause: text that is unique to this start, such as the execution's ARN.
    """
    at = f"{started_at:%Y%m%dT%H%M%S}{started_at.microsecond // 1000:03}Z"
    return f"{service}-{at}-{hashlib.sha256(cause.encode()).hexdigest()[:8]}"
