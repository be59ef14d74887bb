"""Read the load balancers, listeners, rules and target groups of a service."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from rollback_cli.attach.found import Balancer, BalancerKind, Listener, Rule, TargetGroup
from rollback_cli.attach.reading import Reader

_LOGINS = frozenset({"authenticate-oidc", "authenticate-cognito", "jwt-validation"})
_SUBJECT = "load balancers of the service"
_LISTENERS = "listeners and rules of the load balancer"
_PLAIN_FIELDS = frozenset({"host-header", "path-pattern"})


@dataclass(frozen=True)
class Balancing:
    """Load balancing of a service; the attributes are those of `Found`."""

    balancers: tuple[Balancer, ...]
    unbalanced_groups: tuple[str, ...]
    unread_groups: tuple[str, ...]
    classic_balancers: tuple[str, ...]


def read_balancing(reader: Reader, service: Mapping[str, Any]) -> Balancing:
    """Read what forwards requests to a service.

    Raises:
        ExternalServiceError: ELB did not answer.
    """
    entries = service.get("loadBalancers", ())
    containers = {
        str(entry["targetGroupArn"]): entry.get("containerName") for entry in entries if "targetGroupArn" in entry
    }
    classic = tuple(str(entry["loadBalancerName"]) for entry in entries if entry.get("loadBalancerName"))
    if not containers:
        return Balancing((), (), (), classic)
    described = reader.try_items(
        _SUBJECT, "elbv2", "DescribeTargetGroups", "TargetGroups", TargetGroupArns=list(containers)
    )
    if described is None:
        return Balancing((), (), tuple(containers), classic)
    groups = {str(group["TargetGroupArn"]): _target_group(group, containers) for group in described}
    owners = {str(group["TargetGroupArn"]): tuple(map(str, group.get("LoadBalancerArns", ()))) for group in described}
    balancer_arns = tuple(dict.fromkeys(owner for arns in owners.values() for owner in arns))
    balancers: tuple[Balancer, ...] = ()
    unread = tuple(arn for arn in containers if arn not in groups)
    if balancer_arns:
        answered = reader.try_items(
            _SUBJECT, "elbv2", "DescribeLoadBalancers", "LoadBalancers", LoadBalancerArns=list(balancer_arns)
        )
        if answered is None:
            unread = tuple(containers)
        by_arn = {str(balancer["LoadBalancerArn"]): balancer for balancer in answered or ()}
        balancers = tuple(
            _balancer(reader, by_arn[arn], tuple(groups[group] for group in groups if arn in owners[group]))
            for arn in balancer_arns
            if arn in by_arn
        )
    unbalanced = tuple(groups[arn].full_name for arn in groups if not owners[arn])
    return Balancing(balancers, unbalanced, unread, classic)


def _target_group(group: Mapping[str, Any], containers: Mapping[str, Any]) -> TargetGroup:
    arn = str(group["TargetGroupArn"])
    is_http = str(group.get("HealthCheckProtocol", "")) in {"HTTP", "HTTPS"}
    matcher = group.get("Matcher") or {}
    return TargetGroup(
        arn=arn,
        full_name=arn.rpartition(":")[2],
        container=containers.get(arn),
        health_path=str(group["HealthCheckPath"]) if is_http and group.get("HealthCheckPath") else None,
        health_codes=matcher.get("HttpCode"),
        protocol_version=group.get("ProtocolVersion"),
    )


def _balancer(reader: Reader, balancer: Mapping[str, Any], groups: tuple[TargetGroup, ...]) -> Balancer:
    arn = str(balancer["LoadBalancerArn"])
    listeners = _listeners(reader, arn)
    own = {group.arn for group in groups}
    forwarded = [group for listener in listeners or () for rule in listener.rules for group in rule.groups]
    return Balancer(
        arn=arn,
        full_name=arn.partition(":loadbalancer/")[2],
        kind=BalancerKind(balancer["Type"]),
        is_internal=balancer.get("Scheme") == "internal",
        dns_name=str(balancer.get("DNSName", "")),
        vpc_id=balancer.get("VpcId"),
        subnets=tuple(
            (str(zone.get("ZoneName", "")), str(zone.get("SubnetId", "")))
            for zone in balancer.get("AvailabilityZones", ())
        ),
        security_groups=tuple(map(str, balancer.get("SecurityGroups", ()))),
        groups=groups,
        listeners=listeners,
        other_groups=tuple(dict.fromkeys(group for group in forwarded if group not in own))
        if listeners is not None
        else None,
    )


def _listeners(reader: Reader, balancer: str) -> tuple[Listener, ...] | None:
    described = reader.try_items(_LISTENERS, "elbv2", "DescribeListeners", "Listeners", LoadBalancerArn=balancer)
    if described is None:
        return None
    listeners: list[Listener] = []
    for listener in described:
        default = _rule({"Actions": listener.get("DefaultActions", ())})
        rules: tuple[Rule, ...] = (default,)
        if listener.get("Protocol") in {"HTTP", "HTTPS"}:  # other listeners have default actions only
            answered = reader.try_items(
                _LISTENERS, "elbv2", "DescribeRules", "Rules", ListenerArn=listener["ListenerArn"]
            )
            if answered is None:
                return None
            conditional = [rule for rule in answered if not rule.get("IsDefault") and rule.get("Priority") != "default"]
            rules = (*(_rule(rule) for rule in sorted(conditional, key=lambda rule: int(rule["Priority"]))), default)
        listeners.append(
            Listener(
                protocol=str(listener.get("Protocol", "")),
                port=int(listener.get("Port", 0)),
                needs_client_certificate=(listener.get("MutualAuthentication") or {}).get("Mode") == "verify",
                rules=rules,
            )
        )
    return tuple(listeners)


def _rule(rule: Mapping[str, Any]) -> Rule:
    conditions: Sequence[Mapping[str, Any]] = rule.get("Conditions") or ()
    actions = sorted(rule.get("Actions") or (), key=lambda action: int(action.get("Order") or 0))
    plain = [condition for condition in conditions if condition.get("Field") in _PLAIN_FIELDS]
    has_expressions = any(
        condition.get("RegexValues")
        or any(config.get("RegexValues") for config in condition.values() if isinstance(config, dict))
        for condition in plain
    )
    return Rule(
        hosts=_patterns(plain, "host-header", "HostHeaderConfig"),
        paths=_patterns(plain, "path-pattern", "PathPatternConfig"),
        has_other_conditions=len(plain) < len(conditions) or has_expressions or bool(rule.get("Transforms")),
        groups=tuple(group for action in actions for group in _forwarded(action)),
        action=str(actions[-1]["Type"]) if actions else "",
        needs_login=any(action["Type"] in _LOGINS for action in actions),
        answers_with_error=any(
            str((action.get("FixedResponseConfig") or {}).get("StatusCode", "")).startswith("5") for action in actions
        ),
    )


def _patterns(conditions: Sequence[Mapping[str, Any]], field: str, config: str) -> tuple[str, ...]:
    values = [
        value
        for condition in conditions
        if condition.get("Field") == field
        for value in ((condition.get(config) or {}).get("Values") or condition.get("Values") or ())
    ]
    return tuple(dict.fromkeys(map(str, values)))


def _forwarded(action: Mapping[str, Any]) -> list[str]:
    """Return the target groups of an action; a group of weight 0 gets no request, and is named all the same."""
    groups = [str(group["TargetGroupArn"]) for group in (action.get("ForwardConfig") or {}).get("TargetGroups", ())]
    return groups or ([str(action["TargetGroupArn"])] if action.get("TargetGroupArn") else [])
