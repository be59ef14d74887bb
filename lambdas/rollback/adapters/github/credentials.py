"""Credentials for GitHub: a token, or a GitHub App that exchanges its key for tokens of an hour."""

import base64
import json
import threading
import time
from collections.abc import Callable, Mapping
from datetime import datetime
from typing import Any

from rollback.errors import CallRefused, ExternalServiceError, RefusalKind

_MARGIN_SECONDS = 300.0  # a token that expires so soon is exchanged, so that none expires in a request
# "set this 60 seconds in the past"; "no more than 10 minutes into the future" (docs.github.com, "Generating a JSON Web
# Token (JWT) for a GitHub App"). A minute less allows for a clock that is ahead.
_ISSUED_BEFORE_SECONDS, _VALID_SECONDS = 60, 540

Send = Callable[[str, Mapping[str, Any], str], Any]  # path, body and token of a POST request


class SecretToken:
    """A token in a secret, read for every request, so that a rotated token is used."""

    def __init__(self, read_secret: Callable[[], str]) -> None:
        self._read_secret = read_secret

    def token(self, send: Send) -> str:  # noqa: ARG002 - a token needs no exchange
        """Read the token."""
        return self._read_secret().strip()

    def renew(self) -> bool:
        """Report that the secret holds no other token."""
        return False


class AppToken:
    """A token of an App's installation, kept until five minutes before it expires; thread-safe.

    Args:
        app_id: id or client id of the App.
        installation_id: its installation on the repository's owner.
        read_secret: reads the private key, a PEM file.
        permissions: permissions of the token, no more than the reports need.
        now: seconds since 1970.
    """

    def __init__(
        self,
        app_id: str,
        installation_id: int,
        read_secret: Callable[[], str],
        permissions: Mapping[str, str],
        now: Callable[[], float] = time.time,
    ) -> None:
        self._app_id, self._installation_id, self._permissions = app_id, installation_id, permissions
        self._read_secret, self._now = read_secret, now
        self._lock = threading.Lock()
        self._kept: tuple[str, float] | None = None

    def token(self, send: Send) -> str:
        """Return the kept token, or exchange a signed assertion for a new one."""
        with self._lock:
            if self._kept is None or self._now() >= self._kept[1] - _MARGIN_SECONDS:
                self._kept = self._exchange(send)
            return self._kept[0]

    def renew(self) -> bool:
        """Forget the token: GitHub refused it, since an owner revoked or suspended the installation."""
        with self._lock:
            self._kept = None
        return True

    def _exchange(self, send: Send) -> tuple[str, float]:
        path = f"/app/installations/{self._installation_id}/access_tokens"
        answer = send(path, {"permissions": dict(self._permissions)}, self._assertion())
        try:
            return str(answer["token"]), datetime.fromisoformat(answer["expires_at"]).timestamp()
        except (KeyError, TypeError, ValueError):
            raise ExternalServiceError(f"GitHub's answer to POST {path} has no token with its end") from None

    def _assertion(self) -> str:
        now = int(self._now())
        claims = {"iat": now - _ISSUED_BEFORE_SECONDS, "exp": now + _VALID_SECONDS, "iss": self._app_id}
        return sign_assertion(claims, self._read_secret())


def sign_assertion(claims: Mapping[str, object], private_key: str) -> str:
    """Sign a JSON Web Token with RS256 (RFC 7515, RFC 7518).

    Raises:
        CallRefused: the private key can't be read. Its text is not quoted.
    """
    # 15 MB of the bundle and 60 ms of a start: only environments with an App have and load it (decision 38).
    from cryptography.hazmat.primitives import hashes  # noqa: PLC0415
    from cryptography.hazmat.primitives.asymmetric import padding, rsa  # noqa: PLC0415
    from cryptography.hazmat.primitives.serialization import load_pem_private_key  # noqa: PLC0415

    try:
        key = load_pem_private_key(private_key.strip().encode(), password=None)
    except (ValueError, TypeError):
        key = None
    if not isinstance(key, rsa.RSAPrivateKey):
        raise CallRefused(
            "the secret of github.app holds no RSA key; store there the PEM file that the App's settings page gave",
            kind=RefusalKind.CREDENTIALS,
        )
    unsigned = f"{_base64url(_json({'alg': 'RS256', 'typ': 'JWT'}))}.{_base64url(_json(claims))}"
    return f"{unsigned}.{_base64url(key.sign(unsigned.encode(), padding.PKCS1v15(), hashes.SHA256()))}"


def _json(members: Mapping[str, object]) -> bytes:
    return json.dumps(members, separators=(",", ":")).encode()


def _base64url(content: bytes) -> str:
    return base64.urlsafe_b64encode(content).rstrip(b"=").decode()
