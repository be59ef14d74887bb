"""Port to CloudWatch: alarms, and the metrics that guards and promotion read."""

from datetime import datetime
from typing import Protocol

from rollback.effects import reads
from rollback.resources.aws.error_logs import ErrorLogCount
from rollback.resources.aws.traffic import TrafficMinute


class Alarms(Protocol):
    """CloudWatch alarms and request counts."""

    @reads
    def states(self, names: tuple[str, ...]) -> dict[str, str]:
        """Return name → OK, ALARM or INSUFFICIENT_DATA; alarms that don't exist are left out."""
        ...

    @reads
    def in_alarm_since(self, names: tuple[str, ...]) -> dict[str, datetime]:
        """Return the alarms that are in ALARM now, each with the time of its transition."""
        ...

    @reads
    def state_before(self, name: str, since: datetime) -> str | None:
        """Return the state from which the alarm went into ALARM at `since` or later.

        None means that the alarm's history has no such transition.
        """
        ...

    @reads
    def mute_rules(self, name: str) -> tuple[str, ...]:
        """Name the alarm mute rules that silence the alarm now.

        A muted alarm still changes its state and still sends its events.
        """
        ...

    @reads
    def without_data(self, names: tuple[str, ...], since: datetime) -> tuple[str, ...]:
        """Name the existing metric alarms none of whose metrics had a data point after `since`."""
        ...

    @reads
    def fired_since(self, names: tuple[str, ...], since: datetime) -> tuple[str, ...]:
        """Name the alarms that went into ALARM after `since`, recovered ones too."""
        ...

    @reads
    def error_logs_between(self, namespace: str, since: datetime, until: datetime) -> ErrorLogCount:
        """Count the error lines of a service in full minutes.

        Args:
            namespace: namespace of the metric (`names.error_logs_namespace`).
            since: begin of the first minute.
            until: end of the last minute.
        """
        ...

    @reads
    def requests_between(self, target_groups: tuple[str, ...], since: datetime, until: datetime) -> float | None:
        """Count the requests that reached the target groups in the full minutes from `since` to `until`.

        None means that requests are not counted: there is no target group, or only network load balancers route to the
        groups.
        """
        ...

    @reads
    def requests_since(self, target_groups: tuple[str, ...], since: datetime) -> float | None:
        """Count the requests that reached the target groups since the full minute of `since`.

        None as for `requests_between`.
        """
        ...

    @reads
    def traffic(
        self, target_groups: tuple[str, ...], since: datetime, until: datetime, *, with_balancer_errors: bool
    ) -> tuple[TrafficMinute, ...] | None:
        """Return the traffic of each minute up to the last one that CloudWatch has data of; empty without any data.

        None means that requests are not counted, as for `requests_between`.

        Args:
            target_groups: ARNs of the service's target groups, whose counts are added up.
            since: begin, from its full minute on.
            until: end.
            with_balancer_errors: whether to count the load balancer's own errors. No dimension tells the services of
                one load balancer apart.
        """
        ...
