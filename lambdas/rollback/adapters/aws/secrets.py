"""Secrets Manager and SSM: is what a task definition refers to still there? And the few secrets that are our own.

Values of what tasks refer to are never read.
"""

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING

from botocore.exceptions import ClientError
from pydantic import SecretStr

from rollback.adapters.aws.errors import aws_call, code_of, is_denied

if TYPE_CHECKING:
    from mypy_boto3_secretsmanager import SecretsManagerClient
    from mypy_boto3_ssm import SSMClient

_SECRET_ARN_PARTS = 7  # arn:aws:secretsmanager:<region>:<account>:secret:<name>, then :key:stage:version of ECS's own


class ReferencedSecrets:
    """Adapter. Each argument makes a client for a region, which an ARN names; an empty one is the service's own."""

    def __init__(
        self, secrets_in: "Callable[[str], SecretsManagerClient]", parameters_in: "Callable[[str], SSMClient]"
    ) -> None:
        self._secrets_in = secrets_in
        self._parameters_in = parameters_in

    def exists(self, value_from: str) -> bool | None:
        """Whether `secrets[].valueFrom` of a container names something that is there.

        A secret that is scheduled for deletion is not: ECS can't start a task with it. None: not ours to see.
        """
        return (
            self._secret_exists(value_from) if ":secretsmanager:" in value_from else self._parameter_exists(value_from)
        )

    def read(self, arn: str) -> SecretStr:
        """The value of a secret of ours, such as Neon's API key.

        Raises:
            ExternalServiceError: it is not there, or not ours to read.
        """
        with aws_call("GetSecretValue", arn):
            return SecretStr(self._secrets_in("").get_secret_value(SecretId=arn)["SecretString"])

    def write(self, arn: str, value: SecretStr, token: str) -> None:
        """Replace the value.

        Args:
            token: 32 to 64 characters; the same one with the same value again makes no second version
                (Secrets Manager API, PutSecretValue, ClientRequestToken).
        """
        with aws_call("PutSecretValue", arn):
            self._secrets_in("").put_secret_value(
                SecretId=arn, SecretString=value.get_secret_value(), ClientRequestToken=token
            )

    def _secret_exists(self, value_from: str) -> bool | None:
        """Stage and version that an ARN of ECS's names must be there too; the JSON key stands in the value."""
        parts = value_from.split(":")
        arn, region = ":".join(parts[:_SECRET_ARN_PARTS]), parts[3]
        _, stage, version = (*parts[_SECRET_ARN_PARTS:], "", "", "")[:3]
        with aws_call("DescribeSecret", arn):
            try:
                found = self._secrets_in(region).describe_secret(SecretId=arn)
            except ClientError as error:
                if code_of(error) == "ResourceNotFoundException":
                    return False
                if is_denied(error):
                    return None
                raise
        if found.get("DeletedDate") is not None:
            return False
        return _has_version(found.get("VersionIdsToStages", {}), stage, version)

    def _parameter_exists(self, value_from: str) -> bool | None:
        region, names = _names_of(value_from)
        with aws_call("DescribeParameters", value_from):
            try:
                pages = self._parameters_in(region).get_paginator("describe_parameters")
                found = {
                    parameter.get("Name")
                    for page in pages.paginate(ParameterFilters=[{"Key": "Name", "Option": "Equals", "Values": names}])
                    for parameter in page["Parameters"]
                }
            except ClientError as error:
                if is_denied(error):
                    return None
                raise
        if names[0] in found:
            return True
        return None if found else False


def _has_version(stages: Mapping[str, list[str]], stage: str, version: str) -> bool | None:
    """Whether the stage and the version are there. A version without any stage is listed nowhere, and may be there."""
    if stage and all(stage not in those for those in stages.values()):
        return False
    return None if version and version not in stages else True


def _names_of(value_from: str) -> tuple[str, list[str]]:
    """Region and names that an ARN or a name may mean, the likelier first; no region: the service's own.

    `parameter/a/b` is `/a/b`, since names in a hierarchy begin with a slash. `parameter/a` is `a`; that ARN is also the
    one of a parameter `/a` (Systems Manager user guide, "Parameter ARNs"; IAM writes both without the second slash).
    """
    if not value_from.startswith("arn:"):
        return "", [value_from]
    parts = value_from.split(":", 5)
    path = parts[5].removeprefix("parameter/").removeprefix("/")
    return parts[3], [f"/{path}"] if "/" in path else [path, f"/{path}"]
