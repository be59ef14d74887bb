"""`MacroAi<Env>RollbackStack`: everything that watches services and rolls them back, attached to any that exist."""

from aws_cdk import ArnFormat, CfnOutput, Stack
from aws_cdk import Environment as CdkEnvironment
from constructs import Construct

from rollback.model.settings import Settings
from rollback_constructs import promotion, workflow
from rollback_constructs.access import Access
from rollback_constructs.alarms import ServiceAlarms
from rollback_constructs.attachment import Attachment
from rollback_constructs.bundling import BundleSettings
from rollback_constructs.function_settings import compact
from rollback_constructs.functions import Functions, Outside
from rollback_constructs.ledger import Ledger
from rollback_constructs.notifications import Notifications
from rollback_constructs.triggers import Receivers, Triggers
from rollback_constructs.watch import Watch
from rollback_constructs.workflow import StateMachine
from stacks.environment import Environment


class RollbackStack(Stack):
    """Ledger, alarms, functions, state machines, rules and topics of one environment."""

    def __init__(
        self,
        scope: Construct,
        id_: str,
        *,
        settings: Environment,
        run_time: Settings,
        attachments: tuple[Attachment, ...],
        bundle: BundleSettings,
        env: CdkEnvironment,
    ) -> None:
        super().__init__(scope, id_, env=env, description=f"Rolls back the services of {run_time.environment}")
        prefix = run_time.prefix
        ledger = Ledger(self, "Ledger", prefix=prefix, settings=settings.ledger)
        notifications = Notifications(self, "Notifications", prefix=prefix)
        access = Access(self, attachments)
        workflow_name = f"{prefix}-rollback"
        functions = Functions(
            self,
            "Functions",
            settings=run_time,
            function_settings=settings.functions,
            bundle=bundle,
            access=access,
            outside=Outside(
                table_arn=ledger.table.table_arn,
                table_name=ledger.table.table_name,
                topic_arn=notifications.rollbacks.topic_arn,
                critical_topic_arn=notifications.critical.topic_arn,
                workflow_name=workflow_name,
                # by name: the state machine refers to the function, which could not refer back
                workflow_arn=self.format_arn(
                    service="states",
                    resource="stateMachine",
                    resource_name=workflow_name,
                    arn_format=ArnFormat.COLON_RESOURCE_NAME,
                ),
            ),
        )
        rollbacks = StateMachine(
            self,
            "Workflow",
            name=workflow_name,
            definition=workflow.definition(
                settings.workflow_timeout_minutes, has_database=functions.database is not None
            ),
            functions={
                "DecideFunction": functions.decide,
                "ServiceFunction": functions.service,
                "ReportFunction": functions.report,
                **({"DatabaseFunction": functions.database} if functions.database is not None else {}),
            },
        )
        promotions = StateMachine(
            self,
            "Promotion",
            name=f"{prefix}-promotion",
            definition=promotion.definition(run_time.policy.bake_timeout_minutes + run_time.policy.bake_minutes),
            functions={promotion.PROMOTE_FUNCTION: functions.promote},
        )
        alarms = [
            ServiceAlarms(self, f"Alarms-{service.name}", prefix=prefix, service=service, settings=settings.alarms)
            for service in attachments
        ]
        Triggers(
            self,
            "Triggers",
            prefix=prefix,
            settings=settings.triggers,
            receivers=Receivers(
                rollbacks.machine, promotions.machine, functions.report, functions.promote, functions.database
            ),
            alarms=[composite for service in alarms for composite in (service.degraded, service.outage)],
            service_arns=access.service_arns(),
            critical=notifications.critical,
        )
        watch = Watch(
            self,
            "Watch",
            prefix=prefix,
            application=run_time.application,
            environment=run_time.environment,
            services=run_time.service_names,
            settings=settings.watch,
            janitor_minutes=settings.triggers.janitor_minutes,
            critical=notifications.critical,
        )
        watch.machine("Workflow", rollbacks.machine, workflow_name)
        watch.machine("Promotion", promotions.machine, f"{prefix}-promotion")
        for function in functions.all:
            watch.function(function)
        # The command line reads it, so that it and the functions can't disagree.
        CfnOutput(self, "Settings", value=compact(run_time))
        CfnOutput(self, "WorkflowArn", value=rollbacks.machine.state_machine_arn)
        CfnOutput(self, "PromotionArn", value=promotions.machine.state_machine_arn)
        CfnOutput(self, "LedgerTable", value=ledger.table.table_name)
        CfnOutput(self, "TopicArn", value=notifications.rollbacks.topic_arn)
        CfnOutput(self, "CriticalTopicArn", value=notifications.critical.topic_arn)
        CfnOutput(self, "DegradedAlarms", value=",".join(service.degraded.alarm_name for service in alarms))
        CfnOutput(self, "OutageAlarms", value=",".join(service.outage.alarm_name for service in alarms))
