"""Recreate: a new branch takes the place of an old one, which keeps its data under the backup's name.

A reset keeps the branch's host, a recreate gives a new one. So the secret with the services' connection URI is written
too, and services that ran before must be deployed again.
"""

from dataclasses import dataclass, field
from datetime import datetime, timedelta

from rollback.check import Check
from rollback.database.changes.begin import begin_after_checks
from rollback.database.changes.fence import recheck_fence
from rollback.database.changes.lost_replication import note_lost_replication
from rollback.database.changes.reconcile import end_unsuccessfully, run_strategy
from rollback.database.changes.send import make_change, may_still_arrive
from rollback.database.changes.source import judge_source
from rollback.database.changes.strategy import DatabaseStrategy
from rollback.database.preflight.branch_context import BranchContext
from rollback.database.preflight.branch_rules import services_get_new_address
from rollback.database.preflight.preflight import preflight_of_recreate
from rollback.database.recreate.actions import describe_change, describe_secret_change
from rollback.database.recreate.next_action import (
    RECREATE_CHANGES,
    RecreateMove,
    RecreateSnapshot,
    find_recreate_objection,
    next_recreate_move,
)
from rollback.database.recreate.observe import apply_observation, is_known_to_neon, take_snapshot
from rollback.database.recreate.ports import RecreatePorts
from rollback.domain.database.plan import DatabasePlan
from rollback.domain.database.progress import DatabaseOutcome, OriginalBranch, RecreateProgress, backup_name
from rollback.domain.rollback import Rollback
from rollback.domain.settings.database import DatabaseSettings
from rollback.errors import ExternalServiceError, InvalidRequest
from rollback.ports.holders import HasSecrets
from rollback.resources.database.connection_secret import SecretKeys, role_in
from rollback.resources.database.errors import NotFound


def recreate(rollback: Rollback, plan: DatabasePlan, context: BranchContext, ports: RecreatePorts) -> Rollback:
    """Observe once, and make at most one change. Call again until the progress has ended.

    A recreate ends as restored, as refused with everything as it was, or as failed. The backup has the old data then.

    Raises:
        InvalidRequest: the environment has no database any more.
        LeaseLost: another rollback holds one of our leases (rule 3: aborted while fenced, everything stays as it is).
        ExternalServiceError: Neon or AWS could not be asked; nothing is lost, call again.
    """
    settings = ports.settings.database
    if settings is None:
        raise InvalidRequest(f"no database is set for {ports.settings.environment} any more")
    return run_strategy(rollback, RecreateStrategy(context, ports, plan, settings, backup_name(rollback.id)), ports)


