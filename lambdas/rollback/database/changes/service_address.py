"""The address by which services reach a branch: with their role, and through the pooler if they use it."""

from pydantic import SecretStr

from rollback.database.preflight.context import RestoreContext
from rollback.resources.database.connection_secret import SecretKeys, is_pooled, role_in
from rollback.resources.database.errors import NotFound


def service_address(branch_id: str, secret: SecretStr, keys: SecretKeys, restoring: RestoreContext) -> SecretStr:
    """Ask Neon for the URI of the role that the secret names.

    Neon has no password of a role that it does not know. Then the URI is that of the settings' role, from which
    `connection_secret.with_uri` takes only the host.

    Raises:
        InvalidRequest: the secret can't be read.
        ExternalServiceError: Neon can't be asked.
    """
    target, pooled = restoring.target, is_pooled(secret, keys)
    role = role_in(secret, keys) or target.role
    try:
        return restoring.databases.connection_uri(branch_id, target.database, role, pooled=pooled)
    except NotFound:
        if role == target.role:
            raise
        return restoring.databases.connection_uri(branch_id, target.database, target.role, pooled=pooled)


def is_known_to_neon(branch_id: str, role: str, restoring: RestoreContext) -> bool:
    """Whether Neon has the role's password on a branch."""
    try:
        restoring.databases.connection_uri(branch_id, restoring.target.database, role)
    except NotFound:
        return False
    return True
