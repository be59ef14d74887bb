"""`MacroAi<Env>RollbackStack`: watches and rolls back the services of an environment, whichever tool deploys them."""

from aws_cdk import ArnFormat, CfnOutput, CfnResource, RemovalPolicy, Stack
from aws_cdk import Environment as CdkEnvironment
from aws_cdk import aws_kms as kms
from constructs import Construct

from rollback.domain.settings.environment import Settings
from rollback.names import degraded_alarm, outage_alarm
from rollback_constructs import promotion, workflow
from rollback_constructs.alarms import ServiceAlarms
from rollback_constructs.attachment import Attachment
from rollback_constructs.chat import Chat
from rollback_constructs.dashboard import RollbackDashboard
from rollback_constructs.database_alarms import DatabaseAlarms
from rollback_constructs.drills import Drills
from rollback_constructs.functions.access import Access
from rollback_constructs.functions.bundling import BundleSettings
from rollback_constructs.functions.function_settings import compact
from rollback_constructs.functions.functions import Functions, SharedResources
from rollback_constructs.ledger import Ledger
from rollback_constructs.limits import check_resources
from rollback_constructs.notifications import Notifications
from rollback_constructs.pipelines.github_actions import GitHubActionsRoles, PipelineResources
from rollback_constructs.report_bucket import ReportBucket
from rollback_constructs.self_monitoring import ADVICE_ON_PROMOTIONS, ADVICE_ON_ROLLBACKS, SelfMonitoring
from rollback_constructs.settings.environment import Environment
from rollback_constructs.triggers import Receivers, Triggers
from rollback_constructs.workflow import StateMachine

_MAX_ALARMS_OF_WIDGET = 100  # CloudWatch user guide, "Dashboard body structure", alarm widget


