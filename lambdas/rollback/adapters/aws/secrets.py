"""Secrets Manager and SSM: existence of the secrets that task definitions refer to, and this deployment's own secrets.

Only this deployment's own secrets are read.
"""

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING

from botocore.exceptions import ClientError
from pydantic import SecretStr

from rollback.adapters.aws.errors import absence, aws_call

if TYPE_CHECKING:
    from mypy_boto3_secretsmanager import SecretsManagerClient
    from mypy_boto3_ssm import SSMClient

_SECRET_ARN_PARTS = 7  # arn:aws:secretsmanager:<region>:<account>:secret:<name>; ECS appends :key:stage:version


class ReferencedSecrets:
    """Adapter. Each argument makes a client for the region of an ARN; an empty region is the service's own."""

    def __init__(
        self, secrets_in: "Callable[[str], SecretsManagerClient]", parameters_in: "Callable[[str], SSMClient]"
    ) -> None:
        self._secrets_in = secrets_in
        self._parameters_in = parameters_in

    def exists(self, value_from: str) -> bool | None:
        """Call DescribeSecret or DescribeParameters.

        A secret that is scheduled for deletion does not exist: ECS can't start a task with it.
        """
        return (
            self._secret_exists(value_from) if ":secretsmanager:" in value_from else self._parameter_exists(value_from)
        )

    def read(self, arn: str) -> SecretStr:
        """Call GetSecretValue in the service's own region."""
        with aws_call("GetSecretValue", arn):
            return SecretStr(self._secrets_in("").get_secret_value(SecretId=arn)["SecretString"])

    def write(self, arn: str, value: SecretStr, token: str) -> None:
        """Call PutSecretValue with the token as ClientRequestToken, which makes the call idempotent (API reference)."""
        with aws_call("PutSecretValue", arn):
            self._secrets_in("").put_secret_value(
                SecretId=arn, SecretString=value.get_secret_value(), ClientRequestToken=token
            )

    def _secret_exists(self, value_from: str) -> bool | None:
        """Check the stage and version that the ARN names too; its JSON key stands in the value, which is not read."""
        parts = value_from.split(":")
        arn, region = ":".join(parts[:_SECRET_ARN_PARTS]), parts[3]
        _, stage, version = (*parts[_SECRET_ARN_PARTS:], "", "", "")[:3]
        with aws_call("DescribeSecret", arn):
            try:
                description = self._secrets_in(region).describe_secret(SecretId=arn)
            except ClientError as error:
                return absence(error, "ResourceNotFoundException")
        if description.get("DeletedDate") is not None:
            return False
        return _has_version(description.get("VersionIdsToStages", {}), stage, version)

    def _parameter_exists(self, value_from: str) -> bool | None:
        region, names = _names_of(value_from)
        with aws_call("DescribeParameters", value_from):
            try:
                pages = self._parameters_in(region).get_paginator("describe_parameters")
                existing_names = {
                    parameter.get("Name")
                    for page in pages.paginate(ParameterFilters=[{"Key": "Name", "Option": "Equals", "Values": names}])
                    for parameter in page["Parameters"]
                }
            except ClientError as error:
                return absence(error)
        if names[0] in existing_names:
            return True
        return None if existing_names else False


def _has_version(stages: Mapping[str, list[str]], stage: str, version: str) -> bool | None:
    """Report whether stage and version exist; None: DescribeSecret does not list a version without a stage."""
    if stage and all(stage not in names for names in stages.values()):
        return False
    return None if version and version not in stages else True


def _names_of(value_from: str) -> tuple[str, list[str]]:
    """Return the region and the names that an ARN or a name may mean, the likelier name first.

    An empty region is the service's own. `parameter/a/b` means `/a/b`, since names in a hierarchy begin with a slash.
    `parameter/a` means `a`, but is the ARN of a parameter `/a` too (Systems Manager user guide, "Parameter ARNs"; IAM
    writes both without the second slash).
    """
    if not value_from.startswith("arn:"):
        return "", [value_from]
    parts = value_from.split(":", 5)
    path = parts[5].removeprefix("parameter/").removeprefix("/")
    return parts[3], [f"/{path}"] if "/" in path else [path, f"/{path}"]
