"""Recreate: a new branch in the place of an old one, which keeps its data under the backup's name.

Unlike a reset it gives a new host, so the secret with the services' connection URI is written too, and whoever ran
before must be deployed anew. Called again and again until `rollback.database.ended_at` is set.
"""

from datetime import datetime, timedelta

from rollback.check import Check
from rollback.database.changes.begin import begin_after_checks
from rollback.database.changes.lost_replication import note_lost_replication
from rollback.database.changes.reconcile import outcome_after_failure, reconcile
from rollback.database.changes.send import may_still_arrive
from rollback.database.changes.service_address import is_known_to_neon
from rollback.database.changes.source import judge_source
from rollback.database.preflight.connection_rule import services_get_new_address
from rollback.database.preflight.context import RestoreContext
from rollback.database.preflight.preflight import preflight_of_recreate
from rollback.database.recreate.actions import make_change
from rollback.database.recreate.next_action import (
    RecreateMove,
    RecreateSnapshot,
    find_recreate_objection,
    next_recreate_move,
)
from rollback.database.recreate.observe import apply_observation, take_snapshot
from rollback.domain.database.plan import DatabasePlan
from rollback.domain.database.progress import DatabaseOutcome, DatabaseProgress, backup_name
from rollback.domain.rollback import Rollback
from rollback.domain.settings.database import DatabaseSettings
from rollback.errors import ExternalServiceError, InvalidRequest
from rollback.ports.world import World
from rollback.resources.database.connection_secret import SecretKeys, role_in

_CHANGES = frozenset(
    {
        RecreateMove.RENAME_OLD,
        RecreateMove.CREATE_NEW,
        RecreateMove.WRITE_SECRET,
        RecreateMove.EXPIRE_OLD,
        RecreateMove.DELETE_NEW,
        RecreateMove.RENAME_BACK,
    }
)
_REVERTING = frozenset({RecreateMove.DELETE_NEW, RecreateMove.RENAME_BACK, RecreateMove.END})


def recreate(rollback: Rollback, plan: DatabasePlan, restoring: RestoreContext, world: World) -> Rollback:
    """One look, at most one change.

    It ends restored; or refused, with everything as it was; or failed: the old branch's data is in the backup then.

    Raises:
        InvalidRequest: the environment has no database any more.
        LeaseLost: somebody else holds a lease of ours: whoever it is knows more than we do (rule 3).
        ExternalServiceError: Neon or AWS could not be asked; nothing is lost, call again.
    """
    settings = _settings(world)
    if rollback.database is None:

        def checks() -> tuple[Check, ...]:
            found = preflight_of_recreate(plan.source_branch_id, settings, restoring, world.clock.now())
            found = (*found, _check_connection(plan.source_branch_id, settings, restoring, world))
            return (*found, *judge_source(rollback, found, plan.source_branch_id, restoring, world))

        return begin_after_checks(rollback, checks, restoring, world, {"source_branch_id": plan.source_branch_id})

    def one_move(rollback: Rollback, progress: DatabaseProgress, restoring: RestoreContext, world: World) -> Rollback:
        return _make_next_move(rollback, progress, settings, restoring, world)

    # Until the secret names the new branch, the old one goes on answering under its host.
    is_reversible = not rollback.database.is_redeploy_needed
    return reconcile(rollback, rollback.database, restoring, world, one_move, is_reversible=is_reversible)


def _settings(world: World) -> DatabaseSettings:
    if world.settings.database is None:
        raise InvalidRequest(f"no database is set for {world.settings.environment} any more")
    return world.settings.database


def _check_connection(
    source_branch_id: str | None, settings: DatabaseSettings, restoring: RestoreContext, world: World
) -> Check:
    writers, unreadable = [service.name for service in restoring.target.writers], None
    if settings.connection_secret_arn is not None:
        try:
            secret = world.secrets.read(settings.connection_secret_arn)
            unreadable = _why_unwritable(role_in(secret, SecretKeys.of(settings)), source_branch_id, restoring)
        except (ExternalServiceError, InvalidRequest) as error:
            unreadable = str(error)
    return services_get_new_address(settings, writers, unreadable)


