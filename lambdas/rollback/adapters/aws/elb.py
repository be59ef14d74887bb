"""Elastic Load Balancing: target groups, target health, and where load balancers forward."""

from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING, Any

from rollback.adapters.aws.errors import aws_call
from rollback.resources.aws.ecs_service import TargetHealth

if TYPE_CHECKING:
    from mypy_boto3_elbv2 import ElasticLoadBalancingv2Client
    from mypy_boto3_elbv2.type_defs import TargetGroupTypeDef


class ElbTargets:
    """Adapter."""

    def __init__(self, client: "ElasticLoadBalancingv2Client") -> None:
        self._client = client

    def health(self, target_group_arn: str) -> tuple[TargetHealth, ...]:
        """Call DescribeTargetHealth."""
        with aws_call("DescribeTargetHealth", target_group_arn):
            answer = self._client.describe_target_health(TargetGroupArn=target_group_arn)
        return tuple(
            TargetHealth(
                target=f"{description['Target']['Id']}:{description['Target'].get('Port', '')}",
                state=description["TargetHealth"]["State"],
                reason=description["TargetHealth"].get("Reason", ""),
            )
            for description in answer["TargetHealthDescriptions"]
        )

    def has_load_balancer(self, target_group_arn: str) -> bool:
        """Call DescribeTargetGroups and read `LoadBalancerArns` (ELB API reference, TargetGroup)."""
        with aws_call("DescribeTargetGroups", target_group_arn):
            return any(group.get("LoadBalancerArns") for group in self._describe_target_groups(target_group_arn))

    def health_checks(self, target_group_arns: tuple[str, ...]) -> dict[str, dict[str, Any]]:
        """Call DescribeTargetGroups. A release that was good under another health check may fail under this one."""
        groups = [group for arn in dict.fromkeys(target_group_arns) for group in self._group(arn)]
        return {
            group["TargetGroupArn"]: {
                part: group.get(part)
                for part in ("HealthCheckPath", "HealthCheckPort", "HealthCheckProtocol", "Matcher")
            }
            for group in groups
        }

    def _group(self, target_group_arn: str) -> "list[TargetGroupTypeDef]":
        """Describe one group, or return nothing if it is deleted.

        Groups are described one at a time: if one of several is deleted, ELB answers for none of them.
        """
        with aws_call("DescribeTargetGroups", target_group_arn):
            try:
                return self._describe_target_groups(target_group_arn)
            except self._client.exceptions.TargetGroupNotFoundException:
                return []

    def _describe_target_groups(self, target_group_arn: str) -> "list[TargetGroupTypeDef]":
        pages = self._client.get_paginator("describe_target_groups").paginate(TargetGroupArns=[target_group_arn])
        return [group for page in pages for group in page["TargetGroups"]]

    def sibling_target_groups(self, target_group_arns: tuple[str, ...]) -> tuple[str, ...]:
        """Call DescribeListeners and DescribeRules for each load balancer.

        A listener of a network load balancer has a default action and no rules (Network Load Balancer user guide,
        "Listeners for your Network Load Balancers").
        """
        if not target_group_arns:
            return ()
        groups = [group for arn in target_group_arns for group in self._group(arn)]
        balancers = sorted({arn for group in groups for arn in group.get("LoadBalancerArns", ())})
        forwarded = {group for balancer in balancers for group in self._forwarded_groups(balancer)}
        return tuple(sorted(forwarded - set(target_group_arns)))

    def _forwarded_groups(self, balancer: str) -> Iterator[str]:
        with aws_call("DescribeListeners", balancer):
            pages = self._client.get_paginator("describe_listeners").paginate(LoadBalancerArn=balancer)
            listeners = [listener for page in pages for listener in page["Listeners"]]
        for listener in listeners:
            yield from _groups(listener.get("DefaultActions", ()))
            if ":listener/net/" in listener["ListenerArn"]:
                continue
            with aws_call("DescribeRules", listener["ListenerArn"]):
                rules = self._client.get_paginator("describe_rules").paginate(ListenerArn=listener["ListenerArn"])
                actions = [action for page in rules for rule in page["Rules"] for action in rule.get("Actions", ())]
            yield from _groups(actions)


def _groups(actions: Iterable[Any]) -> Iterator[str]:
    for action in actions:
        groups = action.get("ForwardConfig", {}).get("TargetGroups", ())
        yield from (group["TargetGroupArn"] for group in groups)
        if action.get("TargetGroupArn"):
            yield action["TargetGroupArn"]
