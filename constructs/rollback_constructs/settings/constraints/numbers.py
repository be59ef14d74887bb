"""Constraints between numbers of an environment's settings, and limits of AWS on their products."""

from rollback.domain.settings.policy import Policy
from rollback_constructs.alarms.service_alarms import AlarmSettings
from rollback_constructs.triggers import TriggerSettings

_HOUR, _DAY, _WEEK = 3_600, 86_400, 604_800  # seconds


def policy_constraints(policy: Policy, triggers: TriggerSettings) -> dict[str, bool]:
    """Check the numbers of the policy.

    Returns:
        Problem → whether the constraint holds.
    """
    rounds_seconds = policy.verify_rounds * policy.verify_interval_seconds
    lease_seconds = policy.lease_minutes * 60
    return {
        f"policy.bake_minutes is {policy.bake_minutes:g}; allowed is less than bake_timeout_minutes, "
        f"{policy.bake_timeout_minutes:g}: no release would be promoted": policy.bake_minutes
        < policy.bake_timeout_minutes,
        f"policy.verify_rounds is {policy.verify_rounds}, which take {rounds_seconds} seconds with "
        f"verify_interval_seconds, {policy.verify_interval_seconds}; allowed is less than verify_timeout_minutes, "
        f"{policy.verify_timeout_minutes:g}: no rollback would be verified": rounds_seconds
        < policy.verify_timeout_minutes * 60,
        f"policy.poll_seconds is {policy.poll_seconds}; with act_timeout_seconds, {policy.act_timeout_seconds:g}, "
        f"allowed is less than lease_minutes, {policy.lease_minutes:g}, together: the lease would expire between two "
        "polls": policy.poll_seconds + policy.act_timeout_seconds < lease_seconds,
        f"policy.verify_interval_seconds is {policy.verify_interval_seconds}; allowed is less than lease_minutes, "
        f"{policy.lease_minutes:g}: the lease would expire between two rounds": policy.verify_interval_seconds
        < lease_seconds,
        f"policy.stale_trigger_minutes is {policy.stale_trigger_minutes:g}; allowed is at least "
        f"triggers.event_age_minutes, {triggers.event_age_minutes}: Admit would refuse events that EventBridge still "
        "delivers": policy.stale_trigger_minutes >= triggers.event_age_minutes,
    }


def alarm_constraints(alarms: AlarmSettings, policy: Policy, clock_scale: float = 1) -> dict[str, bool]:
    """Check the numbers of the alarms.

    An alarm evaluates at most seven days, with a period below an hour at most one day (CloudWatch API reference,
    `PutMetricAlarm`, `Period`).

    Args:
        alarms: settings of the alarms.
        policy: settings that they are compared with.
        clock_scale: how much faster alarms are evaluated than the policy's minutes pass; more than 1 only in the
            embedded cloud.

    Returns:
        Problem → whether the constraint holds.
    """
    constraints = {
        f"alarms.datapoints_to_alarm is {alarms.datapoints_to_alarm}; allowed is not more than evaluation_periods, "
        f"{alarms.evaluation_periods}": alarms.datapoints_to_alarm <= alarms.evaluation_periods,
        f"alarms.outage_error_rate_percent is {alarms.outage_error_rate_percent:g}; allowed is at least "
        f"max_error_rate_percent, {alarms.max_error_rate_percent:g}: an outage is worse than a degradation": (
            alarms.outage_error_rate_percent >= alarms.max_error_rate_percent
        ),
    }
    limit = _DAY if alarms.period_seconds < _HOUR else _WEEK
    for name in ("evaluation_periods", "outage_evaluation_periods", "shortfall_evaluation_periods"):
        periods = getattr(alarms, name)
        seconds = periods * alarms.period_seconds
        constraints[
            f"alarms.{name} is {periods}, which are {seconds} seconds with period_seconds, {alarms.period_seconds}; "
            f"allowed by CloudWatch are {limit}"
        ] = seconds <= limit
        constraints[
            f"alarms.{name} is {periods}, which are {seconds / 60:g} minutes with period_seconds, "
            f"{alarms.period_seconds}; allowed is at most policy.correlation_window_minutes, "
            f"{policy.correlation_window_minutes:g}: an older release is not taken for the cause"
        ] = seconds / clock_scale <= policy.correlation_window_minutes * 60
    return constraints
