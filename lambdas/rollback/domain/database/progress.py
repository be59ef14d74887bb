"""Progress of a change to a database branch: everything that a retry needs in order to observe before it acts.

`DatabaseProgress` has the part that all strategies share. Each strategy has its own class with its own fields; `kind`
distinguishes them. The engine in `rollback.database.changes.reconcile` works on the shared part only.
"""

from datetime import datetime
from enum import StrEnum
from typing import Annotated, Any, Literal, Self

from pydantic import AwareDatetime, BaseModel, ConfigDict, Field

from rollback.check import Check, Verdict
from rollback.domain.database.data_loss import DataLossReport
from rollback.domain.database.data_loss_analysis import DataLossAnalysis
from rollback.domain.database.sequences import SequenceCarried, SequenceValue
from rollback.resources.database.neon import Branch, Endpoint
from rollback.resources.database.postgres import WalPosition
from rollback.resources.database.wal_position import LsnText
from rollback.text import StoredLine, StoredText

BACKUP_PREFIX = "rollback-backup-"


def backup_name(rollback_id: str) -> str:
    """Name the branch that keeps the state before. A retry gets the same name, and Neon refuses a name twice."""
    return f"{BACKUP_PREFIX}{rollback_id}"


def preview_name(rollback_id: str) -> str:
    """Name the branch on which the restore point is checked before anything is overwritten."""
    return f"rollback-preview-{rollback_id}"


class _Stored(BaseModel):
    model_config = ConfigDict(frozen=True, extra="allow")  # a newer version's fields are kept


class RestorePoint(_Stored):
    """Database position that a release started from. `at` is the database's clock.

    Without an LSN, Neon resolves `at` as it makes the preview branch.
    """

    at: AwareDatetime
    lsn: LsnText | None = None
    timeline: str | None = Field(default=None, description="Neon's id of the history; None: not known")


class OriginalBranch(_Stored):
    """The branch before any change. Its hosts must stay, and `last_reset_at` shows whether a restore was made."""

    id: str | None = Field(default=None, description="Neon's id: another branch may get the name during the rollback")
    parent_id: str | None = Field(
        default=None, description="its backup gets the same parent; None: the branch and its backup are roots"
    )
    name: str
    protected: bool
    last_reset_at: AwareDatetime | None = None
    hosts: tuple[str, ...] = ()
    expires_at: AwareDatetime | None = None

    @classmethod
    def of(cls, branch: Branch, endpoints: tuple[Endpoint, ...]) -> "OriginalBranch":
        """Take down the branch as Neon describes it now."""
        hosts = tuple(sorted(endpoint.host for endpoint in endpoints))
        return cls(
            id=branch.id,
            parent_id=branch.parent_id,
            name=branch.name,
            protected=branch.protected,
            last_reset_at=branch.last_reset_at,
            hosts=hosts,
            expires_at=branch.expires_at,
        )

    def is_reset(self, branch: Branch) -> bool:
        """Whether Neon accepted a restore since. Both times are Neon's: its clock and ours may differ."""
        return branch.last_reset_at is not None and branch.last_reset_at != self.last_reset_at


class DatabaseIntent(_Stored):
    """A change of the branch about to be sent (rule 9: the intent is written before the change).

    All its arguments follow from the progress.
    """

    action: str
    at: AwareDatetime = Field(description="time of the announcement: operations of the change began later")
    unanswered_at: AwareDatetime | None = Field(
        default=None,
        exclude_if=lambda value: value is None,
        description="when the wait for the last request's answer ended; that request may still arrive",
    )

    @property
    def last_sent_at(self) -> datetime:
        """Latest time at which a request of the change may have left the function."""
        return self.unanswered_at or self.at


class CommandRun(_Stored):
    """A command that ran as a task: a down-migration, or the verification after all of them."""

    name: str
    arn: str
    asked_at: AwareDatetime
    stop_asked_at: AwareDatetime | None = None
    ended_at: AwareDatetime | None = None
    started: bool = False
    exit_code: int | None = None
    reason: StoredText = ""
    logs: tuple[StoredLine, ...] = Field(default=(), description="its last lines")

    @property
    def succeeded(self) -> bool:
        """Whether the command ended with exit code 0."""
        return self.exit_code == 0

    @property
    def never_started(self) -> bool:
        """Whether the task ended before its container began: the command had no effect."""
        return self.ended_at is not None and not self.started

    def evolve(self, **changes: Any) -> "CommandRun":
        """Copy the run with some fields changed and validated."""
        return CommandRun.model_validate({**dict(self), **changes})


