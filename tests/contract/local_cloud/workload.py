"""An ECS service behind a load balancer on the embedded cloud, made through AWS's APIs."""

from __future__ import annotations

import time
import uuid
from collections.abc import Callable
from typing import Any, TypeVar

from local_cloud.ecr.images import push_image
from local_cloud.elb import load_balancer
from local_cloud.listing import list_all
from rollback.adapters.aws.paging import pages_of

T = TypeVar("T")
HEALTHY: dict[str, Any] = {"kind": "healthy"}
UNHEALTHY: dict[str, Any] = {"kind": "unhealthy"}
CRASHING: dict[str, Any] = {"kind": "crash", "after_seconds": 0.2}


def eventually(probe: Callable[[], T | None], seconds: float = 90.0, *, every: float = 0.05) -> T:
    """Return the first truthy value of ``probe`` within so many real seconds.

    Raises:
        AssertionError: no value was truthy; the message has the last one.
    """
    deadline = time.monotonic() + seconds
    while not (value := probe()):
        if time.monotonic() > deadline:
            raise AssertionError(f"still {value!r} after {seconds} s")
        time.sleep(every)
    return value


class Workload:
    """A cluster, repository, target group, load balancer and service with unique names."""

    def __init__(self, cloud: Any, *, balanced: bool = True, scheme: str = "internet-facing") -> None:
        self.cloud, self.name = cloud, f"web-{uuid.uuid4().hex[:8]}"
        self.ecs, self.ecr, self.elbv2 = cloud.client("ecs"), cloud.client("ecr"), cloud.client("elbv2")
        self.ecs.create_cluster(clusterName=self.name)
        self.repository = self.ecr.create_repository(repositoryName=self.name)["repository"]["repositoryUri"]
        ec2 = cloud.client("ec2")
        vpc = ec2.create_vpc(CidrBlock="10.0.0.0/16")["Vpc"]["VpcId"]
        self.subnets: list[str] = []
        for number, zone in enumerate("ab"):
            place = {"CidrBlock": f"10.0.{number}.0/24", "AvailabilityZone": f"{cloud.region}{zone}"}
            self.subnets.append(ec2.create_subnet(VpcId=vpc, **place)["Subnet"]["SubnetId"])
        self.group = ec2.create_security_group(GroupName=self.name, Description="web", VpcId=vpc)["GroupId"]
        self.target_groups: list[str] = []
        if balanced:
            self._balance(vpc, scheme)

    @property
    def target_group(self) -> str:
        return self.target_groups[0]

    def _balance(self, vpc: str, scheme: str) -> None:
        group: str = self.elbv2.create_target_group(
            Name=self.name, Protocol="HTTP", Port=8080, VpcId=vpc, TargetType="ip", HealthCheckPath="/health",
            HealthCheckIntervalSeconds=5, UnhealthyThresholdCount=2, HealthyThresholdCount=2,
        )["TargetGroups"][0]["TargetGroupArn"]  # fmt: skip
        self.target_groups.append(group)
        self.drain_for(30)  # 0.3 s of real time
        self.load_balancer = self.elbv2.create_load_balancer(Name=self.name, Subnets=self.subnets, Scheme=scheme)[
            "LoadBalancers"
        ][0]["LoadBalancerArn"]
        self.elbv2.create_listener(
            LoadBalancerArn=self.load_balancer, Protocol="HTTP", Port=80,
            DefaultActions=[{"Type": "forward", "TargetGroupArn": group}],
        )  # fmt: skip

    def drain_for(self, seconds: int) -> None:
        """Let tasks that stop drain for so many seconds of the cloud; this holds for tasks that drain already."""
        delay = [{"Key": "deregistration_delay.timeout_seconds", "Value": str(seconds)}]
        self.elbv2.modify_target_group_attributes(TargetGroupArn=self.target_group, Attributes=delay)

    @property
    def url(self) -> str:
        return load_balancer.base_url(self.load_balancer)

    def push(self, tag: str, behaviour: dict[str, Any] | None = None) -> str:
        return push_image(self.ecr, self.name, tag, behaviour)

    def register(self, tag: str, **settings: Any) -> str:
        container = {"name": "app", "image": f"{self.repository}:{tag}", "portMappings": [{"containerPort": 8080}]}
        answer = self.ecs.register_task_definition(
            family=self.name, containerDefinitions=[{**container, **settings}], cpu="256", memory="512",
            networkMode="awsvpc", requiresCompatibilities=["FARGATE"],
        )  # fmt: skip
        return str(answer["taskDefinition"]["taskDefinitionArn"])

    def release(self, tag: str, behaviour: dict[str, Any] | None = None, **settings: Any) -> str:
        """Push an image, and register a task definition for it."""
        self.push(tag, behaviour)
        return self.register(tag, **settings)

    def create(self, definition: str, desired: int = 2, **settings: Any) -> dict[str, Any]:
        balancers = [
            {"targetGroupArn": arn, "containerName": "app", "containerPort": 8080} for arn in self.target_groups
        ]
        service: dict[str, Any] = self.ecs.create_service(
            **{
                "cluster": self.name, "serviceName": self.name, "taskDefinition": definition, "desiredCount": desired,
                "launchType": "FARGATE", "networkConfiguration": self.network,
                "loadBalancers": balancers,
            }
            | settings
        )["service"]  # fmt: skip
        return service

    def start_and_wait(self, definition: str, desired: int = 2, **settings: Any) -> None:
        """Create the service, and wait until its first deployment has completed."""
        self.create(definition, desired, **settings)
        self.wait_for("COMPLETED", definition)

    def update(self, **settings: Any) -> dict[str, Any]:
        service: dict[str, Any] = self.ecs.update_service(cluster=self.name, service=self.name, **settings)["service"]
        return service

    def describe(self) -> dict[str, Any]:
        service: dict[str, Any] = self.ecs.describe_services(cluster=self.name, services=[self.name])["services"][0]
        return service

    def primary(self) -> dict[str, Any]:
        return dict(self.describe()["deployments"][0])

    def wait_for(self, state: str, definition: str | None = None) -> dict[str, Any]:
        """Wait until the primary deployment (of `definition`, if given) is in the state."""

        def reached() -> dict[str, Any] | None:
            primary = self.primary()
            right = definition in (None, primary["taskDefinition"])
            return primary if right and primary["rolloutState"] == state else None

        return eventually(reached)

    def service_deployments(self, **criteria: Any) -> list[dict[str, Any]]:
        parameters = {"cluster": self.name, "service": self.name, **criteria}
        return [
            deployment
            for page in pages_of(self.ecs.list_service_deployments, **parameters)
            for deployment in page["serviceDeployments"]
        ]

    def service_deployment(self, arn: str) -> dict[str, Any]:
        return dict(self.ecs.describe_service_deployments(serviceDeploymentArns=[arn])["serviceDeployments"][0])

    def wait_for_status(self, status: str) -> dict[str, Any]:
        """Wait until the newest service deployment has the status."""

        def reached() -> dict[str, Any] | None:
            newest = self.service_deployments()[0]
            return newest if newest["status"] == status else None

        return self.service_deployment(eventually(reached)["serviceDeploymentArn"])

    def tasks(self, status: str = "RUNNING") -> list[dict[str, Any]]:
        arns = list_all(
            self.ecs, "list_tasks", "taskArns", cluster=self.name, serviceName=self.name, desiredStatus=status
        )
        return list(self.ecs.describe_tasks(cluster=self.name, tasks=arns)["tasks"]) if arns else []

    def run(self, definition: str, command: list[str], **settings: Any) -> str:
        """Start a one-off task; return its ARN."""
        return str(self.run_task(definition, command, **settings)["taskArn"])

    def run_task(self, definition: str, command: list[str], **settings: Any) -> dict[str, Any]:
        """Start a one-off task with another command. All settings are RunTask's, except `environment`."""
        override = {"name": "app", "command": command, "environment": settings.pop("environment", [])}
        parameters = {
            "cluster": self.name, "taskDefinition": definition, "launchType": "FARGATE",
            "networkConfiguration": self.network, "overrides": {"containerOverrides": [override]},
        }  # fmt: skip
        (task,) = self.ecs.run_task(**parameters | settings)["tasks"]
        return dict(task)

    @property
    def network(self) -> dict[str, Any]:
        place = {"subnets": self.subnets, "securityGroups": [self.group], "assignPublicIp": "DISABLED"}
        return {"awsvpcConfiguration": place}

    def task(self, arn: str) -> dict[str, Any]:
        return dict(self.ecs.describe_tasks(cluster=self.name, tasks=[arn])["tasks"][0])

    def target_states(self) -> list[str]:
        health = self.elbv2.describe_target_health(TargetGroupArn=self.target_group)["TargetHealthDescriptions"]
        return sorted(target["TargetHealth"]["State"] for target in health)

    def delete(self) -> None:
        self.ecs.delete_service(cluster=self.name, service=self.name, force=True)
