"""Observe the old branch, the new one and the secret, and determine which of our changes were made."""

from typing import Literal

from pydantic import SecretStr

from rollback.database.changes.send import may_still_arrive
from rollback.database.preflight.branch_context import BranchContext
from rollback.database.recreate.next_action import RecreateMove, RecreateSnapshot
from rollback.database.recreate.ports import BranchSecretPorts
from rollback.database.restore.observe import operation_status
from rollback.domain.database.progress import RecreateProgress, backup_name
from rollback.domain.rollback import Rollback
from rollback.domain.settings.database import DatabaseSettings
from rollback.errors import ExternalServiceError, InvalidRequest
from rollback.ports.holders import HasClock, HasSecrets
from rollback.resources.database.connection_secret import SecretKeys, has_uri, is_pooled, role_in
from rollback.resources.database.errors import NotFound
from rollback.resources.database.neon import Branch


def take_snapshot(
    progress: RecreateProgress, settings: DatabaseSettings, context: BranchContext, ports: BranchSecretPorts
) -> RecreateSnapshot:
    """Observe both branches and the secret. The old branch is known by its id, the new one by its name."""
    old_branch = context.neon.branch(progress.before.id or context.settings.branch_id)
    new_branch = context.neon.branch_named(progress.before.name)
    new_branch = (
        None if new_branch is not None and old_branch is not None and new_branch.id == old_branch.id else new_branch
    )
    return RecreateSnapshot(
        old=old_branch,
        named=new_branch,
        addressed_branch=_known_address(progress, new_branch, settings, context, ports),
        operations=operation_status(progress, (old_branch, new_branch), context, ports.clock.now()),
    )


def apply_observation(
    rollback: Rollback, progress: RecreateProgress, snapshot: RecreateSnapshot, context: BranchContext, ports: HasClock
) -> RecreateProgress:
    """Record which of our changes were carried out, whether or not their answers arrived."""
    now = ports.clock.now()
    if snapshot.named is not None and progress.branch_id is None and _is_ours(snapshot.named, progress):
        progress = progress.confirm_intent().evolve(branch_id=snapshot.named.id)
    if snapshot.addressed_branch == "new" and progress.is_announced(RecreateMove.WRITE_SECRET):
        progress = progress.confirm_intent()
    if snapshot.old is not None and snapshot.old.name == backup_name(rollback.id):
        accepted_at = progress.accepted_at or now
        progress = progress.evolve(backup_id=snapshot.old.id, accepted_at=accepted_at)
        if progress.is_announced(RecreateMove.RENAME_OLD):
            progress = progress.confirm_intent()
    if _is_reversal_done(progress, snapshot):
        progress = progress.confirm_intent()
    if progress.why_not is not None and not may_still_arrive(progress, context, ports):
        progress = _revert_progress(progress, snapshot)
    return progress


def _is_reversal_done(progress: RecreateProgress, snapshot: RecreateSnapshot) -> bool:
    """Whether the last announced step of clean-up is done."""
    is_deleted = snapshot.named is None and progress.is_announced(RecreateMove.DELETE_NEW)
    has_its_name = snapshot.old is not None and snapshot.old.name == progress.before.name
    return is_deleted or (has_its_name and progress.is_announced(RecreateMove.RENAME_BACK))


def _revert_progress(progress: RecreateProgress, snapshot: RecreateSnapshot) -> RecreateProgress:
    """Drop the changes that were reverted."""
    if snapshot.named is None and snapshot.addressed_branch != "unknown":
        progress = progress.evolve(is_redeploy_needed=False)
    if snapshot.old is not None and snapshot.old.name == progress.before.name:
        progress = progress.evolve(data_change_announced_at=None, backup_id=None, accepted_at=None)
    return progress


def _is_ours(branch: Branch, progress: RecreateProgress) -> bool:
    """Whether the rollback created the branch: it requested one of that name, from the same source."""
    return progress.is_announced(RecreateMove.CREATE_NEW) and branch.parent_id == progress.source_branch_id


def _known_address(
    progress: RecreateProgress,
    new_branch: Branch | None,
    settings: DatabaseSettings,
    context: BranchContext,
    ports: HasSecrets,
) -> Literal["none", "old", "new", "unknown"]:
    arn, keys = settings.connection_secret_arn, SecretKeys.of(settings)
    if arn is None:
        return "none"
    if new_branch is None or progress.verified_at is None:
        return "unknown" if progress.is_redeploy_needed else "old"
    try:
        secret = ports.secrets.read(arn)
        return "new" if has_uri(secret, keys, service_address(new_branch.id, secret, keys, context)) else "old"
    except (ExternalServiceError, InvalidRequest):
        return "unknown"


def service_address(branch_id: str, secret: SecretStr, keys: SecretKeys, context: BranchContext) -> SecretStr:
    """Ask Neon for the URI by which services reach a branch: the secret names their role, and whether they are pooled.

    Neon has no password of a role that it does not know. Then the URI is that of the settings' role, from which
    `connection_secret.with_uri` takes only the host.

    Raises:
        InvalidRequest: the secret can't be read.
        ExternalServiceError: Neon can't be asked.
    """
    branch_settings, is_pooled_address = context.settings, is_pooled(secret, keys)
    role = role_in(secret, keys) or branch_settings.role
    try:
        return context.neon.connection_uri(branch_id, branch_settings.database, role, pooled=is_pooled_address)
    except NotFound:
        if role == branch_settings.role:
            raise
        return context.neon.connection_uri(
            branch_id, branch_settings.database, branch_settings.role, pooled=is_pooled_address
        )


def is_known_to_neon(branch_id: str, role: str, context: BranchContext) -> bool:
    """Whether Neon has the role's password on a branch."""
    try:
        context.neon.connection_uri(branch_id, context.settings.database, role)
    except NotFound:
        return False
    return True