class ZeroTaskPeriod(_Stored):
    """Period in which all tasks of a service were STOPPED, as exact as the times of the observations."""

    service: str
    since: AwareDatetime
    until: AwareDatetime | None = None


class DatabaseOutcome(StrEnum):
    """Outcome of the database's part of a rollback."""

    RESTORED = "restored"
    DELETED = "deleted"
    REHEARSED = "rehearsed"  # a drill checked the restore point on a preview; the branch is as it was
    REFUSED = "refused"  # the branch is as it was: Conclude lifts the fence, and nothing is lost
    FAILED = "failed"  # the branch was overwritten, or may have been: the backup has the state before

    @property
    def has_succeeded(self) -> bool:
        """Whether the branch is where the plan wanted it: deleted for a deletion, untouched for a drill."""
        return self in (DatabaseOutcome.RESTORED, DatabaseOutcome.DELETED, DatabaseOutcome.REHEARSED)


class _Progress(_Stored):
    def evolve(self, **changes: Any) -> Self:
        """Copy the progress with some fields changed and validated.

        Raises:
            TypeError: the model has no such field. The model keeps unknown fields, so a typo would be stored.
        """
        unknown_names = changes.keys() - type(self).model_fields.keys()
        if unknown_names:
            raise TypeError(f"{type(self).__name__} has no field {', '.join(sorted(unknown_names))}")
        return type(self).model_validate({**dict(self), **changes})


class FenceProgress(_Progress):
    """Progress of the fence, which stands once `head` is set."""

    stopped_at: AwareDatetime | None = Field(default=None, description="when all tasks of all writers were STOPPED")
    restarted_at: AwareDatetime | None = Field(
        default=None, description="when Neon accepted the compute's restart, which ends all sessions, a pooler's too"
    )
    restart_ids: tuple[str, ...] = Field(default=(), description="operations of the restart")
    restart_finished_at: AwareDatetime | None = Field(
        default=None, description="when the restart's operations were over, or the wait for them was given up"
    )
    restart_refusal: StoredText | None = Field(default=None, description="why the compute was not restarted")
    head: WalPosition | None = Field(default=None, description="end of the log behind the fence; no write came later")
    zero_task_periods: tuple[ZeroTaskPeriod, ...] = Field(
        default=(), description="how long each writer stood at zero tasks"
    )


