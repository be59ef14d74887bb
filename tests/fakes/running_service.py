"""AWS's API for `rollback init`: one running service and its surroundings, as AWS describes them."""

from collections.abc import Callable
from typing import Any

from fakes.aws.request_models import check_request

from rollback.errors import CallRefused, RefusalKind

ACCOUNT, REGION = "123456789012", "eu-west-1"
CLUSTER, SERVICE = "shop-live", "Checkout_API"
Answer = dict[str, Any]


def arn(service: str, resource: str, *, region: str = REGION, account: str = ACCOUNT) -> str:
    return f"arn:aws:{service}:{region}:{account}:{resource}"


def image(repository: str, tag: str = "v1", *, account: str = ACCOUNT, region: str = REGION) -> str:
    return f"{account}.dkr.ecr.{region}.amazonaws.com/{repository}:{tag}"


def role(name: str) -> str:
    return f"arn:aws:iam::{ACCOUNT}:role/{name}"


class FakeRunningService:
    """A service on Fargate behind an Application Load Balancer; a test changes an attribute.

    Attributes:
        denied: operations that the operator may not call.
        calls: operations that were called.
    """

    region = REGION

    def __init__(self) -> None:
        self.denied: set[str] = set()
        self.calls: list[str] = []
        self.clusters = {CLUSTER: [{"name": "containerInsights", "value": "enabled"}]}
        self.containers: list[Answer] = [self.container("web", image("team/checkout"))]
        self.definitions: dict[str, Answer] = {}
        self.services: list[Answer] = []
        self.balancers: dict[str, Answer] = {}
        self.groups: dict[str, Answer] = {}
        self.listeners: dict[str, list[Answer]] = {}
        self.rules: dict[str, list[Answer]] = {}
        self.log_groups: dict[str, str] = {"/shop/checkout": "STANDARD"}
        self.repositories = {("team/checkout", ACCOUNT)}
        self.scalable_targets: list[Answer] = []
        self.scaling_policies: list[Answer] = []
        self.scheduled_actions: list[Answer] = []
        self.stacks: dict[str, list[Answer]] = {}
        self.owners: dict[str, str] = {}
        self.tagged: list[str] = []
        self.add_definition("checkout", self.containers)
        self.service = self.add_service(SERVICE, "checkout:1")
        self.add_balancer("front", "app")

    # Additions of a test

    @staticmethod
    def container(name: str, reference: str, **more: Any) -> Answer:
        log = {"logDriver": "awslogs", "options": {"awslogs-group": "/shop/checkout", "awslogs-region": REGION}}
        return {
            "name": name, "image": reference, "essential": True, "logConfiguration": log,
            "environment": [{"name": "GIT_COMMIT", "value": "c0ffee"}], **more,
        }  # fmt: skip

    def add_definition(self, family: str, containers: list[Answer], **more: Any) -> str:
        number = 1 + sum(one["family"] == family for one in self.definitions.values())
        definition = arn("ecs", f"task-definition/{family}:{number}")
        self.definitions[definition] = {
            "taskDefinitionArn": definition, "family": family, "containerDefinitions": containers,
            "executionRoleArn": role("pull"), "taskRoleArn": role("work"), **more,
        }  # fmt: skip
        return definition

    def add_service(self, name: str, definition: str, cluster: str = CLUSTER) -> Answer:
        service = {
            "serviceName": name, "serviceArn": arn("ecs", f"service/{cluster}/{name}"), "status": "ACTIVE",
            "taskDefinition": arn("ecs", f"task-definition/{definition}"), "desiredCount": 2, "launchType": "FARGATE",
            "schedulingStrategy": "REPLICA", "deploymentController": {"type": "ECS"}, "loadBalancers": [], "tags": [],
            "deploymentConfiguration": {"strategy": "ROLLING", "minimumHealthyPercent": 100, "maximumPercent": 200},
        }  # fmt: skip
        self.services.append(service)
        return service

    def add_balancer(self, name: str, kind: str, *, internal: bool = False, host: str | None = None) -> str:
        """Add a load balancer with one target group of the service and one listener; return the group's ARN."""
        number = f"{len(self.balancers):016x}"
        balancer = arn("elasticloadbalancing", f"loadbalancer/{kind}/{name}/{number}")
        group = arn("elasticloadbalancing", f"targetgroup/{name}/{number}")
        types = {"app": "application", "net": "network", "gwy": "gateway"}
        self.balancers[balancer] = {
            "LoadBalancerArn": balancer, "Type": types[kind], "DNSName": f"{name}.elb.amazonaws.com",
            "Scheme": "internal" if internal else "internet-facing", "SecurityGroups": [], "VpcId": "vpc-0a1b2c3d",
            "AvailabilityZones": [{"ZoneName": f"{REGION}a", "SubnetId": "subnet-0a1b2c3d"}],
        }  # fmt: skip
        self.groups[group] = {
            "TargetGroupArn": group, "LoadBalancerArns": [balancer], "HealthCheckProtocol": "HTTP",
            "HealthCheckPath": "/health", "Matcher": {"HttpCode": "200"}, "ProtocolVersion": "HTTP1",
        }  # fmt: skip
        protocol, port = {"app": ("HTTP", 80), "net": ("TCP", 443), "gwy": ("GENEVE", 6081)}[kind]
        self.add_listener(balancer, protocol, port, group)
        self.service["loadBalancers"].append({"targetGroupArn": group, "containerName": "web", "containerPort": 80})
        return group

    def add_listener(self, balancer: str, protocol: str, port: int, group: str | None, **more: Any) -> str:
        listener = f"{balancer.replace('loadbalancer', 'listener')}/{port}"
        action: Answer = {"Type": "forward", "TargetGroupArn": group} if group else {"Type": "fixed-response"}
        self.listeners.setdefault(balancer, []).append(
            {"ListenerArn": listener, "Protocol": protocol, "Port": port, "DefaultActions": [action], **more}
        )
        return listener

    def add_rule(
        self, listener: str, group: str, *, hosts: tuple[str, ...] = (), paths: tuple[str, ...] = (), **more: Any
    ) -> None:
        rules = self.rules.setdefault(listener, [])
        conditions: list[Answer] = []
        if hosts:
            conditions.append({"Field": "host-header", "HostHeaderConfig": {"Values": list(hosts)}})
        if paths:
            conditions.append({"Field": "path-pattern", "PathPatternConfig": {"Values": list(paths)}})
        rule = {
            "Priority": str(len(rules) + 1),
            "Conditions": conditions,
            "Actions": [{"Type": "forward", "TargetGroupArn": group}],
        }
        rules.append({**rule, **more})

    @property
    def only_group(self) -> str:
        (group,) = self.groups
        return group

    @property
    def only_balancer(self) -> str:
        (balancer,) = self.balancers
        return balancer

    def without_balancer(self) -> None:
        """Make the service a worker."""
        self.service["loadBalancers"] = []

    # The API

    def call(self, service: str, operation: str, **parameters: Any) -> Answer:
        self.calls.append(operation)
        check_request(service, operation, "the account", **parameters)
        if operation in self.denied:
            raise CallRefused(
                f"{operation} failed: AccessDenied", action=f"{service}:{operation}", kind=RefusalKind.ACCESS
            )
        answer: Callable[..., Answer] = getattr(self, f"_{operation}")
        return answer(**parameters)

    def items(self, service: str, operation: str, member: str, **parameters: Any) -> list[Any]:
        return list(self.call(service, operation, **parameters)[member])

    def _DescribeServices(self, cluster: str, services: list[str], include: object = None) -> Answer:  # noqa: N802
        self._require_cluster(cluster)
        assert len(services) <= 10
        found = [one for one in self.services if {one["serviceName"], one["serviceArn"]} & set(services)]
        return {"services": found, "failures": []}

    def _ListServices(self, cluster: str) -> Answer:  # noqa: N802
        self._require_cluster(cluster)
        return {"serviceArns": [one["serviceArn"] for one in self.services]}

    def _ListClusters(self) -> Answer:  # noqa: N802
        return {"clusterArns": [arn("ecs", f"cluster/{name}") for name in self.clusters]}

    def _DescribeClusters(self, clusters: list[str], include: object) -> Answer:  # noqa: N802
        return {"clusters": [{"clusterName": name, "settings": self.clusters[name]} for name in clusters]}

    def _DescribeTaskDefinition(self, taskDefinition: str) -> Answer:  # noqa: N802, N803
        return {"taskDefinition": self.definitions[taskDefinition]}

    def _ListTaskDefinitions(self, familyPrefix: str, sort: str) -> Answer:  # noqa: N802, N803
        assert sort == "DESC"
        return {"taskDefinitionArns": [one for one in reversed(self.definitions) if f"/{familyPrefix}" in one]}

    def _DescribeTargetGroups(self, TargetGroupArns: list[str]) -> Answer:  # noqa: N802, N803
        if gone := [group for group in TargetGroupArns if group not in self.groups]:
            raise CallRefused(f"TargetGroupNotFound: {gone}", kind=RefusalKind.NOT_FOUND)
        return {"TargetGroups": [self.groups[group] for group in TargetGroupArns]}

    def _DescribeLoadBalancers(self, LoadBalancerArns: list[str]) -> Answer:  # noqa: N802, N803
        return {"LoadBalancers": [self.balancers[balancer] for balancer in LoadBalancerArns]}

    def _DescribeListeners(self, LoadBalancerArn: str) -> Answer:  # noqa: N802, N803
        return {"Listeners": self.listeners[LoadBalancerArn]}

    def _DescribeRules(self, ListenerArn: str) -> Answer:  # noqa: N802, N803
        rules = self.rules.get(ListenerArn, [])
        return {
            "Rules": [*reversed(rules), {"Priority": "default", "IsDefault": True, "Conditions": [], "Actions": []}]
        }

    def _DescribeLogGroups(self, logGroupNamePrefix: str) -> Answer:  # noqa: N802, N803
        groups = {name: kind for name, kind in self.log_groups.items() if name.startswith(logGroupNamePrefix)}
        return {"logGroups": [{"logGroupName": name, "logGroupClass": kind} for name, kind in groups.items()]}

    def _DescribeRepositories(self, registryId: str, repositoryNames: list[str]) -> Answer:  # noqa: N802, N803
        if (repositoryNames[0], registryId) not in self.repositories:
            raise CallRefused("RepositoryNotFoundException", kind=RefusalKind.NOT_FOUND)
        return {"repositories": [{"repositoryName": repositoryNames[0]}]}

    def _DescribeScalableTargets(self, ServiceNamespace: str, ResourceIds: list[str]) -> Answer:  # noqa: N802, N803
        return {"ScalableTargets": self.scalable_targets}

    def _DescribeScalingPolicies(self, ServiceNamespace: str, ResourceId: str) -> Answer:  # noqa: N802, N803
        return {"ScalingPolicies": self.scaling_policies}

    def _DescribeScheduledActions(self, ServiceNamespace: str, ResourceId: str) -> Answer:  # noqa: N802, N803
        return {"ScheduledActions": self.scheduled_actions}

    def _DescribeStackResources(self, PhysicalResourceId: str) -> Answer:  # noqa: N802, N803
        if PhysicalResourceId not in self.owners:
            raise CallRefused("ValidationError: Stack for it does not exist", kind=RefusalKind.REQUEST)
        resource = {"StackName": self.owners[PhysicalResourceId], "PhysicalResourceId": PhysicalResourceId}
        return {"StackResources": [resource, {"StackName": "x", "PhysicalResourceId": "other"}]}

    def _ListStackResources(self, StackName: str) -> Answer:  # noqa: N802, N803
        if StackName not in self.stacks:
            raise CallRefused("ValidationError: Stack does not exist", kind=RefusalKind.REQUEST)
        return {"StackResourceSummaries": self.stacks[StackName]}

    def _GetResources(self, TagFilters: object, ResourceTypeFilters: object) -> Answer:  # noqa: N802, N803
        return {"ResourceTagMappingList": [{"ResourceARN": one} for one in self.tagged]}

    def _require_cluster(self, cluster: str) -> None:
        if cluster not in self.clusters:
            raise CallRefused("ClusterNotFoundException", kind=RefusalKind.NOT_FOUND)