def _why_unwritable(role: str | None, source_id: str | None, restoring: RestoreContext) -> str | None:
    """A child of a protected branch has new passwords: of a role that Neon does not know, nobody could tell it."""
    source = restoring.databases.branch(source_id) if source_id is not None else None
    if role is None or source is None or not source.protected:
        return None
    if is_known_to_neon(restoring.target.branch_id, role, restoring):
        return None
    return (
        f"services log in as {role}, a role that Neon does not know the password of, and a branch made from "
        f"{source.name}, which is protected, has new ones: create the role in Neon's console, or reset the branch "
        "instead, which keeps its passwords"
    )


def _make_next_move(
    rollback: Rollback, progress: DatabaseProgress, settings: DatabaseSettings, restoring: RestoreContext, world: World
) -> Rollback:
    now, poll, backup = world.clock.now(), world.settings.policy.poll_seconds, backup_name(rollback.id)
    seen = take_snapshot(progress, settings, restoring, world)
    progress = apply_observation(rollback, progress, seen, restoring, world)
    against = None if seen.is_complete(progress) else find_recreate_objection(seen, progress, backup)
    if against is not None:
        progress = progress.mark_failed(against, now)
    expires_at = _backup_expiry(progress, restoring)
    move = next_recreate_move(seen, progress, backup, expires_at)
    if move in _REVERTING and may_still_arrive(progress, restoring, world) and not _is_reverting(progress):
        return rollback.evolve(database=progress, wait_seconds=poll)  # else it would come upon what was taken back
    progress = progress.record_move(move, now)
    if move in _CHANGES:
        return make_change(rollback, progress, move, seen, expires_at, settings, restoring, world)
    match move:
        case RecreateMove.CHECK_NEW:
            return rollback.evolve(database=_check_new_branch(progress, seen, restoring, now), wait_seconds=0)
        case RecreateMove.DONE:
            return rollback.evolve(
                database=_note_settings_to_change(progress, settings).ended(DatabaseOutcome.RESTORED, now),
                wait_seconds=0,
            )
        case RecreateMove.END:
            left = progress if seen.named is not None else progress.evolve(branch_id=None)
            return rollback.evolve(database=left.ended(outcome_after_failure(left), now), wait_seconds=0)
        case _:
            return rollback.evolve(database=progress, wait_seconds=poll)


def _is_reverting(progress: DatabaseProgress) -> bool:
    return progress.intent is not None and progress.intent.action in _REVERTING


def _backup_expiry(progress: DatabaseProgress, restoring: RestoreContext) -> datetime | None:
    """Of the old branch; the same again for a retry, in whole seconds as Neon keeps it."""
    days = restoring.target.backup_days
    if days is None or progress.accepted_at is None:
        return None
    return progress.accepted_at.replace(microsecond=0) + timedelta(days=days)


def _check_new_branch(
    progress: DatabaseProgress, seen: RecreateSnapshot, restoring: RestoreContext, now: datetime
) -> DatabaseProgress:
    """The new branch answers, and what is to run can work with its tables."""
    assert seen.named is not None  # noqa: S101 - the move says so
    address = restoring.address(seen.named.id)
    schema, migrations = restoring.sql.live_schema(address), restoring.sql.migrations(address)
    progress = progress.evolve(preview_checks=restoring.judge_preview(schema, migrations))
    if progress.failed_checks():
        return progress
    return note_lost_replication(progress, address, restoring).evolve(verified_at=now, refused_since=None)


def _note_settings_to_change(progress: DatabaseProgress, settings: DatabaseSettings) -> DatabaseProgress:
    if settings.branch_id is None:
        return progress
    return progress.add_note(
        f"the settings name branch {settings.branch_id}, which is the backup now: set database.branch_id to "
        f"{progress.branch_id} and deploy, before the database is to go back again"
    )
