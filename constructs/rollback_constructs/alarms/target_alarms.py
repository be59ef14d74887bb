"""Leaf alarms on the targets behind load balancers of both kinds: healthy, unhealthy, and resets of connections.

`Minimum` and `Maximum` of host counts are over load balancer nodes and zones. So a target counts as healthy if any node
finds it healthy, and as unhealthy if every node does. Source: ELB user guides, "Statistics for Application Load
Balancer metrics" and "Statistics for Network Load Balancer metrics".

A group without registered targets has no data, and neither has a mistyped one: both guides report the counts "if there
are registered targets". Tasks that all died deregister their targets, so missing data is breaching (rule 11: `outage`
is never mute). A mistyped group is found elsewhere: readiness and the doctor ask for data, and Admit compares the alarm
with ELB before a rollback begins (`guards.rules.check_outage_visible`).

A Network Load Balancer counts no requests and no answers: it has no error rate and no latency. Its
`TCP_Target_Reset_Count` is not counted by target group, so on a shared load balancer it may be another service's.
Source: user guide for Network Load Balancers, "Network Load Balancer metrics".
"""

from aws_cdk import aws_cloudwatch as cloudwatch

from rollback.names import NO_HEALTHY_TARGETS, TARGET_RESETS, UNHEALTHY_TARGETS
from rollback_constructs.alarms.leaf_alarms import BELOW, MISSING_IS_ALARM, MISSING_IS_OK, LeafAlarms
from rollback_constructs.attachment import AttachedBalancer

Alarms = tuple[cloudwatch.Alarm, ...]


def namespace_of(balancer: AttachedBalancer) -> str:
    """Return the namespace of a load balancer's metrics."""
    return "AWS/NetworkELB" if balancer.is_network else "AWS/ApplicationELB"


def group_metric(
    leaves: LeafAlarms, balancer: AttachedBalancer, name: str, statistic: str, group: str
) -> cloudwatch.Metric:
    """Return the metric of one target group."""
    return leaves.metric(namespace_of(balancer), name, statistic, {"LoadBalancer": balancer.name, "TargetGroup": group})


def alarm_on_unhealthy_targets(leaves: LeafAlarms) -> Alarms:
    """Create one alarm for each target group."""
    return tuple(
        leaves.add("UnhealthyTargets", metric, UNHEALTHY_TARGETS, leaves.settings.max_unhealthy_targets, number=number)
        for number, metric in enumerate(_of_groups(leaves, "UnHealthyHostCount", "Minimum"))
    )


def alarm_on_no_healthy_targets(leaves: LeafAlarms) -> Alarms:
    """Create one alarm for each target group: a group without data is no evidence about the others."""
    return tuple(
        leaves.add(
            "NoHealthyTargets",
            metric,
            NO_HEALTHY_TARGETS,
            1,
            leaves.settings.outage_evaluation_periods,
            number=number,
            comparison=BELOW,
            missing=MISSING_IS_ALARM,
        )
        for number, metric in enumerate(_of_groups(leaves, "HealthyHostCount", "Maximum"))
    )


def alarm_on_target_resets(leaves: LeafAlarms) -> Alarms:
    """Create one alarm for each Network Load Balancer of the service's own, if the settings have a limit."""
    limit = leaves.settings.max_target_resets_per_period
    own = [b for b in leaves.service.balancers if b.is_network and not b.is_shared] if limit is not None else []
    return tuple(
        leaves.add(
            "TargetResets",
            leaves.metric(namespace_of(balancer), "TCP_Target_Reset_Count", "Sum", {"LoadBalancer": balancer.name}),
            TARGET_RESETS,
            limit or 0,
            number=number,
            missing=MISSING_IS_OK,
        )
        for number, balancer in enumerate(own)
    )


def _of_groups(leaves: LeafAlarms, name: str, statistic: str) -> list[cloudwatch.Metric]:
    return [
        group_metric(leaves, balancer, name, statistic, group)
        for balancer in leaves.service.balancers
        for group in balancer.target_groups
    ]
