"""An API call as IAM sees it, and one thing that must be allowed for it."""

from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from typing import Any, Self


@dataclass(frozen=True)
class PermissionCheck:
    """An action on a resource. An empty action stands for the call's own; condition keys are in lower case."""

    action: str
    resource: str
    context: dict[str, list[str]] = field(default_factory=dict)

    def named(self, action: str) -> Self:
        return replace(self, action=action)


@dataclass(frozen=True)
class AuthorizedCall:
    """`service` is IAM's prefix, `operation` the API's name, `parameters` are named as in the API's model."""

    service: str
    operation: str
    parameters: dict[str, Any]
    account: str
    region: str

    def has(self, name: str) -> bool:
        return bool(self.parameters.get(name))

    def one(self, name: str) -> str:
        return str(self.parameters.get(name) or "")

    def all(self, name: str) -> list[str]:
        """A parameter as a list, whether it is one; empty when it is absent."""
        value = self.parameters.get(name)
        if not value:
            return []
        return [str(member) for member in value] if isinstance(value, list) else [str(value)]

    def arn(self, service: str, resource: str) -> str:
        return f"arn:aws:{service}:{self.region}:{self.account}:{resource}"


def pass_role(role_arn: str, to_service: str) -> Iterator[PermissionCheck]:
    """Who hands a role to a service must be allowed to."""
    yield PermissionCheck("iam:PassRole", role_arn, {"iam:passedtoservice": [to_service]})
