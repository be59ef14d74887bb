"""Permissions of each function: one role each, by blast radius, on named resources where IAM supports that.

`tests/constructs/test_grants.py` compares the grants with the calls that each function's code can make, both ways. It
names the method to add or to remove. Source for actions with resource-level permissions: AWS Service Authorization
Reference (Amazon ECS, CloudWatch, ELB, ECR).
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from aws_cdk import ArnFormat, Stack, Token
from aws_cdk import aws_iam as iam

from rollback_constructs.attachment import Attachment
from rollback_constructs.storage.keys import KeySettings

Grant = list[iam.PolicyStatement]

_NO_KEYS = KeySettings()
# KMS developer guide, "kms:EncryptionContextKeys": only with this context, and no other.
_FOR_A_ROLLBACK = {"ForAllValues:StringEquals": {"kms:EncryptionContextKeys": ["rollback_id"]},
                   "Null": {"kms:EncryptionContextKeys": "false"}}  # fmt: skip
_TO_TASKS = {"StringEquals": {"iam:PassedToService": "ecs-tasks.amazonaws.com"}}


@dataclass(frozen=True)
class Access:
    """Policy statements for the services of one environment; empty where the settings name no resource.

    Attributes:
        stack: stack that gets the policies.
        services: services of the environment.
        stacks: names of the CloudFormation stacks that deploy the services, as far as the settings name them.
        keys: the team's own KMS keys.
    """

    stack: Stack
    services: tuple[Attachment, ...]
    stacks: tuple[str, ...] = ()
    keys: KeySettings = _NO_KEYS

    def outputs_read(self, stack_name: str) -> Grant:
        """Read the outputs of a stack: the command finds its environment in them."""
        return _allow(["cloudformation:DescribeStacks"], [self._arn("cloudformation", f"stack/{stack_name}/*")])

    def ledger_read(self, table_arn: str) -> Grant:
        """Read items of the ledger by their keys."""
        return _allow(["dynamodb:GetItem"], [table_arn]) + self._use_keys("dynamodb", self.keys.ledger, "kms:Decrypt")

    def ledger_query(self, table_arn: str) -> Grant:
        """Read the items of a partition; besides `ledger_read`."""
        return _allow(["dynamodb:Query"], [table_arn])

    def ledger_notes(self, table_arn: str, *partitions: str) -> Grant:
        """Write items of the named partitions alone, as `approval_items` does; besides `ledger_read`."""
        keys = {"ForAllValues:StringLike": {"dynamodb:LeadingKeys": list(partitions)}}
        return _allow(["dynamodb:PutItem"], [table_arn], {**keys, "Null": {"dynamodb:LeadingKeys": "false"}})

    def reports_read(self, bucket_arn: str | None) -> Grant:
        """Read stored reports."""
        return _allow(["s3:GetObject"], [f"{bucket_arn}/*"] if bucket_arn else []) + self._use_keys(
            "s3", self.keys.reports if bucket_arn else None, "kms:Decrypt"
        )

    def ledger(self, table_arn: str) -> Grant:
        """Read and write items, without Scan and without changing the table.

        A transaction needs the permissions of its parts. Source of the key permissions: DynamoDB developer guide,
        "Authorizing use of a customer managed key".
        """
        items = ("GetItem", "Query", "PutItem", "DeleteItem")
        key = ("Decrypt", "DescribeKey", "Encrypt", "GenerateDataKey", "GenerateDataKeyWithoutPlaintext",
               "ReEncryptFrom", "ReEncryptTo")  # fmt: skip
        return _allow([f"dynamodb:{verb}" for verb in items], [table_arn]) + self._use_keys(
            "dynamodb", self.keys.ledger, *(f"kms:{verb}" for verb in key)
        )

    def leases(self, table_arn: str) -> Grant:
        """Acquire, renew and release a lease; save a document on the condition that the lease is held."""
        return _allow(["dynamodb:UpdateItem", "dynamodb:ConditionCheckItem"], [table_arn])

    def lease_check(self, table_arn: str) -> Grant:
        """Write an item on the condition that no rollback took the lease."""
        return _allow(["dynamodb:ConditionCheckItem"], [table_arn])

    def approval_items(self, table_arn: str) -> Grant:
        """Read the services' items, and write the items of approvals alone.

        A condition on the partition keys holds the function to them: DynamoDB developer guide, "Using IAM policy
        conditions for fine-grained access control".
        """

        def on(*keys: str) -> Mapping[str, Any]:
            return {"ForAllValues:StringLike": {"dynamodb:LeadingKeys": list(keys)}}

        services, approvals = [f"SERVICE#{service.name}" for service in self.services], "APPROVAL#*"
        key = ("Decrypt", "DescribeKey", "Encrypt", "GenerateDataKey", "GenerateDataKeyWithoutPlaintext",
               "ReEncryptFrom", "ReEncryptTo")  # fmt: skip
        return (
            _allow(["dynamodb:GetItem"], [table_arn], on(*services, approvals))
            + _allow(["dynamodb:PutItem", "dynamodb:DeleteItem"], [table_arn], on(approvals))
            + self._use_keys("dynamodb", self.keys.ledger, *(f"kms:{verb}" for verb in key))
        )

    def token_encrypt(self, *key_arns: str) -> Grant:
        """Encrypt task tokens of waiting executions."""
        return _allow(["kms:Encrypt"], key_arns, _FOR_A_ROLLBACK)

    def token_decrypt(self, *key_arns: str) -> Grant:
        """Decrypt task tokens of waiting executions."""
        return _allow(["kms:Decrypt"], key_arns, _FOR_A_ROLLBACK)

    def execution_wake(self) -> Grant:
        """Wake an execution that waits under a token; only the token names the execution.

        Service Authorization Reference, "Actions defined by AWS Step Functions": SendTaskSuccess has no resource type.
        """
        return _allow(["states:SendTaskSuccess"], ["*"])

    def ecs_read(self) -> Grant:
        """Describe the services, their deployments, revisions and definitions."""
        services = self._of_service("service")  # IAM checks the service of a deployment or revision too
        parts = [*self._of_service("service-deployment", "/*"), *self._of_service("service-revision", "/*"), *services]
        return (
            _allow(["ecs:DescribeServices", "ecs:ListServiceDeployments"], services)
            + _allow(["ecs:DescribeServiceDeployments", "ecs:DescribeServiceRevisions"], parts)
            + _allow(["ecs:DescribeTaskDefinition"], ["*"])  # no resource-level permissions
        )

    def tasks_read(self) -> Grant:
        """List and describe the tasks of the services' clusters."""
        return _allow(["ecs:DescribeTasks"], self._tasks()) + _allow(["ecs:ListTasks"], ["*"], self._in_clusters())

    def service_update(self) -> Grant:
        """Change the services: definition, desired count, deployment configuration."""
        return _allow(["ecs:UpdateService"], self._of_service("service"))

    def deployment_stop(self) -> Grant:
        """Let ECS roll back a deployment in flight."""
        deployments = [*self._of_service("service-deployment", "/*"), *self._of_service("service")]
        return _allow(["ecs:StopServiceDeployment"], deployments)

    def definition_register(self) -> Grant:
        """Register a definition that names only the roles of the service's own definitions."""
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
        """Read the logs of a task that ran a release's own commands."""
        names = [service.log_group for service in self.services if service.log_group is not None]
        groups = dict.fromkeys(self._named("logs", "log-group", f"{name}:*") for name in names)
        return _allow(["logs:GetLogEvents"], groups)

    def clusters_read(self) -> Grant:
        """Read whether Container Insights is on."""
        return _allow(["ecs:DescribeClusters"], self._clusters())

    def target_health(self) -> Grant:
        """Read the health of targets; ELB's Describe actions have no resource-level permissions."""
        return _allow(["elasticloadbalancing:DescribeTargetHealth"], ["*"])

    def listeners(self) -> Grant:
        """Read which other services the load balancer has; no resource-level permissions."""
        return _allow(["elasticloadbalancing:DescribeListeners", "elasticloadbalancing:DescribeRules"], ["*"])

    def mute_rules(self) -> Grant:
        """Read whether the team has muted an alarm; the API reference names no resource for ListAlarmMuteRules."""
        return _allow(["cloudwatch:ListAlarmMuteRules"], ["*"])

    def target_groups(self) -> Grant:
        """Read health checks and load balancers of target groups; no resource-level permissions."""
        return _allow(["elasticloadbalancing:DescribeTargetGroups"], ["*"])

    def alarm_states(self) -> Grant:
        """Read alarm states; composite alarms need a permission on `*` (CloudWatch API, DescribeAlarms)."""
        return _allow(["cloudwatch:DescribeAlarms"], ["*"])

    def alarm_history(self) -> Grant:
        """Read when alarms fired; needs a permission on `*`, as `alarm_states` does."""
        return _allow(["cloudwatch:DescribeAlarmHistory"], ["*"])

    def metrics_read(self) -> Grant:
        """Read metrics; GetMetricData has no resource-level permissions."""
        return _allow(["cloudwatch:GetMetricData"], ["*"])

    def images_read(self) -> Grant:
        """Read whether images exist, and their digests.

        The policy of another account's repository has to allow the same calls (Amazon ECR user guide, "Private
        repository policies").
        """
        return _allow(["ecr:DescribeImages"], self._repositories())

    def image_labels(self) -> Grant:
        """Read an image's manifest, and the URL of its configuration, which has its labels."""
        return _allow(["ecr:BatchGetImage", "ecr:GetDownloadUrlForLayer"], self._repositories())

    def images_tag(self) -> Grant:
        """Put another tag on an image, which needs its manifest; only in repositories of this account."""
        return _allow(["ecr:BatchGetImage", "ecr:PutImage"], self._own_repositories())

    def stack_states(self) -> Grant:
        """Read whether CloudFormation is changing the services' stacks."""
        verbs = ["cloudformation:DescribeStacks", "cloudformation:ListStackResources"]
        ids = [
            name if name.startswith("arn:") else self._arn("cloudformation", f"stack/{name}/*") for name in self.stacks
        ]
        return _allow(verbs, ids)

    def scaling(self) -> Grant:
        """Suspend a service's autoscaling and restore it.

        DescribeScalableTargets has no resource-level permissions; RegisterScalableTarget has ids, but no names.
        """
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

    def scaling_read(self) -> Grant:
        """Read the bounds of a service's autoscaling; no resource-level permissions."""
        return _allow(["application-autoscaling:DescribeScalableTargets"], ["*"])

    def scaling_policies(self) -> Grant:
        """Read whether a service has predictive scaling; no resource-level permissions."""
        return _allow(["application-autoscaling:DescribeScalingPolicies"], ["*"])

    def references_exist(self) -> Grant:
        """Check that roles, log groups and environment files exist, without reading them.

        DescribeLogGroups has no resource-level permissions.
        """
        buckets = dict.fromkeys(bucket for service in self.services for bucket in service.environment_file_buckets)
        bucket_arns = [f"arn:{self.stack.partition}:s3:::{bucket}" for bucket in buckets]
        return (
            _allow(["iam:GetRole"], self._roles())
            + _allow(["logs:DescribeLogGroups"], ["*"])
            + _allow(["s3:ListBucket"], bucket_arns)
        )

    def secrets_exist(self) -> Grant:
        """Check that secrets and parameters exist, without reading their values."""
        secrets = self._named("secretsmanager", "secret", "*")
        return _allow(["secretsmanager:DescribeSecret"], [secrets]) + _allow(["ssm:DescribeParameters"], ["*"])

    def secret_read(self, *secret_arns: str | None) -> Grant:
        """Read the values of the secrets that the settings name."""
        arns = [arn for arn in secret_arns if arn]
        return _allow(["secretsmanager:GetSecretValue"], arns) + self._use_keys(
            "secretsmanager", self.keys.secrets if arns else (), "kms:Decrypt"
        )

    def secret_write(self, secret_arn: str | None) -> Grant:
        """Write a secret: the connection URI of a recreated branch."""
        arns = [secret_arn] if secret_arn else []
        return _allow(["secretsmanager:PutSecretValue"], arns) + self._use_keys(
            "secretsmanager", self.keys.secrets if arns else (), "kms:GenerateDataKey"
        )

    def publish(self, *topic_arns: str) -> Grant:
        """Publish messages. Keys: SNS developer guide, "Securing Amazon SNS data with server-side encryption"."""
        return _allow(["sns:Publish"], topic_arns) + self._use_keys(
            "sns", self.keys.topics, "kms:Decrypt", "kms:GenerateDataKey"
        )

    def function_invoke(self, function_name: str) -> Grant:
        """Invoke another function of the environment."""
        return _allow(["lambda:InvokeFunction"], [self._named("lambda", "function", function_name)])

    def reports(self, bucket_arn: str | None) -> Grant:
        """Store and read reports. A link that a function signs has the permissions of its role."""
        objects = [f"{bucket_arn}/*"] if bucket_arn else []
        return _allow(["s3:PutObject", "s3:GetObject"], objects) + self._use_keys(
            "s3", self.keys.reports if bucket_arn else None, "kms:Decrypt", "kms:GenerateDataKey"
        )

    def events_put(self, source: str) -> Grant:
        """Put events of our own source on the default bus.

        Condition: EventBridge user guide, "Using IAM policy conditions", `events:source`.
        """
        bus = self.stack.format_arn(service="events", resource="event-bus", resource_name="default")
        return _allow(["events:PutEvents"], [bus], {"StringEquals": {"events:source": source}})

    def execution_start(self, workflow_name: str) -> Grant:
        """Start an execution of the rollback state machine."""
        return _allow(["states:StartExecution"], [self._named("states", "stateMachine", workflow_name)])

    def execution_read(self, workflow_name: str) -> Grant:
        """Read whether an execution is running."""
        return _allow(["states:DescribeExecution"], [self._executions(workflow_name)])

    def execution_stop(self, workflow_name: str) -> Grant:
        """Stop the execution of a rollback that another rollback took over."""
        return _allow(["states:StopExecution"], [self._executions(workflow_name)])

    def service_arns(self) -> dict[str, str]:
        """Map `service/<cluster>/<name>` to the service's ARN, as `resources` of an event has it."""
        return {
            f"service/{s.cluster}/{s.ecs_service}": arn
            for s, arn in zip(self.services, self._of_service("service"), strict=True)
        }

    def _use_keys(self, service: str, keys: str | Iterable[str] | None, *actions: str) -> Grant:
        """Allow an AWS service to use keys on the caller's behalf, and no other use."""
        key_arns = [keys] if isinstance(keys, str) else list(keys or ())
        # the suffix differs by partition (AWS KMS developer guide, "kms:ViaService")
        return _allow(list(actions), key_arns, {"StringLike": {"kms:ViaService": f"{service}.{self.stack.region}.*"}})

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
        names = [name for s in self.services for name in (s.repository, *s.sidecar_repositories) if name is not None]
        return [
            name if name.startswith("arn:") else self._arn("ecr", f"repository/{name}") for name in dict.fromkeys(names)
        ]

    def _own_repositories(self) -> list[str]:
        """Return the repositories of this account: a tag that keeps an image is no other team's to bear."""
        accounts = {self.stack.account, *(role.split(":")[4] for role in self._roles() if role.startswith("arn:"))}
        return [arn for arn in self._repositories() if arn.split(":")[4] in accounts or Token.is_unresolved(arn)]

    def _ecs(self, resource: str) -> str:
        return self._arn("ecs", resource)

    def _arn(self, service: str, resource: str) -> str:
        return self.stack.format_arn(service=service, resource=resource, arn_format=ArnFormat.NO_RESOURCE_NAME)

    def _named(self, service: str, resource: str, name: str) -> str:
        return self.stack.format_arn(
            service=service, resource=resource, resource_name=name, arn_format=ArnFormat.COLON_RESOURCE_NAME
        )


def _allow(actions: list[str], resources: Iterable[str], conditions: Mapping[str, Any] | None = None) -> Grant:
    """Make a statement; none without resources, which IAM would refuse."""
    arns = list(resources)
    return [iam.PolicyStatement(actions=actions, resources=arns, conditions=conditions)] if arns else []
