"""Secrets Manager and SSM: is what a task definition refers to still there? Values are never read."""

from typing import TYPE_CHECKING

from botocore.exceptions import ClientError

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
                found = self._parameters.describe_parameters(
                    ParameterFilters=[{"Key": "Name", "Option": "Equals", "Values": [name]}]
                )
            except ClientError as error:
                if code_of(error) == "AccessDeniedException":
                    raise _OutOfSight from error
                raise
        return bool(found["Parameters"])


class _OutOfSight(Exception):
    """Another team's: what is there can't be told."""
