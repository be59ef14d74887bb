"""Secret with a database's address for the services: one URI, a key of a JSON object, or a key for each part.

A new branch has another host. User, database, query parameters, port and scheme stay as the application has them. The
password stays too, unless Neon has another password for the same role. Roles of a branch that is created from a
protected branch get new passwords (https://neon.com/docs/guides/protected-branches).
"""

import json
import re
from typing import Any
from urllib.parse import SplitResult, unquote, urlsplit, urlunsplit

from pydantic import BaseModel, ConfigDict, SecretStr

from rollback.canonical_json import sha256_of
from rollback.domain.settings.database import DatabaseSettings
from rollback.errors import InvalidRequest

_POOLER = "-pooler"  # ends the first label of a pooled host (Neon's documentation, "Connection pooling")
_HOST = re.compile(r"[A-Za-z0-9-]+(\.[A-Za-z0-9-]+)+(:[0-9]+)?")


class SecretKeys(BaseModel):
    """Keys of a JSON secret.

    Attributes:
        address: key of the URI, or of the host alone; None means that the whole secret is the URI.
        role: key of the role's name; None means that the URI has it.
        password: key of the role's password; None means that the URI has it.
    """

    model_config = ConfigDict(frozen=True)

    address: str | None = None
    role: str | None = None
    password: str | None = None

    @classmethod
    def of(cls, settings: DatabaseSettings) -> "SecretKeys":
        """Return the keys in the settings of an environment."""
        return cls(
            address=settings.connection_secret_key,
            role=settings.connection_secret_role_key,
            password=settings.connection_secret_password_key,
        )


def with_uri(secret: SecretStr, keys: SecretKeys, uri: SecretStr) -> SecretStr:
    """Return the secret with the host of another URI, and with its password if the role is the same.

    Everything else stays. A secret without an address gets the whole URI.

    Args:
        secret: the present secret.
        keys: keys of its parts.
        uri: Neon's URI for the role that `role_in` returns.

    Raises:
        InvalidRequest: the secret has no such key, or its address can't be read. The text never has its content.
    """
    new = uri.get_secret_value()
    if keys.address is None:
        return SecretStr(_moved(secret.get_secret_value(), new))
    members = _keys_of(secret, keys.address)
    current = str(members[keys.address])
    new_members = {**members, keys.address: _moved(current, new)}
    login = urlsplit(new)
    same_role = keys.role is not None and members.get(keys.role) == unquote(login.username or "")
    if "://" not in current and keys.password is not None and same_role and login.password:
        new_members[keys.password] = unquote(login.password)
    return SecretStr(json.dumps(new_members))


def has_uri(secret: SecretStr, keys: SecretKeys, uri: SecretStr) -> bool:
    """Report whether the secret already has the URI, so that writing changes nothing. Raises as `with_uri`."""
    written = with_uri(secret, keys, uri)
    if keys.address is None:
        return written == secret
    return _keys_of(written, keys.address) == _keys_of(secret, keys.address)


def is_pooled(secret: SecretStr, keys: SecretKeys) -> bool:
    """Report whether the secret's host is Neon's pooler, which a new URI must then use too. Raises as `with_uri`."""
    host = _host_of(_address_in(secret, keys)) or ""
    return host.partition(".")[0].endswith(_POOLER)


def role_in(secret: SecretStr, keys: SecretKeys) -> str | None:
    """Return the role of the services, or None if the secret does not name it. Raises as `with_uri`."""
    address = _address_in(secret, keys)
    if "://" in address:
        name = _split(address).username
        return unquote(name) if name else None
    if keys.address is None or keys.role is None:
        return None
    name = _keys_of(secret, keys.address).get(keys.role)
    return str(name) if name else None


def token_of(rollback_id: str) -> str:
    """Return the token of a rollback's secret version; a retry has the same token and makes no second version."""
    return sha256_of({"rollback": rollback_id, "writes": "connection secret"})


def _moved(current: str, new: str) -> str:
    """Replace the host of an address; a text that is no address is replaced as a whole."""
    new_parts = urlsplit(new)
    host, _, port = new_parts.netloc.rpartition("@")[2].partition(":")
    if "://" not in current:
        return f"{host}:{port}" if port and ":" in current else host if _HOST.fullmatch(current) else new
    current_parts = _split(current)
    login, at, host_and_port = current_parts.netloc.rpartition("@")
    old_host, _, old_port = host_and_port.partition(":")
    port = port or old_port  # Neon's URI has no port, so the application's port stays
    netloc = f"{_login(login, new_parts)}{at}{host}:{port}" if port else f"{_login(login, new_parts)}{at}{host}"
    # A client without SNI names the endpoint in `options` (https://neon.com/docs/connect/connection-errors).
    query = current_parts.query.replace(_endpoint(old_host), _endpoint(host)) if old_host else current_parts.query
    return urlunsplit(current_parts._replace(netloc=netloc, query=query))


def _login(login: str, new_parts: SplitResult) -> str:
    """Replace a written password if the role is the same; name and password stay as they are written otherwise."""
    name, colon, password = login.partition(":")
    same_role = unquote(name) == unquote(new_parts.username or "")
    if not colon or not new_parts.password or not same_role or unquote(password) == unquote(new_parts.password):
        return login
    return f"{name}:{new_parts.password}"


def _endpoint(host: str) -> str:
    return host.partition(".")[0].removesuffix(_POOLER)


def _host_of(address: str) -> str | None:
    if "://" in address:
        return _split(address).hostname
    return address if _HOST.fullmatch(address) else None


def _split(address: str) -> SplitResult:
    """Split an address.

    Raises:
        InvalidRequest: the address can't be read; the text does not have it.
    """
    try:
        parts = urlsplit(address)
        readable = bool(parts.hostname) and (parts.port is None or parts.port > 0) and "@" not in parts.path
    except ValueError:
        readable = False
    if not readable:
        raise InvalidRequest(
            "the connection secret has an address that can't be read: encode special characters in its password (%2F "
            "for /, %23 for #, %40 for @)"
        )
    return parts


def _address_in(secret: SecretStr, keys: SecretKeys) -> str:
    return secret.get_secret_value() if keys.address is None else str(_keys_of(secret, keys.address)[keys.address])


def _keys_of(secret: SecretStr, key: str) -> dict[str, Any]:
    try:
        members = json.loads(secret.get_secret_value())
    except ValueError:
        members = None
    if not isinstance(members, dict) or key not in members:
        raise InvalidRequest(
            f"the connection secret is no JSON object with the key {key!r}: check connection_secret_arn and "
            "connection_secret_key in the settings"
        )
    return members
