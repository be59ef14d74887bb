"""Read the error lines of a running release, and record those of a good one as its baseline."""

from datetime import datetime, timedelta

from rollback.check import Check
from rollback.domain.releases.log_baseline import LogBaseline
from rollback.domain.releases.release import Release
from rollback.domain.settings.watched import Unwatched
from rollback.guards.ports import TrafficPorts
from rollback.names import error_logs_namespace
from rollback.resources.aws.ecs_service import ServiceView
from rollback.verification.checks.error_log_rules import (
    CHECK_NAME,
    MIN_BASELINE_MINUTES,
    MIN_MINUTES,
    LogSample,
    judge_error_logs,
    why_no_baseline,
)
from rollback.verification.checks.evidence_keys import NOT_LOOKED_AT

_MINUTE = timedelta(minutes=1)
_MAX_WINDOW = timedelta(minutes=10)  # lines of the start leave the window
_MAX_BASELINE = timedelta(days=1)


def check_error_logs(
    release: Release, view: ServiceView, since: datetime, ports: TrafficPorts, *, waits_until: datetime | None = None
) -> Check:
    """Compare the error lines since a time with the release's own baseline.

    Args:
        release: the running release, with its baseline.
        view: ECS's description of the service.
        since: time since which the release runs alone.
        ports: access to CloudWatch.
        waits_until: until then, too short a time is a warning that may still change.
    """
    if not _counts_error_lines(release.service, ports):
        return not_looked_at("the settings name no log group, so error lines are not counted")
    now = ports.clock.now()
    until = _floor(now)
    begin = max(_ceiling(since), until - _MAX_WINDOW)
    minutes = max(0.0, (until - begin) / _MINUTE)
    objection = why_no_baseline(release.log_baseline)
    if objection is None and minutes < MIN_MINUTES and waits_until is not None and now < waits_until:
        reason = f"waits for {MIN_MINUTES} full minutes of the log, {minutes:.0f} are over"
        return Check.warned(CHECK_NAME, reason)
    if objection is not None or minutes < MIN_MINUTES:
        return judge_error_logs(release.log_baseline, LogSample(0, minutes, 0, None))
    namespace = error_logs_namespace(ports.settings.prefix, release.service)
    count = ports.alarms.error_logs_between(namespace, begin, until)
    requests = ports.alarms.requests_between(view.target_groups, begin, until)
    sample = LogSample(count.errors, minutes, count.minutes_with_data, requests)
    return judge_error_logs(release.log_baseline, sample)


def read_baseline(release: Release, view: ServiceView, since: datetime, ports: TrafficPorts) -> LogBaseline | None:
    """Read the error lines of a release's bake; None: too short a time, no line of the log arrived, or no log is known.

    Raises:
        ExternalServiceError: CloudWatch does not answer.
    """
    if not _counts_error_lines(release.service, ports):
        return None
    until = _floor(ports.clock.now())
    begin = max(_ceiling(since), until - _MAX_BASELINE)
    if (until - begin) / _MINUTE < MIN_BASELINE_MINUTES:
        return None
    count = ports.alarms.error_logs_between(error_logs_namespace(ports.settings.prefix, release.service), begin, until)
    if count.minutes_with_data == 0:
        return None
    requests = ports.alarms.requests_between(view.target_groups, begin, until)
    return LogBaseline(since=begin, until=until, errors=count.errors, requests=requests)


def not_looked_at(reason: str) -> Check:
    """Return the check of error logs that were not looked at."""
    return Check.warned(CHECK_NAME, f"not looked at: {reason}", evidence={NOT_LOOKED_AT: CHECK_NAME})


def _counts_error_lines(service_name: str, ports: TrafficPorts) -> bool:
    """Whether a metric filter counts the error lines: only of a log group that the settings name."""
    return Unwatched.LOG_GROUP not in ports.settings.service(service_name).unwatched


def _floor(at: datetime) -> datetime:
    return at.replace(second=0, microsecond=0)


def _ceiling(at: datetime) -> datetime:
    return _floor(at) if at == _floor(at) else _floor(at) + _MINUTE
