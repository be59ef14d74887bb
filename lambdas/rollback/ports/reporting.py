"""Ports that report a rollback to operators and dashboards."""

from collections.abc import Mapping
from typing import Protocol

from rollback.domain.rollback import Rollback
from rollback.effects import changes_state, reads


class Notifications(Protocol):
    """Notification topics that operators subscribe to."""

    @changes_state
    def publish(self, subject: str, message: str, attributes: Mapping[str, str]) -> None:
        """Publish a message.

        Args:
            subject: subject of the mail.
            message: text of the mail.
            attributes: what subscriptions filter by. `severity` = `page` sends the message to the critical topic.
        """
        ...


class Metrics(Protocol):
    """Metrics for the dashboard. They are written with the log, so that no call can fail."""

    @changes_state
    def record_conclusion(self, rollback: Rollback) -> None:
        """Count a concluded rollback, with the duration of each phase."""
        ...

    @changes_state
    def record_sweep(self) -> None:
        """Count a sweep of the janitor; an alarm watches for missing sweeps."""
        ...

    @changes_state
    def record_readiness(self, service: str, *, is_rollback_available: bool, stale_leases: int) -> None:
        """Write the metrics that the alarms on this application watch.

        Args:
            service: name of the service.
            is_rollback_available: a release exists that the service could go back to.
            stale_leases: leases that ran out and were not given back.
        """
        ...


class ReportStore(Protocol):
    """Written accounts of rollbacks, kept in a bucket of the environment."""

    @reads
    def is_available(self) -> bool:
        """Return whether the environment has a bucket for reports; this asks no service."""
        ...

    @changes_state
    def put(self, key: str, content_type: str, text: str) -> None:
        """Store a text under a key, in place of an earlier one.

        Args:
            key: path in the bucket, such as `production/express-api/<id>/report.html`.
            content_type: media type; a browser shows the text in its own window.
            text: the text.
        """
        ...

    @reads
    def read(self, key: str) -> str | None:
        """Return a stored text; None: there is none."""
        ...

    @reads
    def link(self, key: str) -> str:
        """Return a link that works for an hour at most, without asking a service whether the text exists."""
        ...
