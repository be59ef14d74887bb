"""Evidence for the guards, from ledger, ECS, ELB and CloudWatch: history, pause, a fix in flight, traffic, outage."""

from datetime import datetime, timedelta

from rollback.check import Check, Verdict
from rollback.domain.releases.release import Release
from rollback.domain.request import RollbackType, Trigger
from rollback.domain.rollback import Rollback
from rollback.domain.settings.watched import Starts
from rollback.errors import CallRefused, ExternalServiceError
from rollback.guards import rules as guards
from rollback.guards.ports import GuardPorts, OutagePorts, TrafficPorts
from rollback.identity.identify import identify_running, is_registered_by_rollback
from rollback.intents.caused import is_caused_by_rollback
from rollback.names import RATE_ALARMS, STATE_ALARMS, leaf_alarms, outage_alarm
from rollback.ports.holders import HasAlarms
from rollback.resources.aws.ecs_service import IN_FLIGHT, ServiceView

ALARM_IS_IN_ALARM = "alarm-is-in-alarm"  # a check of Admit; a warning if CloudWatch did not answer


def automatic_guards(
    rollback: Rollback, running: Release, view: ServiceView, ports: GuardPorts, resumed: Rollback | None = None
) -> list[Check]:
    """Run the guards of every automatic trigger, including an emergency.

    Args:
        rollback: the rollback.
        running: the release to replace.
        view: the service as ECS describes it now.
        ports: access to AWS, Neon and the ledger.
        resumed: the rollback that this rollback continues.
    """
    policy, now = ports.settings.policy, ports.clock.now()
    check_not_paused = guards.check_not_paused(rollback, ports.ledger.pause(rollback.service_name), policy, now)
    if resumed is not None:
        return [check_not_paused, *guards.skip_guards_on_takeover(resumed)]
    deployment_began_at = _team_deployment_began_at(rollback.service_name, view, ports)
    service = ports.settings.service(rollback.service_name)
    primary = identify_running(view, service, ports).identifiers
    # Several fingerprints may mean PRIMARY's release, if that is the release to replace.
    replaced = frozenset({running.fingerprint}) | (primary if running.fingerprint in primary else frozenset())
    changes = ports.ledger.changes(rollback.service_name, now - guards.longest_window(policy))
    obligations = ports.ledger.obligations(rollback.service_name)
    return [
        check_not_paused,
        *guards.check_history(rollback, primary | replaced, replaced, changes, policy, now),
        guards.check_not_left_at_zero(rollback, view.desired_count, obligations, policy, now),
        guards.check_desired_count(rollback, view.desired_count, obligations, policy, now),
        *_check_outage_alarm(rollback, view, ports),
        guards.check_no_fix_in_flight(
            rollback,
            deployment_began_at,
            _trigger_in_alarm_since(rollback, ports) if deployment_began_at else None,
            policy,
            now,
        ),
    ]


def traffic_guard(rollback: Rollback, view: ServiceView, ports: TrafficPorts) -> Check:
    """Check for too few requests; never for an outage (rule 11: `outage` is never mute)."""
    policy, now = ports.settings.policy, ports.clock.now()
    prefix, service = ports.settings.prefix, rollback.service_name
    alarm = rollback.event.alarm if rollback.event is not None else None
    # The alarm's name counts too, because an emergency may have escalated to a full rollback.
    is_outage = rollback.request.type is RollbackType.EMERGENCY or alarm == outage_alarm(prefix, service)
    if rollback.trigger is not Trigger.ALARM or is_outage:
        return Check.skipped("enough-traffic", "no alarm about rates triggered the rollback")
    leaf_names = _list_underlying_alarms(service, ports)
    in_alarm = [name for name, state in ports.alarms.states(leaf_names).items() if state == "ALARM"]
    since = now - timedelta(minutes=policy.traffic_window_minutes)
    rate_alarms = leaf_alarms(prefix, service, RATE_ALARMS)
    request_count = _count_requests(view, since, ports) if set(in_alarm) & set(rate_alarms) else None
    return guards.check_enough_traffic(in_alarm, rate_alarms, request_count, policy, now)


def _count_requests(view: ServiceView, since: datetime, ports: HasAlarms) -> float | None:
    """Count requests; None: they are not counted, or CloudWatch refused permanently, as for a deleted target group."""
    try:
        return ports.alarms.requests_since(view.target_groups, since)
    except CallRefused:
        return None


def _check_outage_alarm(rollback: Rollback, view: ServiceView, ports: OutagePorts) -> tuple[Check, ...]:
    """Check the outage alarm if the alarm triggered the rollback and CloudWatch answered Admit."""
    prefix, service = ports.settings.prefix, rollback.service_name
    alarm = rollback.event.alarm if rollback.event is not None else None
    if rollback.trigger is not Trigger.ALARM or alarm != outage_alarm(prefix, service) or not view.target_groups:
        return ()
    is_cloudwatch_silent = any(c.name == ALARM_IS_IN_ALARM and c.verdict is Verdict.WARN for c in rollback.admission)
    return () if is_cloudwatch_silent else (check_outage_against_elb(service, view, ports),)


def check_outage_against_elb(service_name: str, view: ServiceView, ports: OutagePorts) -> Check:
    """Check the outage alarm, which is in ALARM, against ELB; without an answer nothing contradicts the alarm."""
    policy, now = ports.settings.policy, ports.clock.now()
    try:
        states = ports.alarms.states(_list_underlying_alarms(service_name, ports))
        in_alarm = [name for name, state in states.items() if state == "ALARM"]
        healthy = {
            group: sum(target.state == "healthy" for target in ports.target_groups.health(group))
            for group in (view.target_groups if in_alarm else ())
        }
    except ExternalServiceError as failure:
        return Check.warned("outage-is-seen", f"the alarm could not be compared with ELB: {failure}")
    return guards.check_outage_visible(in_alarm, healthy, view.desired_count, policy, now)


def _list_underlying_alarms(service_name: str, ports: TrafficPorts) -> tuple[str, ...]:
    """List the alarms that may fire a composite alarm of the service: our leaf alarms, and the team's own."""
    extras = ports.settings.service(service_name).extra_alarms
    leaves = leaf_alarms(ports.settings.prefix, service_name, (*RATE_ALARMS, *STATE_ALARMS))
    return (*leaves, *(extra.alarm for extra in extras if extra.starts is not Starts.EVIDENCE))


def _team_deployment_began_at(service_name: str, view: ServiceView, ports: GuardPorts) -> datetime | None:
    """Start of a deployment in flight that no rollback made (rule 5); None: no such deployment is in flight."""
    newest = view.newest
    if (
        newest is None
        or newest.status not in IN_FLIGHT
        or is_registered_by_rollback(newest.target_definition_arn, ports)
    ):
        return None
    caused_deployment = ports.ledger.caused_deployment(service_name)
    if caused_deployment is not None and is_caused_by_rollback(caused_deployment, None, view):
        return None
    return newest.created_at


def _trigger_in_alarm_since(rollback: Rollback, ports: HasAlarms) -> datetime | None:
    """Start of ALARM of the triggering alarm; None: not known. An emergency goes on without CloudWatch's answer."""
    alarm = rollback.event.alarm if rollback.event is not None else None
    if alarm is None:
        return None
    try:
        return ports.alarms.in_alarm_since((alarm,)).get(alarm)
    except ExternalServiceError:
        if rollback.request.type is RollbackType.EMERGENCY:
            return None
        raise