class RollbackStack(Stack):
    """Ledger, alarms, functions, state machines, rules and topics of one environment."""

    def __init__(
        self,
        scope: Construct,
        id_: str,
        *,
        settings: Environment,
        runtime_settings: Settings,
        attachments: tuple[Attachment, ...],
        bundle: BundleSettings,
        env: CdkEnvironment,
    ) -> None:
        super().__init__(
            scope,
            id_,
            env=env,
            description=f"Rolls the services of {runtime_settings.environment} back to their last known good releases",
            termination_protection=settings.ledger.retain,
        )
        prefix = runtime_settings.prefix
        keys = {name: self._key(name, getattr(settings.keys, name)) for name in ("ledger", "topics", "logs", "reports")}
        ledger = Ledger(self, "Ledger", prefix=prefix, settings=settings.ledger, key=keys["ledger"])
        notifications = Notifications(self, "Notifications", prefix=prefix, key=keys["topics"])
        reports = self._reports(settings, keys["reports"])
        chat = (
            Chat(
                self,
                "Chat",
                prefix=prefix,
                settings=runtime_settings.chat,
                critical=notifications.critical,
                key=keys["topics"],
            )
            if runtime_settings.chat.has_chatbot
            else None
        )
        stacks = tuple(dict.fromkeys(service.stack for service in runtime_settings.services if service.stack))
        access = Access(self, attachments, stacks, settings.keys)
        workflow_name = f"{prefix}-rollback"
        approvals_key = self._approvals_key(settings.keys.approvals, runtime_settings)
        functions = Functions(
            self,
            "Functions",
            settings=runtime_settings,
            function_settings=settings.functions,
            bundle=bundle,
            access=access,
            shared=SharedResources(
                table_arn=ledger.table.table_arn,
                table_name=ledger.table.table_name,
                topic_arn=notifications.rollbacks.topic_arn,
                critical_topic_arn=notifications.critical.topic_arn,
                chat_topic_arn=chat.topic.topic_arn if chat is not None else None,
                workflow_name=workflow_name,
                # Built from the name: the state machine refers to the function, so a reference back would be a cycle.
                workflow_arn=self.format_arn(
                    service="states",
                    resource="stateMachine",
                    resource_name=workflow_name,
                    arn_format=ArnFormat.COLON_RESOURCE_NAME,
                ),
                retain_logs=settings.ledger.retain,
                log_key=keys["logs"],
                approvals_key_arn=approvals_key.key_arn if approvals_key is not None else None,
                report_bucket_arn=reports.bucket.bucket_arn if reports is not None else None,
                report_bucket_name=reports.bucket.bucket_name if reports is not None else None,
            ),
        )
        rollbacks = StateMachine(
            self,
            "Workflow",
            name=workflow_name,
            definition=workflow.definition(
                settings.workflow_timeout_minutes,
                has_database=functions.database is not None,
                has_approvals=functions.approve is not None,
            ),
            functions={
                "DecideFunction": functions.decide,
                "ServiceFunction": functions.service,
                "ReportFunction": functions.report,
                **({"DatabaseFunction": functions.database} if functions.database is not None else {}),
            },
            retain_logs=settings.ledger.retain,
            log_key=keys["logs"],
        )
        promotions = StateMachine(
            self,
            "Promotion",
            name=f"{prefix}-promotion",
            definition=promotion.definition(
                runtime_settings.policy.bake_timeout_minutes + runtime_settings.policy.bake_minutes
            ),
            functions={promotion.PROMOTE_FUNCTION: functions.promote},
            retain_logs=settings.ledger.retain,
            log_key=keys["logs"],
        )
        alarms = [
            ServiceAlarms(
                self,
                f"Alarms-{service.name}",
                prefix=prefix,
                environment=runtime_settings.environment,
                service=service,
                settings=settings.alarms,
            )
            for service in attachments
        ]
        composite_alarms = {
            name(prefix, service.name): alarm
            for service, service_alarms in zip(attachments, alarms, strict=True)
            for name, alarm in ((degraded_alarm, service_alarms.degraded), (outage_alarm, service_alarms.outage))
        }
        triggers = Triggers(
            self,
            "Triggers",
            prefix=prefix,
            application=runtime_settings.application,
            environment=runtime_settings.environment,
            settings=settings.triggers,
            receivers=Receivers(
                rollbacks.machine, promotions.machine, functions.report, functions.promote, functions.database
            ),
            alarms=composite_alarms,
            service_arns=access.service_arns(),
            critical=notifications.critical,
        )
        Drills(
            self,
            "Drills",
            settings=runtime_settings,
            machine=rollbacks.machine,
            dead_letters=triggers.dead_letters,
            event_age_minutes=settings.triggers.event_age_minutes,
            janitor_minutes=settings.triggers.janitor_minutes,
            critical=notifications.critical,
        )
        monitoring = SelfMonitoring(
            self,
            "Watch",
            prefix=prefix,
            application=runtime_settings.application,
            environment=runtime_settings.environment,
            services=runtime_settings.service_names,
            settings=settings.watch,
            janitor_minutes=settings.triggers.janitor_minutes,
            critical=notifications.critical,
        )
        monitoring.watch_state_machine("Workflow", rollbacks.machine, workflow_name, ADVICE_ON_ROLLBACKS)
        monitoring.watch_state_machine("Promotion", promotions.machine, f"{prefix}-promotion", ADVICE_ON_PROMOTIONS)
        for function in functions.all:
            monitoring.watch_function(function)
        database = runtime_settings.database
        is_observed = database is not None and database.branch_id is not None
        database_alarms = (
            DatabaseAlarms(
                self,
                "DatabaseAlarms",
                prefix=prefix,
                application=runtime_settings.application,
                environment=runtime_settings.environment,
                database=database,
                settings=settings.database_alarms,
                janitor_minutes=settings.triggers.janitor_minutes,
                critical=notifications.critical,
            ).alarms
            if database is not None and is_observed
            else []
        )
        RollbackDashboard(
            self,
            "Dashboard",
            prefix=prefix,
            application=runtime_settings.application,
            environment=runtime_settings.environment,
            services=attachments,
            alarms=[*composite_alarms.values(), *monitoring.alarms, *database_alarms][:_MAX_ALARMS_OF_WIDGET],
            promotions=promotions.machine,
            has_database=is_observed,
        )
        if settings.github_actions is not None:
            GitHubActionsRoles(
                self,
                "GitHubActions",
                github=settings.github_actions,
                settings=runtime_settings,
                access=access,
                resources=PipelineResources(
                    table_arn=ledger.table.table_arn,
                    workflow_name=workflow_name,
                    approve_name=functions.approve.function_name if functions.approve is not None else None,
                    report_bucket_arn=reports.bucket.bucket_arn if reports is not None else None,
                ),
            )
        # The command reads the settings here, so that it and the functions can't disagree.
        CfnOutput(self, "Settings", value=compact(runtime_settings))
        CfnOutput(self, "WorkflowArn", value=rollbacks.machine.state_machine_arn)
        CfnOutput(self, "PromotionArn", value=promotions.machine.state_machine_arn)
        if functions.approve is not None:  # IAM decides who may invoke it: docs/approval.md
            CfnOutput(self, "ApproveFunctionName", value=functions.approve.function_name)
        CfnOutput(self, "LedgerTable", value=ledger.table.table_name)
        CfnOutput(self, "TopicArn", value=notifications.rollbacks.topic_arn)
        CfnOutput(self, "CriticalTopicArn", value=notifications.critical.topic_arn)
        if reports is not None:
            CfnOutput(self, "ReportBucket", value=reports.bucket.bucket_name)
        CfnOutput(self, "DegradedAlarms", value=",".join(service.degraded.alarm_name for service in alarms))
        CfnOutput(self, "OutageAlarms", value=",".join(service.outage.alarm_name for service in alarms))
        resources = sum(isinstance(part, CfnResource) for part in self.node.find_all())
        check_resources(resources, runtime_settings.environment, len(attachments))

    def _approvals_key(self, arn: str | None, settings: Settings) -> kms.IKey | None:
        """Return the key of task tokens; None where no rollback can need an approval."""
        if not settings.can_need_approval:
            return None
        if arn is not None:
            return self._key("approvals", arn)
        return kms.Key(
            self,
            "ApprovalsKey",
            description=f"Encrypts the task tokens of rollbacks of {settings.environment} that wait for an approval",
            enable_key_rotation=True,
            removal_policy=RemovalPolicy.DESTROY,  # a token outlives its execution for no purpose
        )

    def _reports(self, settings: Environment, key: kms.IKey | None) -> ReportBucket | None:
        return ReportBucket(self, "Reports", settings=settings.reports, key=key) if settings.reports.store else None

    def _key(self, name: str, arn: str | None) -> kms.IKey | None:
        return kms.Key.from_key_arn(self, f"{name.title()}Key", arn) if arn is not None else None
