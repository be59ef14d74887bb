"""`RollbackGuard`: rolls an ECS service of an importing app back to its last known good release.

`docs/construct-library.md` has the properties in a table, and examples.
"""

import re
from collections.abc import Iterable, Mapping, Sequence
from functools import reduce
from typing import Any, Unpack

import jsii
from aws_cdk import Annotations, Duration, Stack, Token
from aws_cdk import aws_cloudwatch as cloudwatch
from aws_cdk import aws_dynamodb as dynamodb
from aws_cdk import aws_ecs as ecs
from aws_cdk import aws_iam as iam
from aws_cdk import aws_sns as sns
from aws_cdk import aws_stepfunctions as sfn
from constructs import Construct, IValidation

from rollback.domain.approval.policy import ApprovalPolicy
from rollback.domain.request import RollbackType
from rollback.domain.settings.chat import ChatSettings
from rollback.domain.settings.database import DatabaseSettings
from rollback.domain.settings.drills import DrillSettings
from rollback.domain.settings.environment import Settings
from rollback.domain.settings.github import GitHubSettings
from rollback.domain.settings.policy import Policy
from rollback.domain.settings.release_watch import ReleaseWatchSettings
from rollback.names import degraded_alarm, outage_alarm
from rollback_constructs.alarms.database_alarms import DatabaseAlarmSettings
from rollback_constructs.alarms.self_monitoring import WatchSettings
from rollback_constructs.alarms.service_alarms import AlarmSettings
from rollback_constructs.attachment import to_attachment
from rollback_constructs.functions.access import Grant
from rollback_constructs.functions.bundling import BundleSettings
from rollback_constructs.functions.function_settings import FunctionSettings
from rollback_constructs.guarded_service import PROP_OF_SETTING, RollbackService, ServiceProps, to_plain
from rollback_constructs.metrics import Phase, RollbackMetrics
from rollback_constructs.pipelines.github_actions import GitHubActionsSettings
from rollback_constructs.rollback_environment import RollbackEnvironment
from rollback_constructs.settings.aws_names import partition_of
from rollback_constructs.settings.environment import ENVIRONMENT_NAME, Configuration, InvalidSettings
from rollback_constructs.settings.tokens import TokenStandIns
from rollback_constructs.storage.keys import KeySettings
from rollback_constructs.storage.ledger import LedgerSettings
from rollback_constructs.storage.report_bucket import ReportSettings
from rollback_constructs.triggers import TriggerSettings

OUTPUT_PREFIX = "Rollback"
# Context that the embedded cloud and the command line give to every app, as they do to `app.py`.
_CONTEXT_KEYS = ("rollback:overrides", "rollback:bundle_platform", "rollback:bundle_python", "rollback:clock_scale")
_MISSING = re.compile(r"^(?P<path>[\w.]*?(?P<setting>\w+)) is missing; the setting has no default$")


@jsii.implements(IValidation)
class _AttachedTargetGroups:
    """Compares a service's target groups at synthesis with those that the guard has seen."""

    def __init__(self, path: str, services: Sequence[RollbackService], seen: Sequence[int]) -> None:
        self._path, self._services, self._seen = path, services, seen

    def validate(self) -> list[str]:
        """Return a line for each service that got another target group later."""
        return [
            f"{self._path}: {service.settings['name']} got a target group after the guard was created, which the guard "
            "does not watch; create the guard behind the load balancer's listeners"
            for service, seen in zip(self._services, self._seen, strict=True)
            if service.target_groups_now() != seen
        ]


