"""Secrets Manager and SSM: is what a task definition refers to still there? And the few secrets that are our own.

Values of what tasks refer to are never read.
"""

from typing import TYPE_CHECKING

from botocore.exceptions import ClientError
from pydantic import SecretStr

from rollback.world.failures import calling, code_of

if TYPE_CHECKING:
    from mypy_boto3_secretsmanager import SecretsManagerClient
    from mypy_boto3_ssm import SSMClient

_SECRET_ARN_PARTS = 7  # arn:aws:secretsmanager:<region>:<account>:secret:<name>, then :key:stage:version of ECS's own


class ReferencedSecrets:
    """Adapter."""

    def __init__(self, secrets: "SecretsManagerClient", parameters: "SSMClient") -> None:
        self._secrets = secrets
        self._parameters = parameters

    def exists(self, value_from: str) -> bool | None:
        """Whether `secrets[].valueFrom` of a container names something that is there.

        A secret that is scheduled for deletion is not: ECS can't start a task with it. None: not ours to see.
        """
        try:
            return self._secret(value_from) if ":secretsmanager:" in value_from else self._parameter(value_from)
        except _OutOfSight:
            return None

    def read(self, arn: str) -> SecretStr:
        """The value of a secret of ours, such as Neon's API key.

        Raises:
            OutsideFailure: it is not there, or not ours to read.
        """
        with calling("GetSecretValue", arn):
            return SecretStr(self._secrets.get_secret_value(SecretId=arn)["SecretString"])

    def write(self, arn: str, value: SecretStr, token: str) -> None:
        """Replace the value.

        Args:
            token: 32 to 64 characters; the same one with the same value again makes no second version
                (Secrets Manager API, PutSecretValue, ClientRequestToken).
        """
        with calling("PutSecretValue", arn):
            self._secrets.put_secret_value(
                SecretId=arn, SecretString=value.get_secret_value(), ClientRequestToken=token
            )

    def _secret(self, value_from: str) -> bool:
        arn = ":".join(value_from.split(":")[:_SECRET_ARN_PARTS])
        with calling("DescribeSecret", arn):
            try:
                return self._secrets.describe_secret(SecretId=arn).get("DeletedDate") is None
            except ClientError as error:
                if code_of(error) == "ResourceNotFoundException":
                    return False
                if code_of(error) == "AccessDeniedException":
                    raise _OutOfSight from error
                raise

    def _parameter(self, value_from: str) -> bool:
        name = value_from.partition(":parameter")[2] or value_from
        with calling("DescribeParameters", name):
            try:
                pages = self._parameters.get_paginator("describe_parameters").paginate(
                    ParameterFilters=[{"Key": "Name", "Option": "Equals", "Values": [name]}]
                )
                return any(page["Parameters"] for page in pages)  # a page may be empty before one that is not
            except ClientError as error:
                if code_of(error) == "AccessDeniedException":
                    raise _OutOfSight from error
                raise


class _OutOfSight(Exception):
    """Another team's: what is there can't be told."""
