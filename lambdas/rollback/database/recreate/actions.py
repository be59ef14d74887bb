"""The changes of a recreate, each described for `rollback.database.changes.send`."""

from datetime import datetime
from functools import partial

from pydantic import SecretStr

from rollback.database.changes.send import DatabaseChange, SendResult, operations_of
from rollback.database.preflight.branch_context import BranchContext
from rollback.database.recreate.next_action import RecreateMove, RecreateSnapshot
from rollback.database.recreate.observe import service_address
from rollback.database.recreate.ports import BranchSecretPorts
from rollback.domain.database.progress import RecreateProgress, backup_name
from rollback.domain.rollback import Rollback
from rollback.domain.settings.database import DatabaseSettings
from rollback.errors import CallRefused, ExternalServiceError, Throttled
from rollback.ports.holders import HasClock, HasSecrets
from rollback.resources.database.connection_secret import SecretKeys, token_of, with_uri
from rollback.resources.database.errors import NotFound, OutcomeUnknown, RequestRefused
from rollback.resources.database.neon import Branch

RecreateChange = DatabaseChange[RecreateProgress]


def describe_change(
    rollback: Rollback,
    progress: RecreateProgress,
    move: RecreateMove,
    snapshot: RecreateSnapshot,
    expires_at: datetime | None,
    context: BranchContext,
    ports: HasClock,
) -> RecreateChange:
    """Describe the change of a branch that a move makes."""
    neon, original_branch, old_branch = context.neon, progress.before, snapshot.old
    if old_branch is None:
        raise NotFound(f"{move}: branch {original_branch.name} was deleted a moment ago")
    match move:
        case RecreateMove.RENAME_OLD:
            return DatabaseChange(
                move,
                lambda: (neon.update_branch(old_branch.id, name=backup_name(rollback.id)).operations, {}),
                announced={"data_change_announced_at": progress.data_change_announced_at or ports.clock.now()},
                unsent={"data_change_announced_at": None},
            )
        case RecreateMove.CREATE_NEW:
            return DatabaseChange(
                move, partial(_create_new, progress, context), tolerate_refusal=_create_without_expiry
            )
        case RecreateMove.DELETE_NEW if snapshot.named is not None:
            new_id = snapshot.named.id
            return DatabaseChange(
                move,
                lambda: (operations_of(neon.delete_branch(new_id)), {}),
                announced={"is_redeploy_needed": False},  # the secret was seen to name the old branch
            )
        case RecreateMove.RENAME_BACK:
            return DatabaseChange(
                move, lambda: (neon.update_branch(old_branch.id, name=original_branch.name).operations, {})
            )
        case _:

            def keep(current_progress: RecreateProgress, refused: CallRefused) -> RecreateProgress:
                note = (
                    f"branch {backup_name(rollback.id)} does not expire: delete the branch once its data is not needed "
                    f"({refused})"
                )
                return current_progress.add_note(note).evolve(is_expiry_settled=True)

            return DatabaseChange(
                move,
                lambda: (neon.expire_branch(old_branch.id, expires_at).operations, {}),
                tolerate_refusal=keep,  # not every plan of Neon's lets a branch expire
            )


def describe_secret_change(
    rollback: Rollback,
    progress: RecreateProgress,
    new: Branch,
    settings: DatabaseSettings,
    context: BranchContext,
    ports: BranchSecretPorts,
) -> RecreateChange:
    """Describe the write of the connection secret, which was read and names the old branch.

    A write is not repeated after two failures or a refusal: services still reach the old branch.

    Raises:
        InvalidRequest: the secret can't be read, or is not set.
    """
    arn, keys = settings.connection_secret_arn or "", SecretKeys.of(settings)
    new_secret: SecretStr | None = None
    if progress.is_announced(RecreateMove.WRITE_SECRET):  # read immediately before the write
        secret = ports.secrets.read(arn)
        new_secret = with_uri(secret, keys, service_address(new.id, secret, keys, context))

    def write() -> SendResult:
        if new_secret is not None:
            _write_secret(arn, new_secret, rollback, ports)
        return (), {}

    def note_failure(current_progress: RecreateProgress, failure: ExternalServiceError) -> RecreateProgress:
        failed_progress = current_progress.evolve(secret_failure=str(failure))
        if progress.secret_failure is None and not isinstance(failure.__cause__, CallRefused):
            return failed_progress
        return failed_progress.mark_failed(str(failure), ports.clock.now())

    return DatabaseChange(
        RecreateMove.WRITE_SECRET, write, announced={"is_redeploy_needed": True}, after_lost_answer=note_failure
    )


def _write_secret(arn: str, new_secret: SecretStr, rollback: Rollback, ports: HasSecrets) -> None:
    """Write the secret. After any failure but a throttled call, the secret may have been written all the same."""
    try:
        ports.secrets.write(arn, new_secret, token_of(rollback.id))
    except Throttled:
        raise
    except ExternalServiceError as failure:
        raise OutcomeUnknown(str(failure)) from failure


def _create_new(progress: RecreateProgress, context: BranchContext) -> SendResult:
    """Make a branch that expires as the old one does."""
    expires_at = None if progress.expiry_refusal else progress.before.expires_at
    change = context.neon.create_branch(
        progress.before.name, progress.source_branch_id, with_endpoint=True, expires_at=expires_at
    )
    return change.operations, {"branch_id": change.branch.id}


def _create_without_expiry(progress: RecreateProgress, refused: CallRefused) -> RecreateProgress | None:
    """Announce the new branch once more, without `expires_at`, if Neon refuses the request with it."""
    name, expires_at = progress.before.name, progress.before.expires_at
    if expires_at is None or progress.expiry_refusal or not isinstance(refused, RequestRefused):
        return None
    note = f"the new branch {name} was requested without expires_at {expires_at}: {refused}"
    return progress.add_note(note).evolve(expiry_refusal=str(refused))
