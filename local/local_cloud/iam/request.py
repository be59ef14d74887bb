"""An API call as IAM sees it, and the permissions that it needs."""

from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from typing import Any, Self


@dataclass(frozen=True)
class PermissionCheck:
    """An action on a resource that a policy must allow.

    Attributes:
        action: empty stands for the call's own action.
        context: the values of condition keys; the keys are in lower case.
    """

    action: str
    resource: str
    context: dict[str, list[str]] = field(default_factory=dict)

    def named(self, action: str) -> Self:
        """Return the same check for an action."""
        return replace(self, action=action)


@dataclass(frozen=True)
class AuthorizedCall:
    """An API call of a role.

    Attributes:
        service: IAM's prefix of the service.
        operation: the API's name.
        parameters: named as in the API's model.
    """

    service: str
    operation: str
    parameters: dict[str, Any]
    account: str
    region: str

    def has(self, name: str) -> bool:
        """Whether the parameter is given and not empty."""
        return bool(self.parameters.get(name))

    def one(self, name: str) -> str:
        """Return a parameter as text; empty when it is absent."""
        return str(self.parameters.get(name) or "")

    def all(self, name: str) -> list[str]:
        """Return a parameter as a list, even if it is a single value; empty when it is absent."""
        value = self.parameters.get(name)
        if not value:
            return []
        return [str(member) for member in value] if isinstance(value, list) else [str(value)]

    def arn(self, service: str, resource: str) -> str:
        """Return the ARN of a resource in the call's region and account."""
        return f"arn:aws:{service}:{self.region}:{self.account}:{resource}"


def pass_role(role_arn: str, to_service: str) -> Iterator[PermissionCheck]:
    """Require iam:PassRole for a role that the call hands to a service."""
    yield PermissionCheck("iam:PassRole", role_arn, {"iam:passedtoservice": [to_service]})
