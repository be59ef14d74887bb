"""The Lambda functions: one code asset and one role each, by blast radius."""

import math
from dataclasses import dataclass
from itertools import chain

from aws_cdk import Annotations, Duration, RemovalPolicy
from aws_cdk import aws_ec2 as ec2
from aws_cdk import aws_iam as iam
from aws_cdk import aws_kms as kms
from aws_cdk import aws_lambda as lambda_
from aws_cdk import aws_logs as logs
from constructs import Construct

from rollback.domain.settings.database import DatabaseSettings
from rollback.domain.settings.environment import (
    APPROVALS_KEY_VARIABLE,
    CHAT_TOPIC_VARIABLE,
    CRITICAL_TOPIC_VARIABLE,
    LEDGER_TABLE_VARIABLE,
    NOTIFICATION_TOPIC_VARIABLE,
    REPORT_BUCKET_VARIABLE,
    SETTINGS_VARIABLE,
    WORKFLOW_VARIABLE,
    Settings,
)
from rollback.names import database_function, event_source
from rollback_constructs.functions.access import Access, Grant
from rollback_constructs.functions.bundling import BundleSettings, code_asset
from rollback_constructs.functions.function_settings import FunctionSettings, VpcPlacement, check_variables, compact
from rollback_constructs.limits import check_name_length

# Functions that call the service's endpoints; `tests/constructs/test_grants.py` derives them from the call graph.
PROBING = frozenset({"report", "promote"})
_SECONDS = 60
# An emergency waits for the service function: importing the X-Ray SDK would add 140 ms of processor time (decision 40).
_WITHOUT_TRACES = {"POWERTOOLS_TRACE_DISABLED": "true"}
_DECISION_SECONDS = 30  # a person waits for the answer
_IN_VPC = "service-role/AWSLambdaVPCAccessExecutionRole"


@dataclass(frozen=True)
class SharedResources:
    """Resources that the functions use besides the service, and settings of their logs."""

    table_arn: str
    table_name: str
    topic_arn: str
    critical_topic_arn: str
    workflow_name: str
    workflow_arn: str
    retain_logs: bool = False
    chat_topic_arn: str | None = None
    log_key: kms.IKey | None = None
    approvals_key_arn: str | None = None
    report_bucket_arn: str | None = None
    report_bucket_name: str | None = None


