"""`MacroAi<Env>Stack`: the service itself, for teams that have none yet, and for a rebuild from nothing."""

from aws_cdk import CfnOutput, Duration, RemovalPolicy, Stack
from aws_cdk import Environment as CdkEnvironment
from aws_cdk import aws_certificatemanager as acm
from aws_cdk import aws_ec2 as ec2
from aws_cdk import aws_ecr as ecr
from aws_cdk import aws_ecs as ecs
from aws_cdk import aws_elasticloadbalancingv2 as elbv2
from aws_cdk import aws_logs as logs
from aws_cdk import aws_secretsmanager as secretsmanager
from constructs import Construct

from rollback.names import LAST_KNOWN_GOOD
from rollback_constructs.attachment import Attachment
from rollback_constructs.findings.acknowledgements import acknowledge
from rollback_constructs.findings.compliance import acknowledge_by_type
from rollback_constructs.settings.environment import Environment
from rollback_constructs.settings.service import Service, Workload


class ServiceStack(Stack):
    """VPC, cluster, Fargate service behind a load balancer, repository, logs.

    Attributes:
        attachment: description of the service for the rollback stack.
    """

    def __init__(
        self, scope: Construct, id_: str, *, settings: Environment, service: Service, env: CdkEnvironment
    ) -> None:
        if service.workload is None:
            raise ValueError(f"service {service.name!r} has no workload: it exists already, and no stack creates it")
        retain = service.workload.retain
        description = f"ECS service {service.ecs_service} with its network, load balancer, repository and logs"
        super().__init__(scope, id_, env=env, description=description, termination_protection=retain)
        self._service, self._workload = service, service.workload
        self._removal = RemovalPolicy.RETAIN if self._workload.retain else RemovalPolicy.DESTROY
        self._vpc = self._network(settings.availability_zones)
        self._repository = self._images()
        self._definition = self._task()
        fargate = self._run()
        balancer, group = self._balance(fargate)
        scheme = "https" if self._workload.certificate_arn else "http"
        url = f"{scheme}://{balancer.load_balancer_dns_name}"
        task_role, execution_role = self._definition.task_role, self._definition.obtain_execution_role()
        self.attachment = Attachment(
            name=service.name,
            cluster=service.cluster,
            ecs_service=service.ecs_service,
            container=service.container,
            load_balancer=balancer.load_balancer_full_name,
            target_groups=(group.target_group_full_name,),
            task_role_arns=(task_role.role_arn,),
            execution_role_arns=(execution_role.role_arn,),
            environment_file_buckets=service.environment_file_buckets,
            log_group=self._workload.log_group,
            repository=self._repository.repository_name,
            # a certificate is for a domain name of the team, not for the load balancer's
            url=None if self._workload.certificate_arn else url,
            load_balancer_shared=service.shares_balancer,
            error_log_pattern=service.error_log_pattern,
            queues=service.queues,
            extra_alarms=service.extra_alarms,
        )
        CfnOutput(self, "LoadBalancerArn", value=balancer.load_balancer_arn)
        CfnOutput(self, "Url", value=url)
        CfnOutput(self, "RepositoryUri", value=self._repository.repository_uri)
        CfnOutput(self, "ServiceArn", value=fargate.service_arn)
        CfnOutput(self, "TargetGroupArn", value=group.target_group_arn)
        _acknowledge_findings(self)

    def _network(self, zones: tuple[str, ...]) -> ec2.Vpc:
        gateways = self._workload.nat_gateways
        public = ec2.SubnetConfiguration(name="public", subnet_type=ec2.SubnetType.PUBLIC, cidr_mask=24)
        private = ec2.SubnetConfiguration(name="private", subnet_type=ec2.SubnetType.PRIVATE_WITH_EGRESS, cidr_mask=22)
        return ec2.Vpc(
            self,
            "Vpc",
            nat_gateways=gateways,
            subnet_configuration=[public, private] if gateways else [public],
            restrict_default_security_group=False,  # True would add a custom resource with its own Lambda function
            availability_zones=list(zones) or None,
            max_azs=None if zones else 2,
        )

    def _images(self) -> ecr.Repository:
        return ecr.Repository(
            self,
            "Repository",
            repository_name=self._workload.repository,
            image_scan_on_push=True,
            encryption=ecr.RepositoryEncryption.AES_256,
            removal_policy=self._removal,
            lifecycle_rules=[
                # ECR applies the rule with the lowest number first: its count is never reached, so it keeps its images.
                ecr.LifecycleRule(
                    rule_priority=1,
                    description="keep what a rollback may need",
                    tag_status=ecr.TagStatus.TAGGED,
                    tag_prefix_list=[f"{LAST_KNOWN_GOOD}-"],
                    max_image_count=1000,
                ),
                ecr.LifecycleRule(
                    rule_priority=2,
                    description="expire old releases",
                    tag_status=ecr.TagStatus.ANY,
                    max_image_count=self._workload.max_images,
                ),
            ],
        )

    def _task(self) -> ecs.FargateTaskDefinition:
        workload = self._workload
        log_group = logs.LogGroup(
            self,
            "Logs",
            log_group_name=workload.log_group,
            retention=logs.RetentionDays.ONE_MONTH,
            removal_policy=self._removal,
        )
        definition = ecs.FargateTaskDefinition(
            self, "Task", family=workload.family, cpu=workload.cpu, memory_limit_mib=workload.memory_mib
        )
        definition.add_container(
            "Container",
            container_name=self._service.container,
            image=ecs.ContainerImage.from_ecr_repository(self._repository, workload.image_tag),
            port_mappings=[ecs.PortMapping(container_port=workload.port)],
            logging=ecs.LogDrivers.aws_logs(stream_prefix=self._service.name, log_group=log_group),
            environment={"PORT": str(workload.port), **workload.variables},
            secrets=_secrets(self, workload) or None,
        )
        return definition

    def _run(self) -> ecs.FargateService:
        workload = self._workload
        cluster = ecs.Cluster(
            self,
            "Cluster",
            cluster_name=self._service.cluster,
            vpc=self._vpc,
            container_insights_v2=ecs.ContainerInsights.ENABLED,
        )
        place = ec2.SubnetType.PRIVATE_WITH_EGRESS if workload.nat_gateways else ec2.SubnetType.PUBLIC
        return ecs.FargateService(
            self,
            "Service",
            service_name=self._service.ecs_service,
            cluster=cluster,
            task_definition=self._definition,
            desired_count=workload.initial_desired_count,
            assign_public_ip=workload.nat_gateways == 0,
            vpc_subnets=ec2.SubnetSelection(subnet_type=place),
            circuit_breaker=ecs.DeploymentCircuitBreaker(enable=True, rollback=True),
            min_healthy_percent=100,
            max_healthy_percent=200,
            health_check_grace_period=Duration.seconds(workload.health_check_grace_seconds),
        )

    def _balance(
        self, service: ecs.FargateService
    ) -> tuple[elbv2.ApplicationLoadBalancer, elbv2.ApplicationTargetGroup]:
        workload = self._workload
        balancer = elbv2.ApplicationLoadBalancer(
            self, "LoadBalancer", vpc=self._vpc, internet_facing=True, drop_invalid_header_fields=True,
            deletion_protection=workload.retain,
        )  # fmt: skip
        certificate = workload.certificate_arn
        listener = balancer.add_listener(
            "Listener",
            protocol=elbv2.ApplicationProtocol.HTTPS if certificate else elbv2.ApplicationProtocol.HTTP,
            certificates=[acm.Certificate.from_certificate_arn(self, "Certificate", certificate)]
            if certificate
            else None,
            ssl_policy=elbv2.SslPolicy.RECOMMENDED_TLS if certificate else None,
        )
        group = listener.add_targets(
            "Targets",
            port=workload.port,
            protocol=elbv2.ApplicationProtocol.HTTP,
            targets=[service],
            deregistration_delay=Duration.seconds(workload.deregistration_delay_seconds),
            health_check=elbv2.HealthCheck(
                path=workload.health_check_path,
                interval=Duration.seconds(workload.health_check_interval_seconds),
                timeout=Duration.seconds(min(5, workload.health_check_interval_seconds - 1)),
                healthy_threshold_count=2,
                unhealthy_threshold_count=workload.unhealthy_threshold,
            ),
        )
        return balancer, group


def _secrets(scope: Construct, workload: Workload) -> dict[str, ecs.Secret]:
    return {
        name: ecs.Secret.from_secrets_manager(
            secretsmanager.Secret.from_secret_complete_arn(scope, f"Secret{name}", arn)
        )
        for name, arn in workload.secrets.items()
    }


def _acknowledge_findings(stack: Stack) -> None:
    """Acknowledge what the service stack leaves to the account's owner."""
    acknowledge_by_type(stack)
    acknowledge(stack, "Vpc", "VPC7", "the account's owner decides about flow logs")
    acknowledge(
        stack, "Task", "ECS2", "plain variables have no secrets; the task reads secrets from Secrets Manager by ARN"
    )
    acknowledge(
        stack, "Task/ExecutionRole", "IAM5[Resource::*]", "ecr:GetAuthorizationToken has no resource-level permissions"
    )
    acknowledge(stack, "LoadBalancer", "ELB2", "access logs need a bucket of the account; the alarms use metrics")
    acknowledge(stack, "LoadBalancer/SecurityGroup", "EC23", "a public API is open to the public")