class DatabaseProgress(_Progress):
    """The part of the progress that all strategies share."""

    started_at: AwareDatetime
    before: OriginalBranch
    fence: FenceProgress = Field(default=FenceProgress(), description="stays empty for a deletion: it stops no service")
    intent: DatabaseIntent | None = None
    operation_ids: tuple[str, ...] = Field(default=(), description="operations in Neon's answers to our changes")
    confirmed_since: AwareDatetime | None = Field(
        default=None,
        description="a change without an answer turned out to be made: its operations began after this time",
    )
    schema_checks: tuple[Check, ...] = Field(default=(), description="verdicts on the tables that the change leads to")
    data_change_announced_at: AwareDatetime | None = Field(
        default=None, description="when a change of the data was announced; None again if it was not made"
    )
    backup_id: str | None = Field(default=None, description="branch with the state before; None: none was seen")
    accepted_at: AwareDatetime | None = None
    verified_at: AwareDatetime | None = Field(default=None, description="when SQL answered on the changed branch")
    may_succeed_later: bool = Field(default=False, description="another rollback or Neon was busy with the branch")
    why_not: StoredText | None = Field(default=None, description="why the change was given up; clean-up follows")
    cleanup_started_at: AwareDatetime | None = None
    moves: tuple[str, ...] = ()
    moved_at: AwareDatetime | None = Field(default=None, description="when the last of the moves was first made")
    refused_since: AwareDatetime | None = Field(
        default=None, description="since when SQL is refused on a branch that was just made, restored or restarted"
    )
    replication_at_risk: tuple[StoredLine, ...] = Field(
        default=(), description="replication that the change may delete"
    )
    notes: tuple[StoredText, ...] = Field(default=(), description="facts and tasks for the reader of the report")
    database_outcome: DatabaseOutcome | None = None
    ended_at: AwareDatetime | None = None
    last_change_checked_at: AwareDatetime | None = Field(
        default=None, description="when Conclude asked Neon what became of the last change"
    )
    unknown_reason: StoredText | None = Field(
        default=None, description="why the effect of the last change is not known; an operator has to check"
    )
    data_loss: DataLossReport | None = None
    data_loss_analysis: DataLossAnalysis | None = Field(
        default=None, description="from the conclusion on, if there is a backup"
    )

    @property
    def is_ready_for_fence(self) -> bool:
        """Whether everything is done that services can run through."""
        return True

    @property
    def is_fence_required(self) -> bool:
        """Whether services have to stop now: no fence stands, and nothing else is left to do before it."""
        return self.fence.head is None and self.why_not is None and self.is_ready_for_fence

    @property
    def is_over(self) -> bool:
        """Whether the change ended. The data-loss analysis (`DataLossAnalysis`) runs later."""
        return self.ended_at is not None

    @property
    def has_succeeded(self) -> bool:
        """Whether the branch is where the plan wanted it."""
        return self.database_outcome is not None and self.database_outcome.has_succeeded

    @property
    def may_have_changed_data(self) -> bool:
        """Whether the branch differs, or may differ, from before: a change was announced, and not refused."""
        return self.data_change_announced_at is not None or self.backup_id is not None

    @property
    def is_command_running(self) -> bool:
        """Whether a command was started, and its end was not seen."""
        return False

    @property
    def has_unconfirmed_change(self) -> bool:
        """Whether a change was announced, and no observation has shown yet what became of it."""
        if self.last_change_checked_at is not None or self.has_succeeded:
            return False
        is_open = self.ended_at is None and (self.intent is not None or self.is_command_running)
        return is_open or (self.data_change_announced_at is not None and self.backup_id is None)

    @property
    def is_data_loss_report_due(self) -> bool:
        """Whether the data-loss analysis began, and its report was not sent yet."""
        return self.data_loss_analysis is not None and self.data_loss_analysis.reported_at is None

    @property
    def current_branch_id(self) -> str | None:
        """Neon's id of the branch that services use once the change is made."""
        return self.before.id

    def failed_checks(self) -> tuple[Check, ...]:
        """Return the checks of the tables that failed."""
        return tuple(check for check in self.schema_checks if check.verdict is Verdict.FAIL)

    def mark_failed(self, reason: str, now: datetime) -> Self:
        """Give the change up: only clean-up follows. The first reason stands."""
        if self.why_not is not None:
            return self
        return self.evolve(why_not=reason, cleanup_started_at=now)

    def ended(self, database_outcome: DatabaseOutcome, now: datetime) -> Self:
        """End the change: no move follows."""
        return self.evolve(database_outcome=database_outcome, ended_at=now, intent=None)

    def announce(self, action: str, now: datetime, **fields: Any) -> Self:
        """Record the change that the next round sends.

        Args:
            action: name of the change.
            now: time of the announcement.
            fields: fields of the progress that hold from the announcement on.
        """
        return self.confirm_intent().evolve(intent=DatabaseIntent(action=action, at=now), **fields)

    def is_announced(self, action: str) -> bool:
        """Whether the change may be sent: its announcement was saved."""
        return self.intent is not None and self.intent.action == action

    def confirm_intent(self) -> Self:
        """Clear the intent of a change that turned out to be made. Its time finds operations of a lost answer."""
        if self.intent is None:
            return self
        return self.evolve(intent=None, confirmed_since=self.confirmed_since or self.intent.at)

    def add_note(self, note: str) -> Self:
        """Add a remark for the report, once."""
        return self if note in self.notes else self.evolve(notes=(*self.notes, note))

    def record_move(self, move: str, now: datetime | None = None) -> Self:
        """Add a move to the record, once however often it is repeated.

        Args:
            move: name of the move.
            now: when the move is made first; its time limit counts from then.
        """
        if self.moves and self.moves[-1] == move:
            return self
        return self.evolve(moves=(*self.moves, move), moved_at=now)

    def evolve_fence(self, **changes: Any) -> Self:
        """Copy the progress with some fields of its fence changed."""
        return self.evolve(fence=self.fence.evolve(**changes))

    def reopen_fence(self, **more: Any) -> Self:
        """Have the fence made again: its stop and its end of the log no longer hold.

        Args:
            more: other fields of the fence that no longer hold.
        """
        return self.evolve_fence(head=None, stopped_at=None, **more).evolve(intent=None)


class RefusedProgress(DatabaseProgress):
    """A refusal before any strategy began: no strategy has a state yet, and nothing was changed."""

    kind: Literal["refused"] = "refused"


