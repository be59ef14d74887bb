"""Environment of a container as Fargate makes it: `environment`, and the values of `secrets` at task start.

Fargate reads secrets once, as the task execution role, before it pulls the image. A later change of a value reaches new
tasks only (developer guide, "Pass sensitive data to an Amazon ECS container"). Failures have Fargate's words.
"""

import json
from typing import Any

from botocore.exceptions import ClientError

from local_cloud.iam import credentials

_FAILED = (
    "ResourceInitializationError: unable to pull secrets or registry auth: execution resource retrieval failed: "
    "unable to retrieve {resource}: service call has been retried 1 time(s): {reason}"
)
_SECRET_ARN_PARTS = 7  # then, optionally, :json-key:version-stage:version-id
_CALLS = {"retries": {"total_max_attempts": 2}, "connect_timeout": 5, "read_timeout": 5}


class ResourceInitializationError(Exception):
    """A task can't read a secret, so it can't start. The message is its ``stoppedReason``."""


def container_environment(container: dict[str, Any], execution_role_arn: str | None, region: str) -> dict[str, str]:
    """Return the variables of a container that starts; a secret wins over a variable of the same name.

    Raises:
        ResourceInitializationError: a secret or its key does not exist, or the execution role may not read it.
    """
    variables = {entry["name"]: str(entry["value"]) for entry in container.get("environment") or []}
    for secret in container.get("secrets") or []:
        value_from = str(secret["valueFrom"])
        is_secret = value_from.startswith("arn:") and ":secretsmanager:" in value_from
        read = _read_secret if is_secret else _read_parameter
        variables[secret["name"]] = read(value_from, execution_role_arn, region)
    return variables


def _read_secret(value_from: str, role: str | None, _region: str) -> str:
    parts = value_from.split(":")
    arn = ":".join(parts[:_SECRET_ARN_PARTS])
    key, stage, version = (*parts[_SECRET_ARN_PARTS:], "", "", "")[:3]
    parameters = {"SecretId": arn, "VersionStage": stage, "VersionId": version}
    client = credentials.service_client("secretsmanager", parts[3], role, **_CALLS)
    try:
        value = str(
            client.get_secret_value(**{name: parameter for name, parameter in parameters.items() if parameter})[
                "SecretString"
            ]
        )
    except ClientError as error:
        reason = f"failed to fetch secret {arn} from secrets manager: {_error_text(error)}"
        raise ResourceInitializationError(_FAILED.format(resource="secret from asm", reason=reason)) from error
    if not key:
        return value
    try:
        member = json.loads(value)[key]
    except (ValueError, KeyError, TypeError) as error:
        reason = f"retrieved secret from Secrets Manager did not contain json key {key}"
        raise ResourceInitializationError(_FAILED.format(resource="secret from asm", reason=reason)) from error
    return member if isinstance(member, str) else json.dumps(member)


def _read_parameter(value_from: str, role: str | None, region: str) -> str:
    """Read a parameter by ARN, or by name in the task's own region."""
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
        raise ResourceInitializationError(
            _FAILED.format(resource="secrets from ssm", reason=_error_text(error))
        ) from error
    if not answer["Parameters"]:
        reason = f"invalid parameters: {name}"
        raise ResourceInitializationError(_FAILED.format(resource="secrets from ssm", reason=reason))
    return str(answer["Parameters"][0]["Value"])


def _error_text(error: ClientError) -> str:
    details = error.response["Error"]
    return f"{details['Code']}: {details['Message']}"
