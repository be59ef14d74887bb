"""An app with a Fargate service of its own, which a RollbackGuard rolls back. Deploy it with `cdk deploy`."""

from typing import Any

import aws_cdk as cdk
from aws_cdk import aws_ec2 as ec2
from aws_cdk import aws_ecr as ecr
from aws_cdk import aws_ecs as ecs
from aws_cdk import aws_elasticloadbalancingv2 as elbv2
from constructs import Construct

from rollback_constructs.guard import RollbackGuard


class ShopStack(cdk.Stack):
    """The shop's API behind a load balancer, and its guard."""

    def __init__(self, scope: Construct, id_: str, **options: Any) -> None:
        super().__init__(scope, id_, **options)
        vpc = ec2.Vpc(self, "Vpc", max_azs=2, nat_gateways=1)
        cluster = ecs.Cluster(self, "Cluster", vpc=vpc, container_insights_v2=ecs.ContainerInsights.ENABLED)
        task = ecs.FargateTaskDefinition(self, "Task")
        repository = ecr.Repository.from_repository_name(self, "Repository", "shop-api")
        image = ecs.ContainerImage.from_ecr_repository(repository, "v1.0.0")
        log = ecs.LogDrivers.aws_logs(stream_prefix="api")
        task.add_container("api", image=image, port_mappings=[ecs.PortMapping(container_port=3040)], logging=log)
        service = ecs.FargateService(self, "Service", cluster=cluster, task_definition=task)
        balancer = elbv2.ApplicationLoadBalancer(self, "Balancer", vpc=vpc, internet_facing=True)
        health = elbv2.HealthCheck(path="/health", interval=cdk.Duration.seconds(5), timeout=cdk.Duration.seconds(4))
        balancer.add_listener("Http", port=80).add_targets("Api", port=80, targets=[service], health_check=health)
        site = {"base_url": f"http://{balancer.load_balancer_dns_name}", "endpoints": [{"path": "/health"}]}
        guard = RollbackGuard(self, "Guard", service=service, application="shop", policy={"mode": "act"}, **site)
        guard.metric_recovery_seconds().create_alarm(self, "SlowRecovery", threshold=900, evaluation_periods=1)


app = cdk.App()
ShopStack(app, "Shop")
app.synth()
