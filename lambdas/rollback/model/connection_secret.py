"""The secret that services get a database's address from: the whole of it, or one key of a JSON object."""

import json
from typing import Any
from urllib.parse import urlsplit

from pydantic import SecretStr

from rollback.model.errors import InvalidRequest
from rollback.model.release import sha256_of

_POOLER = "-pooler"  # ends the first label of a pooled host (Neon's documentation, "Connection pooling")


def with_uri(secret: SecretStr, key: str | None, uri: SecretStr) -> SecretStr:
    """The secret with another address in it, and all else as it was.

    Raises:
        InvalidRequest: it has no such key. What is in it is never said.
    """
    if key is None:
        return uri
    return SecretStr(json.dumps({**_keys_of(secret, key), key: uri.get_secret_value()}))


def has_uri(secret: SecretStr, key: str | None, uri: SecretStr) -> bool:
    """Whether that address is in it already. Raises as `with_uri`."""
    return _uri_in(secret, key) == uri.get_secret_value()


def is_pooled(secret: SecretStr, key: str | None) -> bool:
    """Whether services reach the database by Neon's pooler: then they do so afterwards. Raises as `with_uri`."""
    try:
        host = urlsplit(_uri_in(secret, key)).hostname or ""
    except ValueError:  # what is there is no address yet
        return False
    return host.partition(".")[0].endswith(_POOLER)


def token_of(rollback_id: str) -> str:
    """Of the version that a rollback makes: the same for a retry, so that Secrets Manager makes no second one."""
    return sha256_of({"rollback": rollback_id, "writes": "connection secret"})


def _uri_in(secret: SecretStr, key: str | None) -> str:
    return secret.get_secret_value() if key is None else str(_keys_of(secret, key)[key])


def _keys_of(secret: SecretStr, key: str) -> dict[str, Any]:
    try:
        found = json.loads(secret.get_secret_value())
    except ValueError:
        found = None
    if not isinstance(found, dict) or key not in found:
        raise InvalidRequest(
            f"the connection secret is no JSON object with the key {key!r}: check connection_secret_arn and "
            "connection_secret_key in the settings"
        )
    return found
