"""The parts of one environment that watch its services and roll them back, and how they are connected.

`stacks/rollback_stack.py` creates the parts in a stack of their own, `guard.py` in the stack of an app that imports
these constructs.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial

from aws_cdk import Annotations, ArnFormat, CfnOutput, CfnResource, RemovalPolicy, Stack
from aws_cdk import aws_cloudwatch as cloudwatch
from aws_cdk import aws_kms as kms
from constructs import Construct

from rollback.domain.settings.environment import Settings
from rollback.names import degraded_alarm, outage_alarm
from rollback.product_version import product_version
from rollback_constructs import promotion, workflow
from rollback_constructs import release_watch as release_watch_workflow
from rollback_constructs.alarms.database_alarms import DatabaseAlarms
from rollback_constructs.alarms.self_monitoring import (
    ADVICE_ON_PROMOTIONS,
    ADVICE_ON_ROLLBACKS,
    ADVICE_ON_WATCHES,
    SelfMonitoring,
)
from rollback_constructs.alarms.service_alarms import ServiceAlarms
from rollback_constructs.alarms.task_exits import TaskExits
from rollback_constructs.attachment import Attachment
from rollback_constructs.dashboard import RollbackDashboard
from rollback_constructs.drills import Drills
from rollback_constructs.findings.acknowledgements import acknowledge_environment
from rollback_constructs.findings.compliance import acknowledge_by_type
from rollback_constructs.functions.access import Access
from rollback_constructs.functions.bundling import BundleSettings
from rollback_constructs.functions.function_settings import compact
from rollback_constructs.functions.functions import Functions, SharedResources
from rollback_constructs.limits import check_resources
from rollback_constructs.messages.chat import Chat
from rollback_constructs.messages.notifications import Notifications
from rollback_constructs.pipelines.command_grants import CommandGrants, CommandResources
from rollback_constructs.pipelines.github_actions import GitHubActionsRoles
from rollback_constructs.settings.advice import find_advice
from rollback_constructs.settings.environment import Environment
from rollback_constructs.storage.ledger import Ledger
from rollback_constructs.storage.report_bucket import ReportBucket
from rollback_constructs.triggers import Receivers, Triggers
from rollback_constructs.workflow import StateMachine

_MAX_ALARMS_OF_WIDGET = 100  # CloudWatch user guide, "Dashboard body structure", alarm widget


@dataclass(frozen=True)
class EncryptionKeys:
    """Keys of the team's own, by what they encrypt; None: AWS's key. `approvals` is None where nothing waits."""

    ledger: kms.IKey | None
    topics: kms.IKey | None
    logs: kms.IKey | None
    reports: kms.IKey | None
    approvals: kms.IKey | None


class RollbackEnvironment:
    """Creates ledger, alarms, functions, state machines, rules and topics of one environment in a scope.

    It is no construct of its own, so the logical ids are those of the parts in the scope. A newer version of this
    product therefore updates the resources of an older one in place.

    Attributes:
        runtime_settings: settings that the functions read.
        access: statements of IAM policies for the environment's resources.
        ledger, notifications, functions, rollbacks, promotions, triggers: the parts of these names.
        watches: state machine of the watch over fresh releases; None: the watch is turned off.
        reports: bucket of the written accounts; None: they are not stored.
        composite_alarms: name → composite alarm that starts rollbacks.
        commands: statements of IAM policies by command.
    """

    def __init__(
        self,
        scope: Construct,
        *,
        settings: Environment,
        runtime_settings: Settings,
        attachments: tuple[Attachment, ...],
        bundle: BundleSettings,
        output_prefix: str = "",
    ) -> None:
        """Create the parts.

        Args:
            scope: parent of the parts.
            settings: settings of the environment.
            runtime_settings: the settings that the functions read, derived from these.
            attachments: the services, in the order of the settings.
            bundle: platform of the functions' code.
            output_prefix: first part of the names of the stack's outputs; the command knows `""` and `"Rollback"`.
        """
        self._scope, self._settings, self._attachments = scope, settings, attachments
        self.runtime_settings = runtime_settings
        prefix = runtime_settings.prefix
        self._prefix, self._output_prefix = prefix, output_prefix
        self._keys = self._make_keys()
        self.ledger = Ledger(scope, "Ledger", prefix=prefix, settings=settings.ledger, key=self._keys.ledger)
        self.notifications = Notifications(
            scope, "Notifications", prefix=prefix, key=self._keys.topics, recipients=settings.notify or ()
        )
        self.reports = (
            ReportBucket(scope, "Reports", settings=settings.reports, key=self._keys.reports)
            if settings.reports.store
            else None
        )
        chat = self._chat()
        stacks = tuple(dict.fromkeys(service.stack for service in runtime_settings.services if service.stack))
        self.access = Access(Stack.of(scope), attachments, stacks, settings.keys)
        self.functions = self._functions(bundle, chat)
        self.rollbacks = self._rollback_workflow()
        self.promotions = self._promotion_workflow()
        self.watches = self._watch_workflow()
        task_exits = self._task_exits()
        service_alarms = self._service_alarms(task_exits)
        self.composite_alarms = {
            name(prefix, service.name): alarm
            for service, alarms in zip(attachments, service_alarms, strict=True)
            for name, alarm in ((degraded_alarm, alarms.degraded), (outage_alarm, alarms.outage))
        }
        self.triggers = self._triggers(self.composite_alarms)
        if task_exits is not None:
            task_exits.log_failures(self._exit_counters, settings.triggers, self.triggers.dead_letters)
        self._drills()
        monitoring = self._self_monitoring()
        database_alarms = self._database_alarms()
        RollbackDashboard(
            scope,
            "Dashboard",
            prefix=prefix,
            application=runtime_settings.application,
            environment=runtime_settings.environment,
            services=attachments,
            alarms=[*self.composite_alarms.values(), *monitoring.alarms, *database_alarms][:_MAX_ALARMS_OF_WIDGET],
            promotions=self.promotions.machine,
            has_database=self._is_database_observed,
        )
        self.commands = self._command_grants()
        self._pipeline_roles()
        self._outputs(service_alarms)
        resources = sum(isinstance(part, CfnResource) for part in Stack.of(scope).node.find_all())
        check_resources(resources, runtime_settings.environment, len(attachments))
        for advice in find_advice(settings, runtime_settings.environment):
            Annotations.of(scope).add_warning_v2(advice.id, advice.text)
        acknowledge_by_type(scope)
        acknowledge_environment(scope, attachments, self._workflow_name, stacks)

    def _make_keys(self) -> EncryptionKeys:
        arns = self._settings.keys
        keys = {name: self._import_key(name, getattr(arns, name)) for name in ("ledger", "topics", "logs", "reports")}
        return EncryptionKeys(**keys, approvals=self._approvals_key(arns.approvals))

    def _approvals_key(self, arn: str | None) -> kms.IKey | None:
        """Return the key of task tokens; None where no rollback can need an approval."""
        if not self.runtime_settings.can_need_approval:
            return None
        if arn is not None:
            return self._import_key("approvals", arn)
        environment = self.runtime_settings.environment
        return kms.Key(
            self._scope,
            "ApprovalsKey",
            description=f"Encrypts the task tokens of rollbacks of {environment} that wait for an approval",
            enable_key_rotation=True,
            removal_policy=RemovalPolicy.DESTROY,  # a token outlives its execution for no purpose
        )

    def _import_key(self, name: str, arn: str | None) -> kms.IKey | None:
        return kms.Key.from_key_arn(self._scope, f"{name.title()}Key", arn) if arn is not None else None

    def _chat(self) -> Chat | None:
        if not self.runtime_settings.chat.has_chatbot:
            return None
        return Chat(
            self._scope,
            "Chat",
            prefix=self._prefix,
            settings=self.runtime_settings.chat,
            critical=self.notifications.critical,
            key=self._keys.topics,
        )

    @property
    def _workflow_name(self) -> str:
        return f"{self._prefix}-rollback"

    def _functions(self, bundle: BundleSettings, chat: Chat | None) -> Functions:
        approvals_key, reports = self._keys.approvals, self.reports
        return Functions(
            self._scope,
            "Functions",
            settings=self.runtime_settings,
            function_settings=self._settings.functions,
            bundle=bundle,
            access=self.access,
            shared=SharedResources(
                table_arn=self.ledger.table.table_arn,
                table_name=self.ledger.table.table_name,
                topic_arn=self.notifications.rollbacks.topic_arn,
                critical_topic_arn=self.notifications.critical.topic_arn,
                chat_topic_arn=chat.topic.topic_arn if chat is not None else None,
                workflow_name=self._workflow_name,
                # Built from the name: the state machine refers to the function, so a reference back would be a cycle.
                workflow_arn=Stack.of(self._scope).format_arn(
                    service="states",
                    resource="stateMachine",
                    resource_name=self._workflow_name,
                    arn_format=ArnFormat.COLON_RESOURCE_NAME,
                ),
                retain_logs=self._settings.ledger.retain,
                log_key=self._keys.logs,
                approvals_key_arn=approvals_key.key_arn if approvals_key is not None else None,
                report_bucket_arn=reports.bucket.bucket_arn if reports is not None else None,
                report_bucket_name=reports.bucket.bucket_name if reports is not None else None,
            ),
        )

    def _rollback_workflow(self) -> StateMachine:
        functions = self.functions
        return StateMachine(
            self._scope,
            "Workflow",
            name=self._workflow_name,
            definition=workflow.definition(
                self._settings.workflow_timeout_minutes,
                has_database=functions.database is not None,
                has_approvals=functions.approve is not None,
            ),
            functions={
                "DecideFunction": functions.decide,
                "ServiceFunction": functions.service,
                "ReportFunction": functions.report,
                **({"DatabaseFunction": functions.database} if functions.database is not None else {}),
            },
            retain_logs=self._settings.ledger.retain,
            log_key=self._keys.logs,
        )

    def _promotion_workflow(self) -> StateMachine:
        policy = self.runtime_settings.policy
        return StateMachine(
            self._scope,
            "Promotion",
            name=f"{self._prefix}-promotion",
            definition=promotion.definition(policy.bake_timeout_minutes + policy.bake_minutes),
            functions={promotion.PROMOTE_FUNCTION: self.functions.promote},
            retain_logs=self._settings.ledger.retain,
            log_key=self._keys.logs,
        )

    def _watch_workflow(self) -> StateMachine | None:
        release_watch = self.runtime_settings.release_watch
        if not release_watch.is_on:
            return None
        return StateMachine(
            self._scope,
            "ReleaseWatch",
            name=f"{self._prefix}-release-watch",
            definition=release_watch_workflow.definition(release_watch.watch_minutes),
            functions={promotion.PROMOTE_FUNCTION: self.functions.promote},
            retain_logs=self._settings.ledger.retain,
            log_key=self._keys.logs,
        )

    def _service_alarms(self, exits: TaskExits | None) -> list[ServiceAlarms]:
        return [
            ServiceAlarms(
                self._scope,
                f"Alarms-{service.name}",
                prefix=self._prefix,
                environment=self.runtime_settings.environment,
                service=service,
                settings=self._settings.alarms,
                task_exits=exits.log_group if exits is not None else None,
            )
            for service in self._attachments
        ]

    def _task_exits(self) -> TaskExits | None:
        """Create the log of failed tasks; None: no service counts them."""
        if not self._exit_counters:
            return None
        retain, key = self._settings.ledger.retain, self._keys.logs
        return TaskExits(self._scope, "TaskExits", prefix=self._prefix, retain=retain, key=key)

    @property
    def _exit_counters(self) -> tuple[Attachment, ...]:
        """Services whose failed tasks an alarm counts."""
        alarms = self._settings.alarms
        return tuple(s for s in self._attachments if alarms.max_task_exits(is_worker=s.is_worker) is not None)

    def _triggers(self, composite_alarms: Mapping[str, cloudwatch.CompositeAlarm]) -> Triggers:
        functions = self.functions
        return Triggers(
            self._scope,
            "Triggers",
            prefix=self._prefix,
            application=self.runtime_settings.application,
            environment=self.runtime_settings.environment,
            settings=self._settings.triggers,
            receivers=Receivers(
                self.rollbacks.machine,
                self.promotions.machine,
                functions.report,
                functions.promote,
                functions.database,
                self.watches.machine if self.watches is not None else None,
            ),
            alarms=composite_alarms,
            service_arns=self.access.service_arns(),
            critical=self.notifications.critical,
        )

    def _drills(self) -> None:
        Drills(
            self._scope,
            "Drills",
            settings=self.runtime_settings,
            machine=self.rollbacks.machine,
            dead_letters=self.triggers.dead_letters,
            event_age_minutes=self._settings.triggers.event_age_minutes,
            janitor_minutes=self._settings.triggers.janitor_minutes,
            critical=self.notifications.critical,
        )

    def _self_monitoring(self) -> SelfMonitoring:
        monitoring = SelfMonitoring(
            self._scope,
            "Watch",
            prefix=self._prefix,
            application=self.runtime_settings.application,
            environment=self.runtime_settings.environment,
            services=self.runtime_settings.service_names,
            settings=self._settings.watch,
            janitor_minutes=self._settings.triggers.janitor_minutes,
            critical=self.notifications.critical,
        )
        monitoring.watch_state_machine("Workflow", self.rollbacks.machine, self._workflow_name, ADVICE_ON_ROLLBACKS)
        monitoring.watch_state_machine(
            "Promotion", self.promotions.machine, f"{self._prefix}-promotion", ADVICE_ON_PROMOTIONS
        )
        if self.watches is not None:
            monitoring.watch_state_machine(
                "ReleaseWatch", self.watches.machine, f"{self._prefix}-release-watch", ADVICE_ON_WATCHES
            )
        for function in self.functions.all:
            monitoring.watch_function(function)
        return monitoring

    @property
    def _is_database_observed(self) -> bool:
        database = self.runtime_settings.database
        return database is not None and database.branch_id is not None

    def _database_alarms(self) -> list[cloudwatch.Alarm]:
        database = self.runtime_settings.database
        if database is None or not self._is_database_observed:
            return []
        return DatabaseAlarms(
            self._scope,
            "DatabaseAlarms",
            prefix=self._prefix,
            application=self.runtime_settings.application,
            environment=self.runtime_settings.environment,
            database=database,
            settings=self._settings.database_alarms,
            janitor_minutes=self._settings.triggers.janitor_minutes,
            critical=self.notifications.critical,
        ).alarms

    def _command_grants(self) -> CommandGrants:
        approve, reports = self.functions.approve, self.reports
        resources = CommandResources(
            stack_name=Stack.of(self._scope).stack_name,
            table_arn=self.ledger.table.table_arn,
            workflow_name=self._workflow_name,
            approve_name=approve.function_name if approve is not None else None,
            report_bucket_arn=reports.bucket.bucket_arn if reports is not None else None,
        )
        return CommandGrants(self.access, self.runtime_settings, resources)

    def _pipeline_roles(self) -> None:
        if self._settings.github_actions is None:
            return
        GitHubActionsRoles(
            self._scope,
            "GitHubActions",
            github=self._settings.github_actions,
            environment=self.runtime_settings.environment,
            commands=self.commands,
        )

    def _outputs(self, service_alarms: list[ServiceAlarms]) -> None:
        """Write the stack's outputs; the command reads them, so that it and the functions can't disagree."""
        output = partial(_output, self._scope, self._output_prefix)
        output("Settings", compact(self.runtime_settings))
        output("Version", product_version())
        output("WorkflowArn", self.rollbacks.machine.state_machine_arn)
        output("PromotionArn", self.promotions.machine.state_machine_arn)
        if self.functions.approve is not None:  # IAM decides who may invoke it: docs/approval.md
            output("ApproveFunctionName", self.functions.approve.function_name)
        output("LedgerTable", self.ledger.table.table_name)
        output("TopicArn", self.notifications.rollbacks.topic_arn)
        output("CriticalTopicArn", self.notifications.critical.topic_arn)
        if self.reports is not None:
            output("ReportBucket", self.reports.bucket.bucket_name)
        output("DegradedAlarms", ",".join(service.degraded.alarm_name for service in service_alarms))
        output("OutageAlarms", ",".join(service.outage.alarm_name for service in service_alarms))


def _output(scope: Construct, prefix: str, name: str, value: str) -> None:
    """Create an output with the name that the command reads, whatever the scope."""
    CfnOutput(scope, name, value=value).override_logical_id(f"{prefix}{name}")