class OverwriteProgress(DatabaseProgress):
    """Shared by restore and reset: Neon's restore overwrites the branch and keeps its old state as the backup."""

    restore_answered_at: AwareDatetime | None = Field(default=None, description="when Neon answered that it restores")
    is_ip_allow_protected_only: bool = Field(
        default=False, description="IP Allow holds on protected branches only: the backup is to be protected too"
    )
    is_backup_protection_settled: bool = Field(default=False, description="the backup is protected, or can't be")
    is_protection_deferred: bool = Field(default=False, description="Neon was busy: Conclude protects the branch again")
    sequences: tuple[SequenceValue, ...] | None = Field(
        default=None, description="values behind the fence that the restore takes back; None: not read"
    )
    is_sequence_reread_needed: bool = Field(
        default=False,
        description="the fence was made anew after the restore was announced, and values may be further",
    )
    sequences_left_out: int = Field(default=0, ge=0, description="more than a document takes: they are not carried")
    sequences_carried: tuple[SequenceCarried, ...] | None = Field(default=None, description="None: not done")
    more_sequences_carried: int = Field(default=0, ge=0)


class RestoreProgress(OverwriteProgress):
    """Progress of a restore to the branch's own past. A preview branch shows the restore point first."""

    kind: Literal["restore"] = "restore"
    point: RestorePoint
    preview_id: str | None = None
    preview_lsn: LsnText | None = Field(default=None, description="exact restore point, set once it was checked")
    expiry_refusal: StoredText | None = Field(
        default=None, description="Neon's words when it refused a branch that expires: the preview is made without"
    )
    preview_schema: str | None = Field(default=None, description="SHA-256 of the tables and columns on the preview")
    preview_sequences: tuple[SequenceValue, ...] | None = Field(
        default=None, description="values at the restore point, until those behind the fence are read; None: not known"
    )
    previewed_at: AwareDatetime | None = Field(
        default=None, description="when the preview was checked and deleted: services stop only then"
    )

    @property
    def is_ready_for_fence(self) -> bool:
        """Whether the restore point was checked on its preview, and the preview deleted."""
        return self.previewed_at is not None

    @property
    def is_on_another_timeline(self) -> bool:
        """Whether the branch behind the fence has another history than the restore point was recorded on."""
        recorded_timeline = self.point.timeline
        current_timeline = self.fence.head.timeline if self.fence.head is not None else None
        return None not in (recorded_timeline, current_timeline) and recorded_timeline != current_timeline


class ResetProgress(OverwriteProgress):
    """Progress of a reset to the head of another branch."""

    kind: Literal["reset"] = "reset"
    source_branch_id: str
    is_source_kept: bool = Field(default=False, description="the source does not expire, or can't be kept from it")


class RecreateProgress(DatabaseProgress):
    """Progress of a recreate: a new branch takes the old one's place, and the old one becomes the backup."""

    kind: Literal["recreate"] = "recreate"
    source_branch_id: str
    branch_id: str | None = Field(default=None, description="Neon's id of the new branch")
    expiry_refusal: StoredText | None = Field(
        default=None, description="Neon's words when it refused a branch that expires: the new one is made without"
    )
    secret_failure: StoredText | None = Field(
        default=None, description="why the connection secret could not be written the first time"
    )
    is_redeploy_needed: bool = Field(
        default=False, description="tasks that ran before know a secret that was replaced since"
    )
    is_expiry_settled: bool = Field(default=False, description="the backup expires, or can't be made to")

    @property
    def current_branch_id(self) -> str | None:
        """Neon's id of the new branch; of the old one before the new one is made."""
        return self.branch_id or self.before.id


class DeletionProgress(DatabaseProgress):
    """Progress of the deletion of a pull request's branch."""

    kind: Literal["deletion"] = "deletion"


class DownMigrationProgress(DatabaseProgress):
    """Progress of down-migrations, which run as commands against the branch in place."""

    kind: Literal["down_migrations"] = "down_migrations"
    ran: tuple[CommandRun, ...] = Field(default=(), description="down-migrations and their verification, in order")
    is_expiry_settled: bool = Field(default=False, description="the backup expires, or can't be made to")

    @property
    def is_command_running(self) -> bool:
        """Whether the last command that was started has not been seen to end."""
        return any(run.ended_at is None for run in self.ran)


StoredDatabaseProgress = Annotated[
    RefusedProgress | RestoreProgress | ResetProgress | RecreateProgress | DeletionProgress | DownMigrationProgress,
    Field(discriminator="kind"),
]
"""Every kind of progress that a rollback's document may have."""
