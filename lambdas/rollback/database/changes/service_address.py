"""The address by which services reach a branch: as the role that they log in as, by the pooler if they use it."""

from pydantic import SecretStr

from rollback.database.preflight.context import RestoreContext
from rollback.resources.database.connection_secret import SecretKeys, is_pooled, role_in
from rollback.resources.database.errors import NotFound


def service_address(branch_id: str, secret: SecretStr, keys: SecretKeys, restoring: RestoreContext) -> SecretStr:
    """Neon's URI of the role that the secret names. Neon's word for that role's password is the only one.

    A role that Neon does not know has no password there: then the URI is that of the settings' role, from which only
    the host is taken (`connection_secret.with_uri`).

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
    """Whether Neon can tell the role's password on a branch."""
    try:
        restoring.databases.connection_uri(branch_id, restoring.target.database, role)
    except NotFound:
        return False
    return True
