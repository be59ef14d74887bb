"""Checks that the alarms of a service watch its own target groups, and no other service's errors.

They only warn: a rollback works despite them, and the guards judge an alarm again when it goes into ALARM.
"""

from datetime import timedelta

from rollback.check import Check
from rollback.domain.settings.environment import ServiceSettings
from rollback.errors import ExternalServiceError
from rollback.names import NO_HEALTHY_TARGETS, leaf_alarms
from rollback.ports.holders import HasTargetGroups
from rollback.promotion.ports import AlarmReadinessPorts
from rollback.resources.aws.ecs_service import ServiceView

_DATA_WINDOW = timedelta(hours=1)


def alarm_checks(service: ServiceSettings, view: ServiceView, ports: AlarmReadinessPorts) -> tuple[Check, ...]:
    """Make the checks of the alarms; none for a service without a load balancer."""
    if not view.target_groups:
        return ()
    return _check_alarms_have_data(service, view, ports), _check_load_balancer_is_exclusive(service, view, ports)


def _check_alarms_have_data(service: ServiceSettings, view: ServiceView, ports: AlarmReadinessPorts) -> Check:
    """Check that the alarms have data. ELB counts the hosts of each used target group: no data means a wrong name."""
    name = "alarms-have-data"
    if view.running_count == 0:
        return Check.skipped(name, "no task runs, so ELB counts no target")
    names = leaf_alarms(ports.settings.prefix, service.name, (NO_HEALTHY_TARGETS,))
    try:
        alarms_without_data = ports.alarms.without_data(names, ports.clock.now() - _DATA_WINDOW)
    except ExternalServiceError as failure:
        return Check.warned(name, f"not checked: {failure}")
    if not alarms_without_data:
        return Check.passed(name, "the alarms' target groups have data")
    reason = (
        f"no data in the last hour: {', '.join(alarms_without_data)} can't detect an outage; the service has "
        f"{', '.join(group.rsplit(':', 1)[-1] for group in view.target_groups)}: compare them with the settings"
    )
    return Check.warned(name, reason)


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
