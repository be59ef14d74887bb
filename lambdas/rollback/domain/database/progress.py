"""How far the restore of a database branch is; everything that a retry needs in order to look before it acts."""

from datetime import datetime
from enum import StrEnum
from typing import Any

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
    """Of the branch that keeps the state before: the same again for a retry, and Neon refuses a name twice."""
    return f"{BACKUP_PREFIX}{rollback_id}"


def preview_name(rollback_id: str) -> str:
    """Of the branch on which the restore point is looked at before anything is overwritten."""
    return f"rollback-preview-{rollback_id}"


class _Stored(BaseModel):
    model_config = ConfigDict(frozen=True, extra="allow")  # a newer version's fields are kept


class RestorePoint(_Stored):
    """Where a release started from. `at` is the database's clock; without an LSN Neon resolves it on the preview."""

    at: AwareDatetime
    lsn: LsnText | None = None
    timeline: str | None = Field(default=None, description="Neon's identity of the history it is in; None: not known")


class OriginalBranch(_Stored):
    """The branch before anything was changed: what must be the same again, and what tells that a restore was made."""

    id: str | None = Field(default=None, description="a name may go to another branch meanwhile")
    parent_id: str | None = Field(default=None, description="its backup gets the same; None: a root, and so is that")
    name: str
    protected: bool
    last_reset_at: AwareDatetime | None = None
    hosts: tuple[str, ...] = ()
    expires_at: AwareDatetime | None = None

    @classmethod
    def of(cls, branch: Branch, endpoints: tuple[Endpoint, ...]) -> "OriginalBranch":
        """As Neon tells it now."""
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
        """Whether a restore was accepted since. Compared with Neon's own earlier word: our clocks may differ."""
        return branch.last_reset_at is not None and branch.last_reset_at != self.last_reset_at


class DatabaseIntent(_Stored):
    """A change of the branch about to be sent (rule 9); all its arguments follow from the progress."""

    action: str
    at: AwareDatetime


class CommandRun(_Stored):
    """A command that ran as a task: a migration's way down, or what verifies them all."""

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
        """Ran to its end, and was content."""
        return self.exit_code == 0

    @property
    def never_started(self) -> bool:
        """Ended before its container began: nothing came of it."""
        return self.ended_at is not None and not self.started

    def evolve(self, **changes: Any) -> "CommandRun":
        """A validated copy with some fields changed."""
        return CommandRun.model_validate({**dict(self), **changes})


class ZeroTaskPeriod(_Stored):
    """From when all tasks of a service were seen STOPPED until one was seen to run again: as exact as the looks are."""

    service: str
    since: AwareDatetime
    until: AwareDatetime | None = None


class DatabaseOutcome(StrEnum):
    """How it ended."""

    RESTORED = "restored"
    REFUSED = "refused"  # the branch is as it was: unfence, and nothing is lost
    FAILED = "failed"  # the branch was overwritten, or may have been: the backup has the state of before


