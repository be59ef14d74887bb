"""Ports that report a rollback to operators and dashboards."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from rollback.domain.rollback import Rollback
from rollback.effects import changes_state, reads
from rollback.resources.database.probe import DatabaseProbe


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

    @changes_state
    def publish_to_chat(self, message: str) -> None:
        """Publish a custom notification for Amazon Q Developer in chat applications, as JSON.

        Raises:
            CallRefused: this deployment has no topic for chats.
        """
        ...


@dataclass(frozen=True)
class RollbackEvent:
    """Event about a phase of a rollback.

    Attributes:
        kind: detail type, such as `rollback.concluded`.
        detail: a JSON object without secrets (`delivery.event_detail`).
    """

    kind: str
    detail: Mapping[str, Any]


class Events(Protocol):
    """Bus on which other systems learn of rollbacks."""

    @changes_state
    def put(self, events: Sequence[RollbackEvent]) -> None:
        """Put at most ten events, with one attempt and short timeouts; some may arrive although others failed."""
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

    @changes_state
    def record_deliveries(self, *, late: int) -> None:
        """Write how many messages beside the SNS topics are late; an alarm watches the number."""
        ...

    @changes_state
    def record_drill_age(self, service: str, days: float) -> None:
        """Write the age of the service's last successful drill, in days."""
        ...

    @changes_state
    def record_database(self, probe: DatabaseProbe) -> None:
        """Write whether the database answered, and how long its connection and its query took."""
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