class Functions(Construct):
    """Creates `decide`, `service`, `report` and `promote`; `database` and `approve`, where needed."""

    def __init__(
        self,
        scope: Construct,
        id_: str,
        *,
        settings: Settings,
        function_settings: FunctionSettings,
        bundle: BundleSettings,
        access: Access,
        shared: SharedResources,
    ) -> None:
        super().__init__(scope, id_)
        self._settings, self._function_settings, self._bundle, self._shared = (
            settings,
            function_settings,
            bundle,
            shared,
        )
        github = settings.github
        self._signs = github is not None and github.app is not None
        table, workflow, database = shared.table_arn, shared.workflow_name, settings.database
        events_put = access.events_put(event_source(settings.application))
        read_grants = [access.ledger(table), access.ecs_read(), access.tasks_read()]
        step_grants = [*read_grants, events_put]
        labels = [access.image_labels()] if settings.reads_labels else []
        approvals_key = shared.approvals_key_arn
        approval_variables = {APPROVALS_KEY_VARIABLE: approvals_key} if approvals_key else {}
        self.decide = self._function(
            "decide",
            [
                *step_grants,
                *labels,
                access.images_read(),
                access.leases(table),
                access.alarm_states(),
                access.mute_rules(),
                access.metrics_read(),
                access.target_groups(),
                access.target_health(),
                access.stack_states(),
                access.scaling_read(),  # a dry run lists what would change
                *([access.scaling_policies()] if database else []),
                access.execution_stop(workflow),
                access.publish(shared.topic_arn, shared.critical_topic_arn),  # a request for an approval
                *(self._waiting(access) if approvals_key else []),
            ],
            variables=approval_variables,
        )
        self.service = self._function(
            "service",
            [
                *step_grants,
                access.leases(table),
                access.service_update(),
                access.deployment_stop(),
                access.definition_register(),
                access.scaling(),
                access.target_groups(),
                access.target_health(),
                access.alarm_states(),
                access.mute_rules(),
                access.images_read(),  # a drill of an emergency: whether a tag still names the image that runs
                access.stack_states(),
                access.execution_stop(workflow),
            ],
            seconds=math.ceil(settings.policy.act_timeout_seconds),
            variables=_WITHOUT_TRACES,
        )
        self.report = self._function(
            "report",
            [
                *step_grants,
                access.leases(table),
                access.service_update(),
                access.scaling(),
                access.target_groups(),
                access.target_health(),
                access.alarm_states(),
                access.reports(shared.report_bucket_arn),
                access.alarm_history(),  # whether an alarm without a rollback was ever OK
                access.metrics_read(),  # error lines, and the requests beside them
                access.stack_states(),
                access.publish(*filter(None, (shared.topic_arn, shared.critical_topic_arn, shared.chat_topic_arn))),
                access.execution_start(workflow),
                access.execution_read(workflow),
                access.secret_read(
                    database.api_key_secret_arn if database else None,
                    github.secret_arn if github else None,
                    *settings.chat.secret_arns,
                ),
                *([access.function_invoke(database_function(settings.prefix))] if database else []),
                *([access.tasks_run()] if settings.runs_smoke_tasks else []),
                *([access.task_logs()] if self._report_reads_task_logs(database) else []),
            ],
            variables={
                WORKFLOW_VARIABLE: shared.workflow_arn,
                **({REPORT_BUCKET_VARIABLE: shared.report_bucket_name} if shared.report_bucket_name else {}),
                **({CHAT_TOPIC_VARIABLE: shared.chat_topic_arn} if shared.chat_topic_arn is not None else {}),
            },
        )
        self.promote = self._function(
            "promote",
            [
                *read_grants,
                *labels,
                access.lease_check(table),
                access.images_read(),
                access.definition_register(),
                access.images_tag(),
                access.alarm_states(),
                access.alarm_history(),
                access.metrics_read(),
                access.target_health(),
                access.listeners(),
                access.target_groups(),
                access.clusters_read(),
                access.scaling_policies(),
                access.references_exist(),
                access.secrets_exist(),
                *([access.function_invoke(database_function(settings.prefix))] if database else []),
                *([access.execution_start(workflow)] if settings.release_watch.is_on else []),
            ],
            variables={WORKFLOW_VARIABLE: shared.workflow_arn} if settings.release_watch.is_on else {},
        )
        self.database = self._database(database, step_grants, access) if database is not None else None
        self.approve = (
            self._function(
                "approve",
                [access.approval_items(table), access.token_decrypt(approvals_key), access.execution_wake()],
                seconds=_DECISION_SECONDS,
                variables=approval_variables,
            )
            if approvals_key
            else None
        )

    @property
    def all(self) -> tuple[lambda_.Function, ...]:
        """All functions of the environment."""
        functions = (self.decide, self.service, self.report, self.promote, self.database, self.approve)
        return tuple(function for function in functions if function is not None)

    def _database(self, database: DatabaseSettings, read_grants: list[Grant], access: Access) -> lambda_.Function:
        """Create the only function that runs SQL; it stops writers, and restarts readers after a change of data."""
        secret = database.connection_secret_arn
        return self._function(
            "database",
            [
                *read_grants,
                access.images_read(),
                access.leases(self._shared.table_arn),
                access.service_update(),
                access.scaling(),
                access.stack_states(),  # a deployment by CloudFormation's own rollback is no newer release
                access.secret_read(database.api_key_secret_arn, secret),
                access.secret_write(secret),
                *([access.tasks_run(), access.task_logs()] if self._runs_tasks(database) else []),
            ],
            seconds=math.ceil(self._settings.policy.database_timeout_seconds),
        )

    def _report_reads_task_logs(self, database: DatabaseSettings | None) -> bool:
        """Return whether Conclude follows down-migrations, or Verify a smoke command."""
        return self._settings.runs_smoke_tasks or (database is not None and bool(database.down_command))

    def _waiting(self, access: Access) -> list[Grant]:
        """Return the grants to wait for an approval under a task token."""
        shared = self._shared
        return [
            access.token_encrypt(shared.approvals_key_arn or ""),
            access.execution_wake(),
        ]

    def _runs_tasks(self, database: DatabaseSettings | None) -> bool:
        """Return whether commands run as ECS tasks, for down migrations or to renew or prove connections."""
        runs_down_migrations = database is not None and bool(database.down_command)
        return runs_down_migrations or self._settings.runs_connection_tasks

    def _function(
        self,
        name: str,
        grants: list[Grant],
        *,
        seconds: int = _SECONDS,
        variables: dict[str, str] | None = None,
    ) -> lambda_.Function:
        full_name = check_name_length("function", f"{self._settings.prefix}-rollback-{name}")
        place = self._function_settings.probes_in_vpc if name in PROBING else None
        log_group = logs.LogGroup(
            self,
            f"{name.title()}Logs",
            log_group_name=f"/aws/lambda/{full_name}",
            retention=_retention(self._function_settings.log_retention_days),
            removal_policy=RemovalPolicy.RETAIN if self._shared.retain_logs else RemovalPolicy.DESTROY,
            encryption_key=self._shared.log_key,
        )
        role = iam.Role(
            self,
            f"{name.title()}Role",
            assumed_by=iam.ServicePrincipal("lambda.amazonaws.com"),
            description=f"Permissions of the Lambda function {full_name}",
        )
        if place is not None:  # Lambda requires it; the CDK adds it only to roles that it creates
            role.add_managed_policy(iam.ManagedPolicy.from_aws_managed_policy_name(_IN_VPC))
        for statement in chain.from_iterable(grants):
            role.add_to_policy(statement)
        log_group.grant_write(role)
        vpc, groups = self._network(name, place)
        all_variables = {
            SETTINGS_VARIABLE: compact(self._settings),
            LEDGER_TABLE_VARIABLE: self._shared.table_name,
            NOTIFICATION_TOPIC_VARIABLE: self._shared.topic_arn,
            CRITICAL_TOPIC_VARIABLE: self._shared.critical_topic_arn,
            "POWERTOOLS_SERVICE_NAME": full_name,
            "POWERTOOLS_METRICS_NAMESPACE": f"{self._settings.prefix}/rollback",
            "POWERTOOLS_LOG_LEVEL": self._function_settings.log_level,
            **(variables or {}),
        }
        check_variables(full_name, all_variables, self._settings.prefix)
        return lambda_.Function(
            self,
            name.title(),
            function_name=full_name,
            handler=f"rollback.handlers.{name}",
            code=code_asset(self, self._bundle, name, signs=self._signs),
            runtime=self._bundle.runtime,
            architecture=self._bundle.architecture,
            memory_size=self._function_settings.memory_of(name),
            timeout=Duration.seconds(seconds),
            role=role,
            log_group=log_group,
            tracing=lambda_.Tracing.ACTIVE,
            reserved_concurrent_executions=self._function_settings.reserved_concurrency.of(name),
            environment=all_variables,
            vpc=vpc,
            security_groups=groups,
        )

    def _network(
        self, name: str, place: VpcPlacement | None
    ) -> tuple[ec2.IVpc | None, list[ec2.ISecurityGroup] | None]:
        if place is None:
            return None, None
        vpc = ec2.Vpc.from_vpc_attributes(
            self,
            f"{name.title()}Vpc",
            vpc_id=place.vpc_id,
            availability_zones=list(place.availability_zones),
            private_subnet_ids=list(place.private_subnet_ids),
        )
        # The functions' network interfaces need subnets; nothing here adds a route.
        Annotations.of(vpc).acknowledge_warning("@aws-cdk/aws-ec2:noSubnetRouteTableId", "no route is added")
        groups = [
            ec2.SecurityGroup.from_security_group_id(self, f"{name.title()}Group{index}", group)
            for index, group in enumerate(place.security_group_ids)
        ]
        return vpc, groups


def _retention(days: int) -> logs.RetentionDays:
    names = {
        1: "ONE_DAY", 3: "THREE_DAYS", 5: "FIVE_DAYS", 7: "ONE_WEEK", 14: "TWO_WEEKS", 30: "ONE_MONTH",
        60: "TWO_MONTHS", 90: "THREE_MONTHS", 180: "SIX_MONTHS", 365: "ONE_YEAR",
    }  # fmt: skip
    return logs.RetentionDays[names[days]]
