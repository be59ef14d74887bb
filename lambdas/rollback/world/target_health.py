"""ELB target health."""

from typing import TYPE_CHECKING, Any

from rollback.model.service_view import TargetHealth
from rollback.world.failures import calling

if TYPE_CHECKING:
    from mypy_boto3_elbv2 import ElasticLoadBalancingv2Client


class ElbTargets:
    """Adapter."""

    def __init__(self, client: "ElasticLoadBalancingv2Client") -> None:
        self._client = client

    def health(self, target_group_arn: str) -> tuple[TargetHealth, ...]:
        """All targets of a group, as `address:port`; draining ones too."""
        with calling("DescribeTargetHealth", target_group_arn):
            answer = self._client.describe_target_health(TargetGroupArn=target_group_arn)
        return tuple(
            TargetHealth(
                target=f"{found['Target']['Id']}:{found['Target'].get('Port', '')}",
                state=found["TargetHealth"]["State"],
                reason=found["TargetHealth"].get("Reason", ""),
            )
            for found in answer["TargetHealthDescriptions"]
        )

    def health_checks(self, target_group_arns: tuple[str, ...]) -> dict[str, dict[str, Any]]:
        """Target group → its health check; a release that was good under another one may fail under this."""
        if not target_group_arns:
            return {}
        with calling("DescribeTargetGroups", ", ".join(target_group_arns)):
            pages = self._client.get_paginator("describe_target_groups").paginate(
                TargetGroupArns=list(target_group_arns)
            )
            found = [group for page in pages for group in page["TargetGroups"]]
        return {
            group["TargetGroupArn"]: {
                part: group.get(part)
                for part in ("HealthCheckPath", "HealthCheckPort", "HealthCheckProtocol", "Matcher")
            }
            for group in found
        }