class RollbackGuard(Construct):
    """Alarms, functions, state machines, ledger and topics that roll services back, in the stack of an importing app.

    A stack has one guard, since the command reads the guard's outputs (`Rollback…`) from it. Name the stack with the
    variable ROLLBACK_STACK or the option `--stack`.

    Attributes:
        settings: settings that the functions read; strings may be tokens.
        metrics: metrics that the functions write.
    """

    def __init__(
        self,
        scope: Construct,
        id_: str,
        *,
        service: ecs.BaseService | RollbackService,
        application: str,
        environment: str = "production",
        more_services: Sequence[RollbackService] = (),
        policy: Policy | Mapping[str, Any] | None = None,
        approval: ApprovalPolicy | Mapping[str, Any] | None = None,
        alarms: AlarmSettings | Mapping[str, Any] | None = None,
        database: DatabaseSettings | Mapping[str, Any] | None = None,
        drills: DrillSettings | Mapping[str, Any] | None = None,
        github: GitHubSettings | Mapping[str, Any] | None = None,
        github_actions: GitHubActionsSettings | Mapping[str, Any] | None = None,
        chat: ChatSettings | Mapping[str, Any] | None = None,
        notify: Sequence[str | Mapping[str, Any]] | None = None,
        release_watch: ReleaseWatchSettings | Mapping[str, Any] | None = None,
        triggers: TriggerSettings | Mapping[str, Any] | None = None,
        watch: WatchSettings | Mapping[str, Any] | None = None,
        database_alarms: DatabaseAlarmSettings | Mapping[str, Any] | None = None,
        functions: FunctionSettings | Mapping[str, Any] | None = None,
        ledger: LedgerSettings | Mapping[str, Any] | None = None,
        keys: KeySettings | Mapping[str, Any] | None = None,
        reports: ReportSettings | Mapping[str, Any] | None = None,
        workflow_timeout_minutes: float | None = None,
        bundle: BundleSettings | Mapping[str, Any] | None = None,
        **service_props: Unpack[ServiceProps],
    ) -> None:
        """Create everything that watches the services and rolls them back.

        A property that is a model of settings takes a mapping too, with the names and limits of `cdk.json`. A wrong
        mapping is told together with all other wrong properties; a model refuses wrong values itself. In mappings,
        constructs stand for their ARNs (secrets, keys, roles) or names (buckets, log groups).

        Args:
            scope: parent of the construct; its stack may be in a Stage.
            id_: id of the construct in its scope.
            service: the ECS service: a construct of this app, or `RollbackService.from_attributes(…)`.
            application: first part of the names of all AWS resources, with `environment`: one guard of an account and
                region has both.
            environment: name of the environment, as the command takes it. Default: `production`.
            more_services: other services of the environment, such as those that write to the same database. Default:
                none.
            policy: limits and options of rollbacks; begin with `{"mode": "observe"}`. Default: those of `Policy`.
            approval: rollbacks that wait for an approval. Default: those of a database.
            alarms: limits beyond which a service is degraded or has an outage. Default: those of `AlarmSettings`.
            database: the Neon database of the services. Default: none, and only services are rolled back.
            drills: rehearsals of rollbacks. Default: no schedule.
            github: repository that gets statuses and issues. Default: none.
            github_actions: roles for jobs of GitHub Actions. Default: none.
            chat: messages to Slack, Teams or another chat. Default: none.
            notify: recipients of pages, such as `mailto:oncall@example.com`. Default: none, and synth warns.
            release_watch: watch over fresh releases. Default: ten minutes, a look every ten seconds.
            triggers: delivery of events, and the interval of the janitor. Default: those of `TriggerSettings`.
            watch: alarms on the rollback system itself. Default: those of `WatchSettings`.
            database_alarms: alarms on the database. Default: those of `DatabaseAlarmSettings`.
            functions: memory, logs and network of the functions. Default: those of `FunctionSettings`.
            ledger: table of releases and rollbacks. Default: it is retained when the stack is deleted.
            keys: the team's own KMS keys. Default: AWS's keys.
            reports: bucket of the written reports. Default: they are stored.
            workflow_timeout_minutes: limit of one execution of Step Functions. Default: 360.
            bundle: platform of the functions. Default: arm64, Python 3.13.
            **service_props: properties of `service` that can't be read from it; see `ServiceProps`. Those of
                `RollbackService` are given to it instead.

        Raises:
            InvalidSettings: properties are wrong, a line each; nothing of them is created.
            LimitExceeded: the environment is too large for a stack or for a function's variables.
        """
        super().__init__(scope, id_)
        self._stack = Stack.of(self)
        services, problems = self._describe_services(service, more_services, service_props)
        given = {
            "policy": policy, "approval": approval, "alarms": alarms, "database": database, "drills": drills,
            "github": github, "github_actions": github_actions, "chat": chat, "notify": notify,
            "release_watch": release_watch, "triggers": triggers,
            "watch": watch, "database_alarms": database_alarms, "functions": functions, "ledger": ledger, "keys": keys,
            "reports": reports, "workflow_timeout_minutes": workflow_timeout_minutes,
        }  # fmt: skip
        self._services = services
        stand_ins = self._make_stand_ins()
        configuration = self._read(
            application,
            environment,
            {name: to_plain(value) for name, value in given.items() if value is not None},
            BundleSettings() if bundle is None else bundle,
            stand_ins,
            problems,
        )
        (settings,) = configuration.environments.values()
        runtime_settings = stand_ins.restore(
            settings.runtime_settings(configuration.application, environment, {}, self._stack.stack_name)
        )
        settings = stand_ins.restore(settings)
        self.settings: Settings = runtime_settings
        self.metrics = RollbackMetrics(runtime_settings)
        self._parts = RollbackEnvironment(
            self,
            settings=settings,
            runtime_settings=runtime_settings,
            attachments=tuple(map(to_attachment, settings.services)),
            bundle=configuration.bundle,
            output_prefix=OUTPUT_PREFIX,
        )
        self._check_at_synthesis()

    @property
    def workflow(self) -> sfn.IStateMachine:
        """State machine of the rollbacks."""
        return self._parts.rollbacks.machine

    @property
    def ledger_table(self) -> dynamodb.ITable:
        """Table of releases, rollbacks, leases and approvals."""
        return self._parts.ledger.table

    @property
    def topic(self) -> sns.ITopic:
        """Topic that gets the report of every rollback."""
        return self._parts.notifications.rollbacks

    @property
    def critical_topic(self) -> sns.ITopic:
        """Topic that gets what failed or needs an operator."""
        return self._parts.notifications.critical

    def degraded_alarm(self, service: str | None = None) -> cloudwatch.CompositeAlarm:
        """Return the alarm that starts a service rollback; without a name, that of the first service."""
        return self._alarm(degraded_alarm(self.settings.prefix, self._name(service)))

    def outage_alarm(self, service: str | None = None) -> cloudwatch.CompositeAlarm:
        """Return the alarm that starts an emergency rollback; without a name, that of the first service."""
        return self._alarm(outage_alarm(self.settings.prefix, self._name(service)))

    def add_subscription(self, subscription: sns.ITopicSubscription, *, critical_only: bool = True) -> None:
        """Subscribe to what needs an operator.

        Args:
            subscription: such as `EmailSubscription` of `aws_cdk.aws_sns_subscriptions`.
            critical_only: False: subscribe to the reports of every rollback too.
        """
        self._parts.notifications.critical.add_subscription(subscription)
        if not critical_only:
            self._parts.notifications.rollbacks.add_subscription(subscription)

    def grant_read(self, grantee: iam.IGrantable) -> iam.Grant:
        """Allow the verbs that read: `status`, `versions`, `history`, `show`, `report`, `verify`."""
        return self._grant(grantee, self._parts.commands.read())

    def grant_start(self, grantee: iam.IGrantable) -> iam.Grant:
        """Allow `rollback start`, `drill` and `report`."""
        commands = self._parts.commands
        return self._grant(grantee, [*commands.report(), *commands.start(), *commands.notes()])

    def grant_approve(self, grantee: iam.IGrantable) -> iam.Grant:
        """Allow `rollback approve`, `reject` and `report`.

        Raises:
            InvalidSettings: no rollback of this environment can wait for an approval.
        """
        decides = self._parts.commands.approve()
        if not decides:
            raise InvalidSettings(
                f"{self.node.path}: grant_approve has nothing to grant, since no rollback of "
                f"{self.settings.environment} waits for an approval; add a reason to approval.required_for"
            )
        return self._grant(grantee, [*self._parts.commands.report(), *decides])

    def metric_recovery_seconds(
        self,
        *,
        rollback_type: RollbackType | str = RollbackType.SERVICE,
        phase: Phase | None = None,
        service: str | None = None,
        statistic: str = "Maximum",
        period: Duration | None = None,
    ) -> cloudwatch.Metric | cloudwatch.MathExpression:
        """Return the seconds from the event to the last good verification, or of one phase."""
        return self.metrics.recovery_seconds(
            rollback_type=rollback_type, phase=phase, service=service, statistic=statistic, period=period
        )

    def metric_rollbacks(
        self,
        *,
        rollback_type: RollbackType | str = RollbackType.SERVICE,
        service: str | None = None,
        period: Duration | None = None,
    ) -> cloudwatch.Metric:
        """Return the count of concluded rollbacks, with any outcome."""
        return self.metrics.rollbacks(rollback_type=rollback_type, service=service, period=period)

    def metric_rollback_available(
        self, *, service: str | None = None, period: Duration | None = None
    ) -> cloudwatch.Metric:
        """Return 1 while a release exists to go back to and no check fails, else 0."""
        return self.metrics.rollback_available(service=service, period=period)

    def _describe_services(
        self,
        service: ecs.BaseService | RollbackService,
        more_services: Sequence[RollbackService],
        props: ServiceProps,
    ) -> tuple[list[RollbackService], list[str]]:
        """Return the descriptions of the services, and problems with them."""
        problems: list[str] = []
        if any(isinstance(part, RollbackGuard) and part is not self for part in self._stack.node.find_all()):
            problems.append(f"{self._stack.stack_name} has another RollbackGuard; allowed is one in a stack")
        if isinstance(service, RollbackService):
            problems += [
                f"{name} is given beside a RollbackService; give it to the RollbackService" for name in sorted(props)
            ]
            first = service
        elif isinstance(service, ecs.BaseService):
            first = RollbackService.from_service(service, **props)
        else:
            allowed = "a FargateService or Ec2Service of this app, or RollbackService.from_attributes(...)"
            raise self._invalid([f"service is {type(service).__name__}; allowed is {allowed}"])
        services = [first, *more_services]
        for position, one in enumerate(services):
            problems += [f"{_prop_path(position)}{problem}" for problem in one.problems]
        return services, problems

    def _make_stand_ins(self) -> TokenStandIns:
        account, region = (
            None if Token.is_unresolved(value) else value for value in (self._stack.account, self._stack.region)
        )
        return TokenStandIns(region=region, account=account, partition=partition_of(region) if region else None)

    def _read(
        self,
        application: str,
        environment: str,
        given: Mapping[str, Any],
        bundle: BundleSettings | Mapping[str, Any],
        stand_ins: TokenStandIns,
        problems: Sequence[str],
    ) -> Configuration:
        """Validate the properties as the section of an environment in `cdk.json`.

        Raises:
            InvalidSettings: it has a line for each wrong property.
        """
        problems = list(problems)
        key = environment if re.fullmatch(ENVIRONMENT_NAME, environment) else "production"
        if key != environment:
            problems.append(f"environment is {environment!r}; allowed is text that matches {ENVIRONMENT_NAME}")
        is_known = stand_ins.account is not None and stand_ins.region is not None
        place = {"account": stand_ins.account, "region": stand_ins.region} if is_known else {}
        services = [service.settings for service in self._services]
        platform = BundleSettings.model_validate(bundle).model_dump()
        context = {
            "application": {"name": application},
            "environments": {key: {**place, **stand_ins.replace({**given, "services": services})}},
            **{f"rollback:bundle_{name}": value for name, value in platform.items()},
            **{key: value for key in _CONTEXT_KEYS if (value := self.node.try_get_context(key)) is not None},
        }
        try:
            configuration = Configuration.read(context)
        except InvalidSettings as error:
            lines = str(error).split("\n  ")[1:] or [str(error)]
            wrong = [self._translate(stand_ins.describe(line), key) for line in lines]
            raise self._invalid([*problems, *self._without_echoes(wrong)]) from None
        if problems:
            raise self._invalid(problems)
        return configuration

    def _translate(self, line: str, environment: str) -> str:
        """Write the names of properties in place of the paths in `cdk.json`."""
        for position, service in enumerate(self._services):
            for key in (position, service.settings.get("name")):
                line = line.replace(f"environments.{environment}.services.{key}.existing.", _prop_path(position))
                line = line.replace(f"environments.{environment}.services.{key}.", _prop_path(position))
        line = line.replace("application.name ", "application ")
        line = line.replace(f"environments.{environment}.", "")
        for setting, prop in PROP_OF_SETTING.items():
            line = re.sub(rf"\b{setting}\b", prop, line)
        missing = _MISSING.match(line)
        if missing is None:
            return line
        hints = {PROP_OF_SETTING.get(name, name): why for one in self._services for name, why in one.hints.items()}
        why = hints.get(missing["setting"])
        return f"{missing['path']} is missing; {why}" if why is not None else f"{missing['path']} is missing"

    def _without_echoes(self, lines: Sequence[str]) -> list[str]:
        """Drop the line about a name that is only the container's, if the container has a line of its own."""
        echoes: set[str] = set()
        for position, service in enumerate(self._services):
            path, container = _prop_path(position), service.settings.get("container")
            if any(line.startswith(f"{path}container is ") for line in lines):
                echoes.add(f"{path}name is {container!r};")
        return [line for line in lines if not line.startswith(tuple(echoes))]

    def _invalid(self, lines: Iterable[str]) -> InvalidSettings:
        unique = dict.fromkeys(lines)
        return InvalidSettings("\n  ".join([f"the properties of RollbackGuard {self.node.path} are wrong:", *unique]))

    def _check_at_synthesis(self) -> None:
        """Fail the synthesis if a load balancer was attached to a service behind the guard, which doesn't watch it.

        Warnings name what is left out.
        """
        counts = [service.target_groups_now() for service in self._services]
        self.node.add_validation(_AttachedTargetGroups(self.node.path, self._services, counts))
        for line in (line for service in self._services for line in service.left_out):
            Annotations.of(self).add_warning_v2("rollback:left-out", line)

    def _name(self, service: str | None) -> str:
        return self.settings.service(service).name if service is not None else self.settings.services[0].name

    def _alarm(self, name: str) -> cloudwatch.CompositeAlarm:
        return self._parts.composite_alarms[name]

    def _grant(self, grantee: iam.IGrantable, grants: Sequence[Grant]) -> iam.Grant:
        statements = [statement for grant in grants for statement in grant]
        granted = [
            iam.Grant.add_to_principal(
                grantee=grantee,
                actions=statement.actions,
                resource_arns=statement.resources,
                conditions=statement.conditions or None,
            )
            for statement in statements
        ]
        return reduce(lambda all_before, grant: all_before.combine(grant), granted)


def _prop_path(position: int) -> str:
    return f"more_services.{position - 1}." if position else ""
