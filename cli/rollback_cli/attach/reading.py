"""Reading calls of `rollback init`. A refused call is recorded, so that what was not read is told and not guessed."""

from dataclasses import dataclass
from typing import Any

from rollback.errors import CallRefused, RefusalKind
from rollback_cli.doctor.aws_api import Answer, AwsApi, permission_of

_PERMISSIONS = {"resourcegroupstaggingapi": "tag", "application-autoscaling": "application-autoscaling"}


@dataclass(frozen=True)
class Unread:
    """Part of the surroundings that could not be read.

    Attributes:
        subject: the part, in words.
        permission: IAM action that the call needs.
        reason: AWS's answer.
    """

    subject: str
    permission: str
    reason: str


class Reader:
    """Calls that only read, and the parts that AWS refused to show."""

    def __init__(self, aws: AwsApi) -> None:
        self._aws = aws
        self.unread: list[Unread] = []

    def call(self, service: str, operation: str, **parameters: Any) -> Answer:
        """Make a call that nothing can do without.

        Raises:
            CallRefused: AWS refuses the call.
            ExternalServiceError: AWS did not answer.
        """
        return self._aws.call(service, operation, **parameters)

    def items(self, service: str, operation: str, member: str, **parameters: Any) -> list[Any]:
        """Return the items of all pages of a list that nothing can do without. Errors as for `call`."""
        return self._aws.items(service, operation, member, **parameters)

    def try_call(self, subject: str, service: str, operation: str, **parameters: Any) -> Answer | None:
        """Make a call; None: AWS refused it, and the subject is recorded as not read.

        Raises:
            CallRefused: the credentials are not valid.
            ExternalServiceError: AWS did not answer.
        """
        try:
            return self._aws.call(service, operation, **parameters)
        except CallRefused as refused:
            self.record(subject, service, operation, refused)
            return None

    def try_items(self, subject: str, service: str, operation: str, member: str, **parameters: Any) -> list[Any] | None:
        """Return the items of all pages of a list; None: AWS refused. Errors as for `try_call`."""
        try:
            return self._aws.items(service, operation, member, **parameters)
        except CallRefused as refused:
            self.record(subject, service, operation, refused)
            return None

    def record(self, subject: str, service: str, operation: str, refused: CallRefused) -> None:
        """Record a subject as not read.

        Raises:
            CallRefused: the credentials are not valid.
        """
        if refused.kind is RefusalKind.CREDENTIALS:
            raise refused
        reason = "access denied" if refused.kind is RefusalKind.ACCESS else str(refused)
        prefix = _PERMISSIONS.get(service)
        permission = f"{prefix}:{operation}" if prefix else permission_of(service, operation)
        unread = Unread(subject, permission, reason)
        if unread not in self.unread:
            self.unread.append(unread)
