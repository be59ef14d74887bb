"""Target health, derived from the tasks of the services."""

from typing import Any

from fakes.aws.ecs_services import EcsServices, FakeServices
from fakes.aws.request_models import refuse

from rollback.resources.aws.ecs_service import (
    TargetHealth,
)
from rollback.resources.aws.target_group_health import is_possibly_unused


class FakeTargetGroups:
    """Target health derived from the tasks of the services; `answers` by target group replaces it.

    `outside_zones`: groups of a load balancer that does not serve the targets' Availability Zone.
    `others`: target groups of other services on the same load balancer.
    """

    def __init__(self, services: EcsServices) -> None:
        self._services = services
        self.answers: dict[str, tuple[TargetHealth, ...]] = {}
        self.outside_zones: set[str] = set()
        self.health_check_path = "/health"
        self.others: tuple[str, ...] = ()

    def health(self, target_group_arn: str) -> tuple[TargetHealth, ...]:
        if target_group_arn in self.answers:
            return self.answers[target_group_arn]
        states = self._service_of_target_group(target_group_arn, "DescribeTargetHealth").target_states()
        reasons = {"unhealthy": "Target.ResponseCodeMismatch"}
        return tuple(
            TargetHealth(target=f"10.0.0.{number}:8080", state=state, reason=reasons.get(state, ""))
            for number, state in enumerate(states, start=1)
        )

    def has_load_balancer(self, target_group_arn: str) -> bool:
        """Health that a load balancer reports for the targets it checks; unused targets are not checked."""
        if target_group_arn in self.outside_zones:
            return True
        if target_group_arn not in self.answers:
            self._service_of_target_group(target_group_arn, "DescribeTargetGroups")
        return not is_possibly_unused(self.health(target_group_arn))

    def health_checks(self, target_group_arns: tuple[str, ...]) -> dict[str, dict[str, Any]]:
        checks = {"HealthCheckPath": self.health_check_path, "HealthCheckPort": "traffic-port"}
        there = {arn for one in self._services.each() for arn in one.target_groups} | set(self.answers)
        return {
            arn: {**checks, "HealthCheckProtocol": "HTTP", "Matcher": {"HttpCode": "200"}}
            for arn in target_group_arns
            if arn in there
        }

    def sibling_target_groups(self, target_group_arns: tuple[str, ...]) -> tuple[str, ...]:
        for arn in target_group_arns:
            self._service_of_target_group(arn, "DescribeTargetGroups")
        return tuple(arn for arn in self.others if arn not in target_group_arns) if target_group_arns else ()

    def _service_of_target_group(self, target_group_arn: str, operation: str) -> "FakeServices":
        found = next((one for one in self._services.each() if target_group_arn in one.target_groups), None)
        if found is None:
            refuse(operation, target_group_arn, "TargetGroupNotFound", "target group not found")
        return found
