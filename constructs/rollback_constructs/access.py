"""What each function may do: one role each, by blast radius, on named resources wherever IAM can name them.

`tests/constructs/test_grants.py` compares the grants with what each function's code can call, both ways, and names the
method to add or to take away. Which actions know resources: AWS Service Authorization Reference (Amazon ECS,
CloudWatch, ELB, ECR).
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from aws_cdk import ArnFormat, Stack
from aws_cdk import aws_iam as iam

from rollback_constructs.attachment import Attachment
from rollback_constructs.keys import KeySettings

Grant = list[iam.PolicyStatement]

_NO_KEYS = KeySettings()
_TO_TASKS = {"StringEquals": {"iam:PassedToService": "ecs-tasks.amazonaws.com"}}


@dataclass(frozen=True)
class Access:
    """Policy statements for the services of one environment; empty where the settings name nothing to grant them on.

    Attributes:
        stacks: names of the CloudFormation stacks that deploy the services, as far as the settings name them.
        keys: the team's own KMS keys.
    """

    stack: Stack
    services: tuple[Attachment, ...]
    stacks: tuple[str, ...] = ()
    keys: KeySettings = _NO_KEYS

    def ledger(self, table_arn: str) -> Grant:
        """Read and write items; no scan, nothing about the table itself. A transaction needs what its parts need.

        Which key permissions DynamoDB asks the caller for: DynamoDB developer guide, "Authorizing use of a customer
        managed key".
        """
        items = ("GetItem", "Query", "PutItem", "DeleteItem")
        key = ("Decrypt", "DescribeKey", "Encrypt", "GenerateDataKey", "GenerateDataKeyWithoutPlaintext",
               "ReEncryptFrom", "ReEncryptTo")  # fmt: skip
        return _allow([f"dynamodb:{verb}" for verb in items], [table_arn]) + self._use_keys(
            "dynamodb", self.keys.ledger, *(f"kms:{verb}" for verb in key)
        )

    def leases(self, table_arn: str) -> Grant:
        """Take, renew and give back a lease; save a document on the condition that the lease is held."""
        return _allow(["dynamodb:UpdateItem", "dynamodb:ConditionCheckItem"], [table_arn])

    def ecs_read(self) -> Grant:
        """Describe the services, their deployments, revisions and definitions."""
        services = self._of_service("service")  # IAM asks about the service of a deployment or revision as well
        parts = [*self._of_service("service-deployment", "/*"), *self._of_service("service-revision", "/*"), *services]
        return (
            _allow(["ecs:DescribeServices", "ecs:ListServiceDeployments"], services)
            + _allow(["ecs:DescribeServiceDeployments", "ecs:DescribeServiceRevisions"], parts)
            + _allow(["ecs:DescribeTaskDefinition"], ["*"])  # knows no resources
        )

    def tasks_read(self) -> Grant:
        """List and describe the tasks of the services' clusters."""
        return _allow(["ecs:DescribeTasks"], self._tasks()) + _allow(["ecs:ListTasks"], ["*"], self._in_clusters())

    def service_update(self) -> Grant:
        """Change the services: definition, desired count, deployment configuration."""
        return _allow(["ecs:UpdateService"], self._of_service("service"))

    def deployment_stop(self) -> Grant:
        """Let ECS roll an in-flight deployment back."""
        deployments = [*self._of_service("service-deployment", "/*"), *self._of_service("service")]
        return _allow(["ecs:StopServiceDeployment"], deployments)

    def definition_register(self) -> Grant:
        """Register a definition with the roles that the service's own definitions name, and no others."""
        definitions = [self._ecs("task-definition/*")]
        on_creation = {"StringEquals": {"ecs:CreateAction": "RegisterTaskDefinition"}}
        return (
            _allow(["ecs:RegisterTaskDefinition"], definitions)
            + _allow(["ecs:TagResource"], definitions, on_creation)
            + _allow(["iam:PassRole"], self._roles(), _TO_TASKS)
        )

    def tasks_run(self) -> Grant:
        """Run a release's own commands as a task in the services' clusters, and stop it."""
        return (
            _allow(["ecs:RunTask"], [self._ecs("task-definition/*")], self._in_clusters())
            + _allow(["ecs:StopTask"], self._tasks())
            + _allow(["iam:PassRole"], self._roles(), _TO_TASKS)
        )

    def task_logs(self) -> Grant:
        """What such a task said."""
        groups = dict.fromkeys(self._named("logs", "log-group", f"{s.log_group}:*") for s in self.services)
        return _allow(["logs:GetLogEvents"], groups)

    def clusters_read(self) -> Grant:
        """Whether Container Insights is on."""
        return _allow(["ecs:DescribeClusters"], self._clusters())

    def target_health(self) -> Grant:
        """ELB's describing actions know no resources."""
        return _allow(["elasticloadbalancing:DescribeTargetHealth"], ["*"])

    def listeners(self) -> Grant:
        """Whose else the load balancer is; they know no resources either."""
        return _allow(["elasticloadbalancing:DescribeListeners", "elasticloadbalancing:DescribeRules"], ["*"])

    def mute_rules(self) -> Grant:
        """Whether the team has muted an alarm; the API reference names no resource that the list is asked on."""
        return _allow(["cloudwatch:ListAlarmMuteRules"], ["*"])

    def target_groups(self) -> Grant:
        """Health checks and load balancers of target groups; no resources either."""
        return _allow(["elasticloadbalancing:DescribeTargetGroups"], ["*"])

    def alarm_states(self) -> Grant:
        """Composite alarms are shown only to a permission on everything (CloudWatch API, DescribeAlarms)."""
        return _allow(["cloudwatch:DescribeAlarms"], ["*"])

    def alarm_history(self) -> Grant:
        """When alarms fired; as `alarm_states`."""
        return _allow(["cloudwatch:DescribeAlarmHistory"], ["*"])

    def metrics_read(self) -> Grant:
        """Metric data knows no resources."""
        return _allow(["cloudwatch:GetMetricData"], ["*"])

    def images_read(self) -> Grant:
        """Whether images exist, and their digests."""
        return _allow(["ecr:DescribeImages"], self._repositories())

    def images_labels(self) -> Grant:
        """An image's manifest, and the address of its configuration, in which its labels stand."""
        return _allow(["ecr:BatchGetImage", "ecr:GetDownloadUrlForLayer"], self._repositories())

    def images_tag(self) -> Grant:
        """Put another tag on an image, which takes its manifest."""
        return _allow(["ecr:BatchGetImage", "ecr:PutImage"], self._repositories())

    def stack_states(self) -> Grant:
        """Whether CloudFormation changes the services' stacks at the moment."""
        verbs = ["cloudformation:DescribeStacks", "cloudformation:ListStackResources"]
        ids = [
            name if name.startswith("arn:") else self._arn("cloudformation", f"stack/{name}/*") for name in self.stacks
        ]
        return _allow(verbs, ids)

    def scaling(self) -> Grant:
        """Suspend a service's autoscaling and put it back; describing knows no resources, registering no names."""
        on_ecs = {
            "StringEquals": {
                "application-autoscaling:service-namespace": "ecs",
                "application-autoscaling:scalable-dimension": "ecs:service:DesiredCount",
            }
        }
        targets = self._arn("application-autoscaling", "scalable-target/*")
        return _allow(["application-autoscaling:DescribeScalableTargets"], ["*"]) + _allow(
            ["application-autoscaling:RegisterScalableTarget"], [targets], on_ecs
        )

    def scaling_policies(self) -> Grant:
        """Whether a service is scaled by forecast; describing knows no resources."""
        return _allow(["application-autoscaling:DescribeScalingPolicies"], ["*"])

    def references_exist(self) -> Grant:
        """That roles, log groups and environment files exist, never what they say. Listing groups knows no resource."""
        buckets = dict.fromkeys(bucket for service in self.services for bucket in service.environment_file_buckets)
        named = [f"arn:{self.stack.partition}:s3:::{bucket}" for bucket in buckets]
        return (
            _allow(["iam:GetRole"], self._roles())
            + _allow(["logs:DescribeLogGroups"], ["*"])
            + _allow(["s3:ListBucket"], named)
        )

    def secrets_exist(self) -> Grant:
        """That secrets and parameters exist, never what they say."""
        secrets = self._named("secretsmanager", "secret", "*")
        return _allow(["secretsmanager:DescribeSecret"], [secrets]) + _allow(["ssm:DescribeParameters"], ["*"])

    def secret_read(self, *secret_arns: str | None) -> Grant:
        """The value of those secrets that there are."""
        named = [arn for arn in secret_arns if arn]
        return _allow(["secretsmanager:GetSecretValue"], named) + self._use_keys(
            "secretsmanager", self.keys.secrets if named else (), "kms:Decrypt"
        )

    def secret_write(self, secret_arn: str | None) -> Grant:
        """A new value for a secret: where a recreated branch is to be found."""
        named = [secret_arn] if secret_arn else []
        return _allow(["secretsmanager:PutSecretValue"], named) + self._use_keys(
            "secretsmanager", self.keys.secrets if named else (), "kms:GenerateDataKey"
        )

    def publish(self, *topic_arns: str) -> Grant:
        """Tell people. Keys: SNS developer guide, "Securing Amazon SNS data with server-side encryption"."""
        return _allow(["sns:Publish"], topic_arns) + self._use_keys(
            "sns", self.keys.topics, "kms:Decrypt", "kms:GenerateDataKey"
        )

    def execution_start(self, workflow_name: str) -> Grant:
        """Start the rollback state machine anew."""
        return _allow(["states:StartExecution"], [self._named("states", "stateMachine", workflow_name)])

    def execution_read(self, workflow_name: str) -> Grant:
        """See whether an execution still runs."""
        return _allow(["states:DescribeExecution"], [self._executions(workflow_name)])

    def execution_stop(self, workflow_name: str) -> Grant:
        """Stop the execution of a rollback that was taken over."""
        return _allow(["states:StopExecution"], [self._executions(workflow_name)])

    def service_arns(self) -> dict[str, str]:
        """ARNs as EventBridge's `resources` have them, by what they end with."""
        return {
            f"service/{s.cluster}/{s.ecs_service}": arn
            for s, arn in zip(self.services, self._of_service("service"), strict=True)
        }

    def _use_keys(self, service: str, keys: str | Iterable[str] | None, *actions: str) -> Grant:
        """Use of keys by an AWS service on the caller's behalf, and in no other way."""
        named = [keys] if isinstance(keys, str) else list(keys or ())
        # the suffix differs by partition (AWS KMS developer guide, "kms:ViaService")
        return _allow(list(actions), named, {"StringLike": {"kms:ViaService": f"{service}.{self.stack.region}.*"}})

    def _executions(self, workflow_name: str) -> str:
        return self._named("states", "execution", f"{workflow_name}:*")

    def _of_service(self, kind: str, suffix: str = "") -> list[str]:
        return [self._ecs(f"{kind}/{s.cluster}/{s.ecs_service}{suffix}") for s in self.services]

    def _clusters(self) -> list[str]:
        return list(dict.fromkeys(self._ecs(f"cluster/{service.cluster}") for service in self.services))

    def _in_clusters(self) -> Mapping[str, Any]:
        return {"ArnEquals": {"ecs:cluster": self._clusters()}}

    def _tasks(self) -> list[str]:
        return list(dict.fromkeys(self._ecs(f"task/{service.cluster}/*") for service in self.services))

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


def _allow(actions: list[str], resources: Iterable[str], conditions: Mapping[str, Any] | None = None) -> Grant:
    """Nothing without resources: IAM refuses such a statement."""
    named = list(resources)
    return [iam.PolicyStatement(actions=actions, resources=named, conditions=conditions)] if named else []
