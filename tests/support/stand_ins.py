"""Stand-ins for a port in tests of whether the port is called."""

from typing import Any

from rollback.errors import CallRefused, ExternalServiceError, RefusalKind
from rollback.resources.aws import refusal as aws_refusal


class UnavailablePort:
    """A port that fails every call."""

    def __init__(self, name: str) -> None:
        self._name = name

    def __getattr__(self, method: str) -> Any:
        def fails(*args: object, **kwargs: object) -> None:
            raise ExternalServiceError(f"{self._name}.{method}: no answer")

        return fails


class RecordingPort:
    """Record which methods are called."""

    def __init__(self, real: object) -> None:
        self._real = real
        self.called: list[str] = []

    def __getattr__(self, method: str) -> Any:
        def counted(*args: object, **kwargs: object) -> Any:
            self.called.append(method)
            return getattr(self._real, method)(*args, **kwargs)

        return counted


class DenyingPort:
    """A port that refuses some methods permanently, as a missing permission does, and counts the calls."""

    def __init__(self, real: object, *methods: str, refused: CallRefused | None = None) -> None:
        self._real = real
        self.methods = set(methods)
        self.times: dict[str, int] = dict.fromkeys(methods, 0)
        self.refused = refused

    def __getattr__(self, method: str) -> Any:
        attribute = getattr(self._real, method)
        if method not in self.methods:
            return attribute

        def refuses(*args: object, **kwargs: object) -> None:
            self.times[method] += 1
            raise self.refused or access_denied_error(method)

        return refuses


def access_denied_error(method: str) -> CallRefused:
    """Build AWS's error for a role that lacks a permission."""
    action, resource = f"some:{method}", f"arn:aws:some:eu-west-1:123456789012:{method}"
    message = (
        f"User: arn:aws:sts::123456789012:assumed-role/rollback/x is not authorized to perform: {action} on resource: "
        f"{resource} because no identity-based policy allows the {action} action"
    )
    return aws_refusal.refused(action, method, "AccessDeniedException", message, RefusalKind.ACCESS)