class DatabaseProgress(_Stored):
    """Part of the rollback's document; `evolve` is the only way on."""

    started_at: AwareDatetime
    point: RestorePoint | None = Field(default=None, description="None: a reset, to the source's head")
    source_branch_id: str | None = Field(default=None, description="of a reset; None: the branch's own past")
    before: OriginalBranch
    stopped_at: AwareDatetime | None = Field(default=None, description="all tasks of all writers were seen STOPPED")
    restarted_at: AwareDatetime | None = Field(
        default=None, description="the compute's restart was accepted: who connected before is gone, a pooler too"
    )
    restart_ids: tuple[str, ...] = Field(default=(), description="its operations")
    restart_finished_at: AwareDatetime | None = Field(
        default=None, description="those are over, or not waited for any more"
    )
    restart_refused: StoredText | None = Field(default=None, description="why the compute was not restarted")
    head: WalPosition | None = Field(default=None, description="read behind the fence: nothing was written after it")
    intent: DatabaseIntent | None = None
    operation_ids: tuple[str, ...] = Field(default=(), description="of the answers to our changes")
    confirmed_since: AwareDatetime | None = Field(
        default=None, description="a change without an answer was seen to be made: its operations began after this"
    )
    preview_id: str | None = None
    preview_lsn: LsnText | None = Field(default=None, description="what was checked is what is restored")
    expiry_refused: StoredText | None = Field(
        default=None, description="Neon's words, when it refused to make a branch that expires: it is made without"
    )
    is_ip_allow_protected_only: bool = Field(
        default=False, description="IP Allow holds on protected branches only: the backup is to be protected too"
    )
    is_backup_protection_settled: bool = Field(default=False, description="the backup is protected, or can't be")
    preview_schema: str | None = Field(default=None, description="SHA-256 of the tables and columns there")
    preview_checks: tuple[Check, ...] = ()
    preview_sequences: tuple[SequenceValue, ...] | None = Field(
        default=None, description="at the restore point, until those behind the fence are read; None: not known"
    )
    previewed_at: AwareDatetime | None = Field(
        default=None, description="the preview was looked at and is deleted: only now services are stopped"
    )
    restore_asked_at: AwareDatetime | None = Field(
        default=None, description="it may have happened, unless it was refused"
    )
    restore_answered_at: AwareDatetime | None = Field(default=None, description="Neon answered that it restores")
    backup_id: str | None = Field(default=None, description="set: the restore was accepted")
    accepted_at: AwareDatetime | None = None
    verified_at: AwareDatetime | None = Field(default=None, description="SQL answered on the restored branch")
    has_collided: bool = Field(default=False, description="another rollback or Neon was busy with it: that passes")
    why_not: StoredText | None = Field(
        default=None, description="why it can't succeed any more; what is left is tidied up"
    )
    cleanup_started_at: AwareDatetime | None = None
    moves: tuple[str, ...] = ()
    moved_at: AwareDatetime | None = Field(default=None, description="when the last of them was first made")
    refused_since: AwareDatetime | None = Field(
        default=None, description="SQL is refused on a branch that was just made, restored or restarted"
    )
    is_protection_deferred: bool = Field(default=False, description="Neon was busy: Conclude protects the branch again")
    replication_at_risk: tuple[StoredLine, ...] = Field(
        default=(), description="replication that the restore may delete"
    )
    branch_id: str | None = Field(default=None, description="of a recreate: the new branch; what was before is backup")
    secret_failure: StoredText | None = Field(
        default=None, description="why the connection secret could not be written once"
    )
    is_redeploy_needed: bool = Field(
        default=False, description="tasks that ran before know a secret that was replaced since"
    )
    is_expiry_settled: bool = Field(default=False, description="the backup expires, or can't be made to")
    ran: tuple[CommandRun, ...] = Field(default=(), description="down-migrations and their verification, in order")
    notes: tuple[StoredText, ...] = Field(default=(), description="what whoever reads the report should know or do")
    database_outcome: DatabaseOutcome | None = None
    ended_at: AwareDatetime | None = None
    last_change_checked_at: AwareDatetime | None = Field(
        default=None, description="Neon was asked what became of the last change, as the rollback concluded"
    )
    not_known: StoredText | None = Field(default=None, description="why that is not known; an operator has to look")
    lost: DataLossReport | None = None
    account: DataLossAnalysis | None = Field(default=None, description="from the conclusion on, if there is a backup")
    sequences: tuple[SequenceValue, ...] | None = Field(
        default=None, description="behind the fence, before the restore: those that it takes back; None: not read"
    )
    is_sequence_reread_needed: bool = Field(
        default=False,
        description="the fence was made anew after the restore was announced, and values may be further",
    )
    sequences_left_out: int = Field(default=0, ge=0, description="more than a document takes: they are not carried")
    sequences_carried: tuple[SequenceCarried, ...] | None = Field(default=None, description="None: not done")
    more_sequences_carried: int = Field(default=0, ge=0)
    zero_task_periods: tuple[ZeroTaskPeriod, ...] = Field(
        default=(), description="how long each writer stood at zero tasks"
    )

    @property
    def is_fence_required(self) -> bool:
        """Whether services have to stop now: what needs none of them stopped is done, and no fence stands."""
        is_looked_at = self.point is None or self.previewed_at is not None
        return self.head is None and self.why_not is None and is_looked_at

    @property
    def is_over(self) -> bool:
        """Ended; what it took out of the database is told later, when the services run (`DataLossAnalysis`)."""
        return self.ended_at is not None

    @property
    def may_have_changed_data(self) -> bool:
        """Whether the branch is not, or perhaps not, as it was: a change was sent, and not refused."""
        return self.restore_asked_at is not None or self.backup_id is not None

    @property
    def has_unanswered_change(self) -> bool:
        """Whether a change was announced, and no look has told yet what became of it."""
        if self.last_change_checked_at is not None or self.database_outcome is DatabaseOutcome.RESTORED:
            return False
        is_running = any(run.ended_at is None for run in self.ran)
        is_open = self.ended_at is None and (self.intent is not None or is_running)
        return is_open or (self.restore_asked_at is not None and self.backup_id is None)

    @property
    def is_on_another_timeline(self) -> bool:
        """Whether the branch was found behind the fence on another history than the restore point was recorded on."""
        recorded = self.point.timeline if self.point is not None else None
        found = self.head.timeline if self.head is not None else None
        return None not in (recorded, found) and recorded != found

    @property
    def is_data_loss_report_due(self) -> bool:
        """Whether the account of lost writes was begun, and not told yet."""
        return self.account is not None and self.account.reported_at is None

    def failed_checks(self) -> tuple[Check, ...]:
        """Of the preview."""
        return tuple(check for check in self.preview_checks if check.verdict is Verdict.FAIL)

    def mark_failed(self, why: str, now: datetime) -> "DatabaseProgress":
        """It can't succeed any more; the first reason stands."""
        if self.why_not is not None:
            return self
        return self.evolve(why_not=why, cleanup_started_at=now)

    def ended(self, database_outcome: DatabaseOutcome, now: datetime) -> "DatabaseProgress":
        """No more moves."""
        return self.evolve(database_outcome=database_outcome, ended_at=now, intent=None)

    def confirm_intent(self) -> "DatabaseProgress":
        """What was announced last is seen to be made; its operations are known by their time if its answer was lost."""
        if self.intent is None:
            return self
        return self.evolve(intent=None, confirmed_since=self.confirmed_since or self.intent.at)

    def add_note(self, note: str) -> "DatabaseProgress":
        """With a remark for the report, once."""
        return self if note in self.notes else self.evolve(notes=(*self.notes, note))

    def record_move(self, move: str, now: datetime | None = None) -> "DatabaseProgress":
        """With the move in its record, once however often it is repeated.

        Args:
            now: when; how long a move takes is counted from the first time that it is made.
        """
        if self.moves and self.moves[-1] == move:
            return self
        return self.evolve(moves=(*self.moves, move), moved_at=now)

    def evolve(self, **changes: Any) -> "DatabaseProgress":
        """A validated copy with some fields changed."""
        return DatabaseProgress.model_validate({**dict(self), **changes})
