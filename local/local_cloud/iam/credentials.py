"""Credentials of the administrator and of roles, and clients that call the local endpoint with them."""

import functools
import threading
from dataclasses import dataclass
from typing import Any

import boto3
from botocore.config import Config
from moto.sts.models import sts_backends


@dataclass(frozen=True)
class Credentials:
    """An access key. Temporary credentials carry a session token."""

    access_key_id: str
    secret_access_key: str
    session_token: str | None = None

    def as_environment(self) -> dict[str, str]:
        """Return the environment variables that AWS SDKs read."""
        variables = {"AWS_ACCESS_KEY_ID": self.access_key_id, "AWS_SECRET_ACCESS_KEY": self.secret_access_key}
        return variables | ({"AWS_SESSION_TOKEN": self.session_token} if self.session_token else {})


ADMIN = Credentials("AKIALOCALADMIN0000000", "local-administrator")
"""The key that IAM's enforcement lets through. Deployments, tests and the cloud itself call with it."""


class _Current:
    endpoint: str | None = None


_client_lock = threading.Lock()


def configure(endpoint: str) -> None:
    """Let every client made from now on call `endpoint`."""
    _Current.endpoint = endpoint
    _admin_client.cache_clear()


def endpoint() -> str:
    """Return the URL of the embedded cloud.

    Raises:
        RuntimeError: no cloud has started.
    """
    if _Current.endpoint is None:
        raise RuntimeError("the embedded cloud has no endpoint yet: start LocalCloud first")
    return _Current.endpoint


def role_credentials(role_arn: str, session_name: str) -> Credentials:
    """Return temporary credentials of a role, as an AWS service gets them. No trust policy is evaluated."""
    account = role_arn.split(":")[4]
    role = sts_backends[account]["aws"].assume_role(
        region_name="us-east-1",
        role_session_name=session_name[:64],
        role_arn=role_arn,
        policy="",
        duration=3600,
        external_id="",
    )
    return Credentials(role.access_key_id, role.secret_access_key, role.session_token)


def service_client(service: str, region: str, role_arn: str | None = None, **config: Any) -> Any:
    """Return a boto3 client on the local endpoint.

    Args:
        service: boto3's name.
        region: of the client.
        role_arn: the role that calls; None: the administrator.
        config: further settings of `botocore.config.Config`.
    """
    if role_arn is None and not config:
        return _admin_client(service, region)
    caller = ADMIN if role_arn is None else role_credentials(role_arn, f"local-{service}")
    return _client(service, region, caller, **config)


@functools.cache
def _admin_client(service: str, region: str) -> Any:
    return _client(service, region, ADMIN)


def _client(service: str, region: str, caller: Credentials, **config: Any) -> Any:
    settings: dict[str, Any] = {"s3": {"addressing_style": "path"}, "max_pool_connections": 50, **config}
    with _client_lock:  # boto3 makes clients in one thread at a time only
        return boto3.client(  # type: ignore[call-overload]
            service,
            region_name=region,
            endpoint_url=endpoint(),
            aws_access_key_id=caller.access_key_id,
            aws_secret_access_key=caller.secret_access_key,
            aws_session_token=caller.session_token,
            config=Config(**settings),
        )
