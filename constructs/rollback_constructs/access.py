"""What each function may do: one role each, by blast radius, on named resources wherever IAM can name them.

Which actions know resources: AWS Service Authorization Reference (Amazon ECS, CloudWatch, ELB, ECR).
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from aws_cdk import ArnFormat, Stack
from aws_cdk import aws_iam as iam

from rollback_constructs.attachment import Attachment


@dataclass(frozen=True)
class Access:
    """Policy statements for the services of one environment."""

    stack: Stack
    services: tuple[Attachment, ...]

    def ledger(self, table_arn: str) -> iam.PolicyStatement:
        """Read and write items; no scan, nothing about the table itself."""
        verbs = ("GetItem", "Query", "PutItem", "UpdateItem", "DeleteItem", "ConditionCheckItem")
        return _allow([f"dynamodb:{verb}" for verb in verbs], [table_arn])

    def ecs_reading(self) -> list[iam.PolicyStatement]:
        """Describe the services, their deployments, revisions and tasks."""
        on_service = ["ecs:DescribeServices", "ecs:ListServiceDeployments"]
        on_parts = ["ecs:DescribeServiceDeployments", "ecs:DescribeServiceRevisions"]
        services = self._of_service("service")  # IAM asks about the service of a deployment or revision as well
        parts = [*self._of_service("service-deployment", "/*"), *self._of_service("service-revision", "/*"), *services]
        tasks = [self._ecs(f"task/{service.cluster}/*") for service in self.services]
        clusters = {"ArnEquals": {"ecs:cluster": self._clusters()}}
        return [
            _allow(on_service, services),
            _allow(on_parts, parts),
            _allow(["ecs:DescribeTasks"], tasks),
            _allow(["ecs:ListTasks"], ["*"], clusters),
            _allow(["ecs:DescribeTaskDefinition"], ["*"]),  # knows no resources
        ]

    def service_update(self) -> iam.PolicyStatement:
        """Change the services: definition, desired count, deployment configuration."""
        return _allow(["ecs:UpdateService"], self._of_service("service"))

    def deployment_stop(self) -> iam.PolicyStatement:
        """Let ECS roll an in-flight deployment back."""
        deployments = [*self._of_service("service-deployment", "/*"), *self._of_service("service")]
        return _allow(["ecs:StopServiceDeployment"], deployments)

    def definition_register(self) -> list[iam.PolicyStatement]:
        """Register a definition with the roles that the service's own definitions name, and no others."""
        definitions = [self._ecs("task-definition/*")]
        on_creation = {"StringEquals": {"ecs:CreateAction": "RegisterTaskDefinition"}}
        return [
            _allow(["ecs:RegisterTaskDefinition"], definitions),
            _allow(["ecs:TagResource"], definitions, on_creation),
            _allow(
                ["iam:PassRole"], self._roles(), {"StringEquals": {"iam:PassedToService": "ecs-tasks.amazonaws.com"}}
            ),
        ]

    def target_health(self) -> iam.PolicyStatement:
        """ELB's describing actions know no resources."""
        return _allow(["elasticloadbalancing:DescribeTargetHealth", "elasticloadbalancing:DescribeTargetGroups"], ["*"])

    def listeners(self) -> iam.PolicyStatement:
        """Whose else the load balancer is; they know no resources either."""
        return _allow(["elasticloadbalancing:DescribeListeners", "elasticloadbalancing:DescribeRules"], ["*"])

    def alarm_states(self) -> iam.PolicyStatement:
        """Composite alarms are shown only to a permission on everything (CloudWatch API, DescribeAlarms)."""
        return _allow(["cloudwatch:DescribeAlarms"], ["*"])

    def mute_rules(self) -> iam.PolicyStatement:
        """Whether the team has muted an alarm; its rules have names of their own."""
        return _allow(["cloudwatch:ListAlarmMuteRules"], [self._named("cloudwatch", "alarm-mute-rule", "*")])

    def alarm_evidence(self) -> iam.PolicyStatement:
        """History and metric data: no resources either."""
        verbs = ("DescribeAlarmHistory", "GetMetricData", "GetMetricStatistics")
        return _allow([f"cloudwatch:{verb}" for verb in verbs], ["*"])

    def images_read(self) -> iam.PolicyStatement:
        """Look images up."""
        return _allow(["ecr:DescribeImages", "ecr:BatchGetImage"], self._repositories())

    def images_labels(self) -> iam.PolicyStatement:
        """The address of an image's configuration, in which its labels stand."""
        return _allow(["ecr:GetDownloadUrlForLayer"], self._repositories())

    def images_tag(self) -> iam.PolicyStatement:
        """Put and take away the tags that keep an image. BatchDeleteImage by tag removes the tag, not a used image."""
        return _allow(["ecr:PutImage", "ecr:BatchDeleteImage"], self._repositories())

    def stack_states(self) -> iam.PolicyStatement:
        """Whether CloudFormation changes a stack at the moment; the service may belong to any stack."""
        stacks = self._arn("cloudformation", "stack/*")
        return _allow(["cloudformation:DescribeStacks", "cloudformation:ListStackResources"], [stacks])

    def scaling(self) -> list[iam.PolicyStatement]:
        """Suspend a service's autoscaling and put it back; describing knows no resources, registering no names."""
        on_ecs = {
            "StringEquals": {
                "application-autoscaling:service-namespace": "ecs",
                "application-autoscaling:scalable-dimension": "ecs:service:DesiredCount",
            }
        }
        targets = self._arn("application-autoscaling", "scalable-target/*")
        return [
            _allow(["application-autoscaling:DescribeScalableTargets"], ["*"]),
            _allow(["application-autoscaling:RegisterScalableTarget"], [targets], on_ecs),
        ]

    def clusters_read(self) -> iam.PolicyStatement:
        """Whether Container Insights is on."""
        return _allow(["ecs:DescribeClusters"], self._clusters())

    def secrets_seen(self) -> list[iam.PolicyStatement]:
        """That secrets and parameters exist, never what they say."""
        secrets = self._named("secretsmanager", "secret", "*")
        return [_allow(["secretsmanager:DescribeSecret"], [secrets]), _allow(["ssm:DescribeParameters"], ["*"])]

    def secret_read(self, secret_arns: list[str]) -> iam.PolicyStatement:
        """The value of these secrets; with a key of one's own, its key policy has to let the role decrypt."""
        return _allow(["secretsmanager:GetSecretValue"], secret_arns)

    def secret_write(self, secret_arns: list[str]) -> iam.PolicyStatement:
        """A new value for these secrets: where a recreated branch is to be found."""
        return _allow(["secretsmanager:PutSecretValue"], secret_arns)

    def tasks_run(self) -> list[iam.PolicyStatement]:
        """Run a release's own commands as a task in the services' clusters, and read what it said."""
        definitions, clusters = [self._ecs("task-definition/*")], {"ArnEquals": {"ecs:cluster": self._clusters()}}
        to_tasks = {"StringEquals": {"iam:PassedToService": "ecs-tasks.amazonaws.com"}}
        groups = list(dict.fromkeys(self._named("logs", "log-group", f"{s.log_group}:*") for s in self.services))
        return [
            _allow(["ecs:RunTask"], definitions, clusters),
            _allow(["ecs:StopTask"], [self._ecs(f"task/{service.cluster}/*") for service in self.services]),
            _allow(["iam:PassRole"], self._roles(), to_tasks),
            _allow(["logs:GetLogEvents"], groups),
        ]

    def publish(self, topic_arns: Iterable[str]) -> iam.PolicyStatement:
        """Tell people."""
        return _allow(["sns:Publish"], list(topic_arns))

    def workflow(self, workflow_name: str) -> iam.PolicyStatement:
        """Start the rollback state machine anew, and see whether an execution still runs."""
        machine = self._named("states", "stateMachine", workflow_name)
        executions = self._named("states", "execution", f"{workflow_name}:*")
        return _allow(
            ["states:StartExecution", "states:ListExecutions", "states:DescribeExecution"], [machine, executions]
        )

    def execution_stop(self, workflow_name: str) -> iam.PolicyStatement:
        """Stop the execution of a rollback that was taken over."""
        return _allow(["states:StopExecution"], [self._named("states", "execution", f"{workflow_name}:*")])

    def service_arns(self) -> list[str]:
        """ARNs as EventBridge's `resources` have them."""
        return self._of_service("service")

    def _of_service(self, kind: str, suffix: str = "") -> list[str]:
        return [self._ecs(f"{kind}/{s.cluster}/{s.ecs_service}{suffix}") for s in self.services]

    def _clusters(self) -> list[str]:
        return list(dict.fromkeys(self._ecs(f"cluster/{service.cluster}") for service in self.services))

    def _roles(self) -> list[str]:
        roles = (role for s in self.services for role in (*s.task_role_arns, *s.execution_role_arns))
        return list(dict.fromkeys(roles))

    def _repositories(self) -> list[str]:
        names = dict.fromkeys(service.repository for service in self.services)
        return [self._arn("ecr", f"repository/{name}") for name in names]

    def _ecs(self, resource: str) -> str:
        return self._arn("ecs", resource)

    def _arn(self, service: str, resource: str) -> str:
        return self.stack.format_arn(service=service, resource=resource, arn_format=ArnFormat.NO_RESOURCE_NAME)

    def _named(self, service: str, resource: str, name: str) -> str:
        return self.stack.format_arn(
            service=service, resource=resource, resource_name=name, arn_format=ArnFormat.COLON_RESOURCE_NAME
        )


def _allow(
    actions: list[str], resources: list[str], conditions: Mapping[str, Any] | None = None
) -> iam.PolicyStatement:
    return iam.PolicyStatement(actions=actions, resources=resources, conditions=conditions)
