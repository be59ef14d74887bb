"""Check the alarms of a service: its composite alarms, and the team's own alarms that are evidence."""

from enum import StrEnum

from rollback.check import Check, Verdict
from rollback.domain.settings.environment import ServiceSettings
from rollback.guards.evidence import check_outage_against_elb
from rollback.guards.ports import OutagePorts
from rollback.names import degraded_alarm, outage_alarm
from rollback.resources.aws.ecs_service import ServiceView

ALARM_CHECK = "alarms-are-ok"


class AlarmHandling(StrEnum):
    """Treatment of alarms in ALARM by a check."""

    COUNT = "count"  # as a failure
    WAIT = "wait"  # as a warning: the alarms may still return to OK
    IGNORE = "ignore"


def check_alarms(service: ServiceSettings, view: ServiceView, ports: OutagePorts, handling: AlarmHandling) -> Check:
    """Check the composite alarms, and the team's alarms that start no rollback.

    An outage alarm that watches other target groups is reported, and not counted.
    """
    if handling is AlarmHandling.IGNORE:
        return Check.skipped(ALARM_CHECK, "the alarms are not part of this check")
    outage = outage_alarm(ports.settings.prefix, service.name)
    names = (degraded_alarm(ports.settings.prefix, service.name), outage, *service.evidence_alarms)
    states = ports.alarms.states(names)
    in_alarm = sorted(name for name, state in states.items() if state == "ALARM")
    reason = f"in ALARM: {', '.join(in_alarm) or 'none'}"
    missing = [name for name in service.evidence_alarms if name not in states]
    reason += f"; not looked at, since there is no such alarm: {', '.join(missing)}" if missing else ""
    if in_alarm and handling is AlarmHandling.WAIT:
        minutes = ports.settings.policy.alarm_settle_minutes
        reason += (
            f"; the alarms' periods include earlier minutes, so the alarms have {minutes:g} minutes to return to OK"
        )
        return Check.warned(ALARM_CHECK, reason, evidence=dict(states))
    visibility = check_outage_against_elb(service.name, view, ports) if in_alarm == [outage] else None
    if visibility is not None and visibility.verdict is Verdict.FAIL:
        reason += f", which is not counted: {visibility.reason}"
        return Check.skipped(ALARM_CHECK, reason, evidence={**states, **visibility.evidence})
    verdict = Verdict.FAIL if in_alarm else Verdict.PASS
    return Check(name=ALARM_CHECK, verdict=verdict, reason=reason, evidence=dict(states))
