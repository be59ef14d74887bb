"""Secrets and parameters that task definitions name."""

from fakes.aws.request_models import check_request, refuse
from pydantic import SecretStr


class FakeSecrets:
    """Secrets and parameters, all of which exist except `missing`; those in `hidden` are not visible.

    Attributes:
        values: the deployment's own secrets, each of which a test must make.
        writes: versions of these secrets, by secret and token.
    """

    def __init__(self) -> None:
        self.missing: set[str] = set()
        self.hidden: set[str] = set()
        self.values: dict[str, SecretStr] = {}
        self.writes: dict[tuple[str, str], SecretStr] = {}

    def read(self, arn: str) -> SecretStr:
        self._refuse_unknown(arn, "GetSecretValue")
        return self.values[arn]

    def write(self, arn: str, value: SecretStr, token: str) -> None:
        """Write a value; a repeated token changes nothing, because another value may be current by then."""
        text = value.get_secret_value()
        check_request(
            "secretsmanager", "PutSecretValue", arn, SecretId=arn, SecretString=text, ClientRequestToken=token
        )
        self._refuse_unknown(arn, "PutSecretValue")
        if (arn, token) not in self.writes:
            self.writes[arn, token] = self.values[arn] = value
        elif self.writes[arn, token] != value:
            refuse("PutSecretValue", arn, "ResourceExistsException", "another value has this token")

    def exists(self, value_from: str) -> bool | None:
        referenced = _secret_or_parameter(value_from)
        if referenced in map(_secret_or_parameter, self.hidden):
            return None
        return referenced not in map(_secret_or_parameter, self.missing)

    def _refuse_unknown(self, arn: str, operation: str) -> None:
        if arn not in self.values or arn in self.missing:
            refuse(operation, arn, "ResourceNotFoundException", "Secrets Manager can't find the specified secret.")


def _secret_or_parameter(value_from: str) -> str:
    """Return the secret without JSON key, stage and version, or the name of a parameter."""
    if ":secretsmanager:" in value_from:
        return ":".join(value_from.split(":")[:7])
    if not value_from.startswith("arn:"):
        return value_from
    path = value_from.split(":", 5)[5].removeprefix("parameter/").removeprefix("/")
    return f"/{path}" if "/" in path else path  # without a hierarchy names have no leading slash
