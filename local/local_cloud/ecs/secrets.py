"""What Fargate puts into a container's environment: `environment`, and `secrets` as their values are at task start.

Developer guide, "Pass sensitive data to an Amazon ECS container": read once, as the task execution role, before the
image is pulled; a value that changes later reaches new tasks only. Texts of failures are Fargate's.
"""

import json
from typing import Any

from botocore.exceptions import ClientError
from moto.ecs.exceptions import EcsClientException

from local_cloud.iam import credentials

_FAILED = (
    "ResourceInitializationError: unable to pull secrets or registry auth: execution resource retrieval failed: "
    "unable to retrieve {what}: service call has been retried 1 time(s): {why}"
)
_SECRET_ARN_PARTS = 7  # then, optionally, :json-key:version-stage:version-id
_CALLS = {"retries": {"total_max_attempts": 2}, "connect_timeout": 5, "read_timeout": 5}


class ResourceInitializationError(Exception):
    """A task can't start for want of a secret; the message is its ``stoppedReason``."""


def container_environment(container: dict[str, Any], execution_role_arn: str | None, region: str) -> dict[str, str]:
    """The variables of a container that is about to start; a secret wins over a variable of the same name.

    Raises:
        ResourceInitializationError: a secret is gone, has no such key, or the execution role may not read it.
    """
    variables = {entry["name"]: str(entry["value"]) for entry in container.get("environment") or []}
    for secret in container.get("secrets") or []:
        value_from = str(secret["valueFrom"])
        of_secrets_manager = value_from.startswith("arn:") and ":secretsmanager:" in value_from
        read = _read_secret if of_secrets_manager else _read_parameter
        variables[secret["name"]] = read(value_from, execution_role_arn, region)
    return variables


def require_execution_role(containers: list[dict[str, Any]], execution_role_arn: str | None) -> None:
    """Raises EcsClientException: a definition has secrets, and names nobody who reads them."""
    if execution_role_arn is None and any(container.get("secrets") for container in containers):
        raise EcsClientException(
            "When you are specifying container secrets, you must also specify a value for 'executionRoleArn'."
        )


def _read_secret(value_from: str, role: str | None, _region: str) -> str:
    parts = value_from.split(":")
    arn = ":".join(parts[:_SECRET_ARN_PARTS])
    key, stage, version = (*parts[_SECRET_ARN_PARTS:], "", "", "")[:3]
    asked = {"SecretId": arn, "VersionStage": stage, "VersionId": version}
    client = credentials.service_client("secretsmanager", parts[3], role, **_CALLS)
    try:
        value = str(client.get_secret_value(**{name: given for name, given in asked.items() if given})["SecretString"])
    except ClientError as error:
        why = f"failed to fetch secret {arn} from secrets manager: {_error_text(error)}"
        raise ResourceInitializationError(_FAILED.format(what="secret from asm", why=why)) from error
    if not key:
        return value
    try:
        found = json.loads(value)[key]
    except (ValueError, KeyError, TypeError) as error:
        why = f"retrieved secret from Secrets Manager did not contain json key {key}"
        raise ResourceInitializationError(_FAILED.format(what="secret from asm", why=why)) from error
    return found if isinstance(found, str) else json.dumps(found)


def _read_parameter(value_from: str, role: str | None, region: str) -> str:
    """A parameter by ARN, or by name in the task's own region."""
    if value_from.startswith("arn:"):
        region = value_from.split(":")[3]
        # the ARN of `/a/b` ends with `parameter/a/b`, that of `a` with `parameter/a`
        name = value_from.partition(":parameter/")[2]
        name = f"/{name}" if "/" in name else name
    else:
        name = value_from
    try:
        client = credentials.service_client("ssm", region, role, **_CALLS)
        answer = client.get_parameters(Names=[name], WithDecryption=True)
    except ClientError as error:
        raise ResourceInitializationError(_FAILED.format(what="secrets from ssm", why=_error_text(error))) from error
    if not answer["Parameters"]:
        why = f"invalid parameters: {name}"
        raise ResourceInitializationError(_FAILED.format(what="secrets from ssm", why=why))
    return str(answer["Parameters"][0]["Value"])


def _error_text(error: ClientError) -> str:
    told = error.response["Error"]
    return f"{told['Code']}: {told['Message']}"
