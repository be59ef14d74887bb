"""Checks that the alarms of a service watch its own target groups, and no other service's errors.

They only warn: a rollback works despite them, and the guards judge an alarm again when it goes into ALARM.
"""

from datetime import timedelta

from rollback.check import Check
from rollback.domain.settings.environment import ServiceSettings
from rollback.domain.settings.watched import Unwatched
from rollback.errors import ExternalServiceError
from rollback.names import NO_HEALTHY_TARGETS, NO_RUNNING_TASKS, leaf_alarms
from rollback.ports.holders import HasTargetGroups
from rollback.promotion.ports import AlarmReadinessPorts
from rollback.resources.aws.ecs_service import ServiceView

_DATA_WINDOW = timedelta(hours=1)


def alarm_checks(service: ServiceSettings, view: ServiceView, ports: AlarmReadinessPorts) -> tuple[Check, ...]:
    """Make the checks of the alarms, and name the evidence that a service of this kind does not have."""
    return (
        _check_alarms_have_data(service, view, ports),
        *((_check_load_balancer_is_exclusive(service, view, ports),) if view.target_groups else ()),
        _check_requests_are_counted(view, ports),
        _check_error_lines_are_counted(service),
        *_check_extra_alarms_exist(service, ports),
    )


def _check_alarms_have_data(service: ServiceSettings, view: ServiceView, ports: AlarmReadinessPorts) -> Check:
    """Check that the alarms about an outage have data.

    ELB counts the hosts of each used target group, and Container Insights the running tasks: no data means a wrong
    name, or that Container Insights is off.
    """
    name = "alarms-have-data"
    if view.running_count == 0:
        return Check.skipped(name, "no task runs, so nothing is counted")
    kind = NO_HEALTHY_TARGETS if view.target_groups else NO_RUNNING_TASKS
    try:
        alarms_without_data = ports.alarms.without_data(
            leaf_alarms(ports.settings.prefix, service.name, (kind,)), ports.clock.now() - _DATA_WINDOW
        )
    except ExternalServiceError as failure:
        return Check.warned(name, f"not checked: {failure}")
    if not alarms_without_data:
        return Check.passed(name, "the alarms about an outage have data")
    groups = ", ".join(group.rsplit(":", 1)[-1] for group in view.target_groups)
    remedy = (
        f"the service has {groups}: compare them with the settings"
        if groups
        else f"switch on Container Insights on {service.cluster}"
    )
    reason = f"no data in the last hour: {', '.join(alarms_without_data)} can't detect an outage; {remedy}"
    return Check.warned(name, reason)


def _check_requests_are_counted(view: ServiceView, ports: AlarmReadinessPorts) -> Check:
    """Say whether rates, latencies and `bake_minimum_requests` can be judged."""
    name, otherwise = "requests-are-counted", "tasks, logs, queues and the team's own alarms are the evidence"
    if view.classic_load_balancers:
        reason = f"{view.why_not_counted or 'a Classic Load Balancer is not looked at'}; use another type"
        return Check.warned(name, reason)
    if not view.target_groups:
        return Check.skipped(name, f"{view.why_not_counted}; {otherwise}")
    try:
        count = ports.alarms.requests_since(view.target_groups, ports.clock.now())
    except ExternalServiceError as failure:
        return Check.warned(name, f"not checked: {failure}")
    if count is None:
        return Check.skipped(name, f"a network load balancer counts no requests; targets, {otherwise}")
    return Check.passed(name, "the load balancer counts requests")


def _check_error_lines_are_counted(service: ServiceSettings) -> Check:
    name = "error-lines-are-counted"
    if Unwatched.LOG_GROUP not in service.unwatched:
        return Check.passed(name, "a metric filter counts the error lines of the log group")
    reason = (
        "the settings name no log group: no alarm counts error lines, and Verify does not compare them; name the "
        "team's own alarm about errors in `extra_alarms`"
    )
    return Check.warned(name, reason)


def _check_extra_alarms_exist(service: ServiceSettings, ports: AlarmReadinessPorts) -> tuple[Check, ...]:
    """Check that the team's own alarms exist: CloudWatch sends no event about an alarm that does not."""
    name, names = "extra-alarms-exist", tuple(extra.alarm for extra in service.extra_alarms)
    if not names:
        return ()
    try:
        states = ports.alarms.states(names)
    except ExternalServiceError as failure:
        return (Check.warned(name, f"not checked: {failure}"),)
    missing = [alarm for alarm in names if alarm not in states]
    if missing:
        reason = f"CloudWatch has no alarm {', '.join(missing)}; create it again, or correct `extra_alarms`"
        return (Check.warned(name, reason),)
    return (Check.passed(name, f"{len(names)} alarms of the team's own exist"),)


def _check_load_balancer_is_exclusive(service: ServiceSettings, view: ServiceView, ports: HasTargetGroups) -> Check:
    """Check that no other service is behind the load balancer, whose own errors the alarms count for this service."""
    name, shared_reason = (
        "load-balancer-is-exclusive",
        "shared: errors that the load balancer itself returns are not counted",
    )
    try:
        other_groups = ports.target_groups.sibling_target_groups(view.target_groups)
    except ExternalServiceError as failure:
        if service.load_balancer_shared:
            return Check.skipped(name, shared_reason)
        return Check.warned(name, f"not checked: {failure}")
    if service.load_balancer_shared and other_groups:
        return Check.skipped(name, shared_reason)
    if service.load_balancer_shared:
        reason = (
            "load_balancer_shared is true, but the listeners forward to this service only: targets that hang (504) or "
            "send invalid answers (502) trigger no alarm; set load_balancer_shared to false"
        )
        return Check.warned(name, reason)
    if not other_groups:
        return Check.passed(name, "its listeners forward to this service only")
    reason = (
        f"its listeners also forward to {', '.join(group.rsplit(':', 1)[-1] for group in other_groups)}: the alarms "
        "count the errors of all of them; set load_balancer_shared to true"
    )
    return Check.warned(name, reason)
