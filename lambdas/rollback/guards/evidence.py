"""Reasons to leave an automatic trigger alone, looked up: history, pause, a fix under way, traffic."""

from datetime import datetime, timedelta

from rollback.check import Check, Verdict
from rollback.domain.releases.release import Release
from rollback.domain.request import RollbackType, Trigger
from rollback.domain.rollback import Rollback
from rollback.errors import CallRefused, ExternalServiceError
from rollback.guards import rules as guards
from rollback.identity.identify import identify_running, is_ours
from rollback.names import RATE_ALARMS, STATE_ALARMS, leaf_alarms, outage_alarm
from rollback.ports.world import World
from rollback.resources.aws.ecs_service import IN_FLIGHT, ServiceView

ALARM_IS_IN_ALARM = "alarm-is-red"  # a check of the admission; a warning where CloudWatch did not answer


def automatic_guards(
    rollback: Rollback, running: Release, view: ServiceView, world: World, before: Rollback | None = None
) -> list[Check]:
    """Those that hold for every automatic trigger, an emergency's too.

    Args:
        before: the rollback that this one goes on with.
    """
    policy, now = world.settings.policy, world.clock.now()
    check_not_paused = guards.check_not_paused(rollback, world.ledger.pause(rollback.service_name), policy, now)
    if before is not None:
        return [check_not_paused, *guards.skip_guards_on_takeover(before)]
    began = _team_deployment_began_at(view, world)
    service = world.settings.service(rollback.service_name)
    runs = frozenset({running.fingerprint}) | identify_running(view, service, world).identifiers
    changes = world.ledger.changes(rollback.service_name, now - guards.longest_window(policy))
    owed = world.ledger.owed(rollback.service_name)
    return [
        check_not_paused,
        *guards.check_history(rollback, runs, changes, policy, now),
        guards.check_not_left_at_zero(rollback, view.desired_count, owed, policy, now),
        guards.check_desired_count(rollback, view.desired_count, owed, policy, now),
        *_check_outage_alarm(rollback, view, world),
        guards.check_no_fix_in_flight(
            rollback, began, _trigger_in_alarm_since(rollback, world) if began else None, policy, now
        ),
    ]


def traffic_guard(rollback: Rollback, view: ServiceView, world: World) -> Check:
    """Too few requests to tell; asked of alarms only, and never of an outage (rule 11)."""
    policy, now = world.settings.policy, world.clock.now()
    prefix, service = world.settings.prefix, rollback.service_name
    alarm = rollback.event.alarm if rollback.event is not None else None  # an emergency may have become a full one
    outage = rollback.request.type is RollbackType.EMERGENCY or alarm == outage_alarm(prefix, service)
    if rollback.trigger is not Trigger.ALARM or outage:
        return Check.skipped("enough-traffic", "no alarm about rates asked for it")
    leaves = leaf_alarms(prefix, service, (*RATE_ALARMS, *STATE_ALARMS))
    red = [name for name, state in world.alarms.states(leaves).items() if state == "ALARM"]
    since = now - timedelta(minutes=policy.traffic_window_minutes)
    rates = leaf_alarms(prefix, service, RATE_ALARMS)
    counted = _count_requests(view, since, world) if set(red) & set(rates) else None
    return guards.check_enough_traffic(red, rates, counted, policy, now)


def _count_requests(view: ServiceView, since: datetime, world: World) -> float | None:
    """None: refused for good, as for a target group that is gone; whoever retries is refused again."""
    try:
        return world.alarms.requests_since(view.target_groups, since)
    except CallRefused:
        return None


def _check_outage_alarm(rollback: Rollback, view: ServiceView, world: World) -> tuple[Check, ...]:
    """Asked of an outage only, whose world has little patience."""
    prefix, service = world.settings.prefix, rollback.service_name
    alarm = rollback.event.alarm if rollback.event is not None else None
    if rollback.trigger is not Trigger.ALARM or alarm != outage_alarm(prefix, service) or not view.target_groups:
        return ()
    cloudwatch_is_silent = any(c.name == ALARM_IS_IN_ALARM and c.verdict is Verdict.WARN for c in rollback.admission)
    return () if cloudwatch_is_silent else (check_outage_visible(service, view, world),)


def check_outage_visible(service: str, view: ServiceView, world: World) -> Check:
    """Hold the outage alarm, which is in ALARM, against what ELB says; what does not answer contradicts nothing."""
    prefix, policy, now = world.settings.prefix, world.settings.policy, world.clock.now()
    try:
        states = world.alarms.states(leaf_alarms(prefix, service, (*RATE_ALARMS, *STATE_ALARMS)))
        red = [name for name, state in states.items() if state == "ALARM"]
        healthy = {
            group: sum(target.state == "healthy" for target in world.targets.health(group))
            for group in (view.target_groups if red else ())
        }
    except ExternalServiceError as failure:
        return Check.warned("outage-is-seen", f"could not be asked: {failure}")
    return guards.check_outage_visible(red, healthy, view.desired_count, policy, now)


def _team_deployment_began_at(view: ServiceView, world: World) -> datetime | None:
    """Of a deployment in flight that no rollback made (rule 5); None: there is none."""
    newest = view.newest
    if newest is None or newest.status not in IN_FLIGHT or is_ours(newest.target_definition_arn, world):
        return None
    return newest.created_at


def _trigger_in_alarm_since(rollback: Rollback, world: World) -> datetime | None:
    """When the alarm that asked turned red; an emergency does not wait for an answer."""
    alarm = rollback.event.alarm if rollback.event is not None else None
    if alarm is None:
        return None
    try:
        return world.alarms.in_alarm_since((alarm,)).get(alarm)
    except ExternalServiceError:
        if rollback.request.type is RollbackType.EMERGENCY:
            return None
        raise