@dataclass
class RecreateStrategy(DatabaseStrategy[RecreateProgress, RecreateSnapshot, RecreateMove]):
    """Put a new branch in the place of the old one."""

    context: BranchContext
    ports: RecreatePorts
    plan: DatabasePlan
    settings: DatabaseSettings
    backup: str
    progress_type: type[RecreateProgress] = field(default=RecreateProgress, init=False)

    def begin(self, rollback: Rollback) -> Rollback:
        """Ask Neon, SQL and the secret whether the branch can be created again."""
        source = self.plan.source_branch_id

        def run_checks() -> tuple[Check, ...]:
            checks = preflight_of_recreate(source, self.settings, self.context, self.ports.clock.now())
            checks = (*checks, _check_connection(source, self.settings, self.context, self.ports))
            return (*checks, *judge_source(rollback, checks, source, self.context, self.ports))

        def new_progress(original_branch: OriginalBranch, _: tuple[Check, ...]) -> RecreateProgress:
            if source is None:
                raise InvalidRequest("a recreate needs a source branch; nothing was changed")
            return RecreateProgress(started_at=self.ports.clock.now(), before=original_branch, source_branch_id=source)

        return begin_after_checks(rollback, run_checks, new_progress, self.context, self.ports)

    def is_reversible(self, progress: RecreateProgress) -> bool:
        """Whether services still reach the old branch: it answers under its host until the secret names the new one."""
        return not progress.is_redeploy_needed

    def observe(
        self, rollback: Rollback, progress: RecreateProgress
    ) -> tuple[Rollback, RecreateProgress, RecreateSnapshot]:
        """Observe both branches and the secret, and record which changes were carried out."""
        snapshot = take_snapshot(progress, self.settings, self.context, self.ports)
        progress = apply_observation(rollback, progress, snapshot, self.context, self.ports)
        is_under_way = may_still_arrive(progress, self.context, self.ports)
        return rollback, progress, snapshot.model_copy(update={"is_change_under_way": is_under_way})

    def find_objection(self, snapshot: RecreateSnapshot, progress: RecreateProgress) -> str | None:
        """Return why the recreate can't succeed any more."""
        return None if snapshot.is_complete(progress) else find_recreate_objection(snapshot, progress, self.backup)

    def may_still_arrive(self, progress: RecreateProgress) -> bool:  # noqa: ARG002
        """Return False: `next_action` itself waits, since the event to wait for depends on the move."""
        return False

    def next_action(self, snapshot: RecreateSnapshot, progress: RecreateProgress) -> RecreateMove:
        """Decide the next move."""
        return next_recreate_move(snapshot, progress, self.backup, self._backup_expiry(progress))

    def act(
        self, rollback: Rollback, progress: RecreateProgress, action: RecreateMove, snapshot: RecreateSnapshot
    ) -> Rollback:
        """Make the move."""
        now, poll = self.ports.clock.now(), self.ports.settings.policy.poll_seconds
        if action is RecreateMove.WAIT_FOR_ANSWER:
            return rollback.evolve(database=progress, wait_seconds=poll)
        progress = progress.record_move(action, now)
        if action in RECREATE_CHANGES:
            return self._make_change(rollback, progress, action, snapshot)
        match action:
            case RecreateMove.CHECK_NEW:
                return rollback.evolve(database=self._check_new_branch(progress, snapshot, now), wait_seconds=0)
            case RecreateMove.DONE:
                restored_progress = self._note_settings_to_change(progress).ended(DatabaseOutcome.RESTORED, now)
                return rollback.evolve(database=restored_progress, wait_seconds=0)
            case RecreateMove.END:
                final_progress = progress if snapshot.named is not None else progress.evolve(branch_id=None)
                return end_unsuccessfully(rollback, final_progress, self.ports)
            case _:
                return rollback.evolve(database=progress, wait_seconds=poll)

    def _make_change(
        self, rollback: Rollback, progress: RecreateProgress, move: RecreateMove, snapshot: RecreateSnapshot
    ) -> Rollback:
        if move is RecreateMove.RENAME_OLD:
            reopened_progress = recheck_fence(rollback, progress, self.context, self.ports)
            if reopened_progress is not None:
                return rollback.evolve(database=reopened_progress, wait_seconds=0)
        try:
            if move is RecreateMove.WRITE_SECRET and snapshot.named is not None:
                change = describe_secret_change(
                    rollback, progress, snapshot.named, self.settings, self.context, self.ports
                )
            else:
                expires_at = self._backup_expiry(progress)
                change = describe_change(rollback, progress, move, snapshot, expires_at, self.context, self.ports)
            return make_change(rollback, progress, change, self.context, self.ports)
        except InvalidRequest as error:  # the secret does not have the shape that the settings describe
            return rollback.evolve(database=progress.mark_failed(str(error), self.ports.clock.now()), wait_seconds=0)

    def _backup_expiry(self, progress: RecreateProgress) -> datetime | None:
        """Return when the old branch expires, the same for a retry, in whole seconds as Neon keeps it."""
        days = self.context.settings.backup_days
        if days is None or progress.accepted_at is None:
            return None
        return progress.accepted_at.replace(microsecond=0) + timedelta(days=days)

    def _check_new_branch(
        self, progress: RecreateProgress, snapshot: RecreateSnapshot, now: datetime
    ) -> RecreateProgress:
        """Check that the new branch answers, and that the releases can work with its tables."""
        if snapshot.named is None:
            raise NotFound(f"the new branch {progress.before.name} was deleted a moment ago")
        address, sql = self.context.address(snapshot.named.id), self.context.sql
        schema, migrations = sql.live_schema(address), sql.migrations(address)
        progress = progress.evolve(schema_checks=self.context.check_tables(schema, migrations))
        if progress.failed_checks():
            return progress
        return note_lost_replication(progress, address, self.context).evolve(verified_at=now, refused_since=None)

    def _note_settings_to_change(self, progress: RecreateProgress) -> RecreateProgress:
        if self.settings.branch_id is None:
            return progress
        return progress.add_note(
            f"the settings name branch {self.settings.branch_id}, which is the backup now. Set database.branch_id to "
            f"{progress.branch_id} and deploy, before the next database rollback"
        )


def _check_connection(
    source_branch_id: str | None, settings: DatabaseSettings, context: BranchContext, ports: HasSecrets
) -> Check:
    writers, unreadable = [service.name for service in context.settings.writers], None
    if settings.connection_secret_arn is not None:
        try:
            secret = ports.secrets.read(settings.connection_secret_arn)
            unreadable = _why_unwritable(role_in(secret, SecretKeys.of(settings)), source_branch_id, context)
        except (ExternalServiceError, InvalidRequest) as error:
            unreadable = str(error)
    return services_get_new_address(settings, writers, unreadable)


def _why_unwritable(role: str | None, source_id: str | None, context: BranchContext) -> str | None:
    """Return why the secret can't be written: Neon lacks the role's password on a child of a protected branch."""
    source = context.neon.branch(source_id) if source_id is not None else None
    if role is None or source is None or not source.protected:
        return None
    if is_known_to_neon(context.settings.branch_id, role, context):
        return None
    return (
        f"services log in as {role}, and Neon does not have that role's password. A branch created from {source.name}, "
        "which is protected, gets new passwords: create the role in Neon's console, or reset the branch instead, which "
        "keeps its passwords"
    )
