"""Composition root that gives adapters their clients. Each client is made at its first use, never at import."""

import os
import threading
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, cast

import botocore.session
from botocore.config import Config

from rollback.adapters.aws.autoscaling import EcsScaling
from rollback.adapters.aws.cloudformation import CloudFormationStacks
from rollback.adapters.aws.cloudwatch import CloudWatchAlarms
from rollback.adapters.aws.database_checks import InvokedDatabaseChecks
from rollback.adapters.aws.ecr import EcrImages
from rollback.adapters.aws.ecs.client import EcsServices
from rollback.adapters.aws.ecs.tasks import EcsTasks
from rollback.adapters.aws.elb import ElbTargets
from rollback.adapters.aws.kms import KmsTokenCipher
from rollback.adapters.aws.references import DefinitionReferences
from rollback.adapters.aws.reporting.eventbridge import DefaultBusEvents
from rollback.adapters.aws.reporting.metrics import LoggedMetrics
from rollback.adapters.aws.reporting.s3 import S3ReportStore
from rollback.adapters.aws.reporting.sns import SnsNotifications
from rollback.adapters.aws.secrets import ReferencedSecrets
from rollback.adapters.aws.step_functions import StepFunctionsWorkflow
from rollback.adapters.aws.sts import StsIdentityProofs
from rollback.adapters.clock import SystemClock
from rollback.adapters.ledger.dynamodb import DynamoLedger
from rollback.adapters.patience import fail_fast_after_silence
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
from rollback.domain.settings.packed import parse_settings
from rollback.drivers.drivers import Drivers
from rollback.errors import InvalidRequest
from rollback.names import database_function
from rollback.ports.all_ports import AllPorts, OptionalPorts
from rollback.ports.github import GitHub
from rollback.ports.http import Http
from rollback.ports.neon import NeonProject
from rollback.ports.postgres import Sql
from rollback.ports.webhooks import Webhooks
from rollback.resources.aws.account_and_region import AccountAndRegion

if TYPE_CHECKING:
    import boto3

NO_DRIVERS = Drivers()
_CONNECT_SECONDS, _READ_SECONDS = 3, 10
_READ_CONFIG = Config(
    connect_timeout=_CONNECT_SECONDS,
    read_timeout=_READ_SECONDS,
    retries={"mode": "standard", "total_max_attempts": 3},
)
# For optional evidence in an emergency: one attempt, and two seconds for its answer.
_FAIL_FAST_CONFIG = Config(connect_timeout=1, read_timeout=2, retries={"mode": "standard", "total_max_attempts": 1})
# A readiness check retries throttled calls, and several silent services still leave the function time to end.
_READINESS_CONFIG = Config(connect_timeout=1, read_timeout=2, retries={"mode": "standard", "total_max_attempts": 3})
# The database function ends its checks in half a minute; the waiting function has a minute.
_DATABASE_CHECKS_CONFIG = Config(
    connect_timeout=_CONNECT_SECONDS, read_timeout=35, retries={"mode": "standard", "total_max_attempts": 1}
)
# A link to an object that a KMS key encrypts has to be signed with version 4. Nothing waits long for a report.
_REPORT_CONFIG = Config(
    connect_timeout=1, read_timeout=2, signature_version="s3v4", retries={"mode": "standard", "total_max_attempts": 1}
)
# An event about a rollback gets one attempt, and a second for its answer.
_EVENT_CONFIG = Config(connect_timeout=1, read_timeout=1, retries={"mode": "standard", "total_max_attempts": 1})
# A change is sent once: its effect is looked up, never guessed by a second call.
_WRITE_CONFIG = Config(
    connect_timeout=_CONNECT_SECONDS,
    read_timeout=_READ_SECONDS,
    retries={"mode": "standard", "total_max_attempts": 1},
)


def ports_from_environment(drivers: Drivers = NO_DRIVERS) -> AllPorts:
    """Make the ports of a Lambda function from its environment variables.

    Args:
        drivers: factories of the ports that need a client library.

    Raises:
        InvalidRequest: a variable that the stack sets is missing.
    """
    try:
        settings, table = os.environ[SETTINGS_VARIABLE], os.environ[LEDGER_TABLE_VARIABLE]
        topic, critical = os.environ[NOTIFICATION_TOPIC_VARIABLE], os.environ[CRITICAL_TOPIC_VARIABLE]
    except KeyError as missing:
        raise InvalidRequest(f"environment variable {missing} is not set; deploy the rollback stack again") from missing
    return make_ports(
        parse_settings(settings),
        ledger_table=table,
        topic_arn=topic,
        critical_topic_arn=critical,
        workflow_arn=os.environ.get(WORKFLOW_VARIABLE) or None,
        approvals_key_arn=os.environ.get(APPROVALS_KEY_VARIABLE) or None,
        report_bucket=os.environ.get(REPORT_BUCKET_VARIABLE) or None,
        chat_topic_arn=os.environ.get(CHAT_TOPIC_VARIABLE) or None,
        drivers=drivers,
    )


def make_ports(
    settings: Settings,
    *,
    ledger_table: str,
    topic_arn: str,
    critical_topic_arn: str,
    workflow_arn: str | None = None,
    report_bucket: str | None = None,
    chat_topic_arn: str | None = None,
    approvals_key_arn: str | None = None,
    session: "boto3.Session | None" = None,
    drivers: Drivers = NO_DRIVERS,
) -> AllPorts:
    """Make the real adapter of every port.

    Args:
        settings: settings of the environment.
        ledger_table: name of the ledger's DynamoDB table.
        topic_arn: topic of notifications.
        critical_topic_arn: topic of pages.
        workflow_arn: ARN of the state machine; None if this function can't start executions.
        approvals_key_arn: ARN of the key of task tokens; None if no token is to be stored.
        report_bucket: bucket of stored reports; None if the environment has none, or this function may not use it.
        chat_topic_arn: topic of Amazon Q Developer in chat applications; None if no chat channel is set.
        session: credentials and region; the environment's by default.
        drivers: factories of the ports that need a client library. A port without one raises at its first use.
    """
    clients = _Clients(session)
    balancers = clients.of("elbv2")
    secrets = ReferencedSecrets(clients.in_region("secretsmanager"), clients.in_region("ssm"))

    def neon_of(given: Settings) -> NeonProject:
        return cast(NeonProject, LazyProxy(lambda: drivers.neon(given, secrets)))

    return AllPorts(
        settings=settings,
        clock=SystemClock(),
        ledger=DynamoLedger(clients.of("dynamodb"), ledger_table, settings.policy.suspect_release_days),
        services=EcsServices(clients.of("ecs"), clients.of("ecs", _WRITE_CONFIG)),
        target_groups=ElbTargets(balancers),
        scaling=EcsScaling(clients.of("application-autoscaling"), clients.of("application-autoscaling", _WRITE_CONFIG)),
        stacks=CloudFormationStacks(clients.of("cloudformation")),
        secrets=secrets,
        references=DefinitionReferences(clients.of("iam"), clients.in_region("logs"), clients.of("s3")),
        images=EcrImages(clients.in_region("ecr")),
        alarms=CloudWatchAlarms(clients.of("cloudwatch"), balancers),
        http=cast(Http, LazyProxy(drivers.http)),
        notifications=SnsNotifications(clients.of("sns"), topic_arn, critical_topic_arn, chat_topic_arn),
        metrics=LoggedMetrics(settings.application, settings.environment),
        workflow=StepFunctionsWorkflow(clients.of("stepfunctions"), workflow_arn),
        neon=neon_of(settings),
        sql=cast(Sql, LazyProxy(lambda: drivers.sql(settings))),
        tasks=EcsTasks(clients.of("ecs"), clients.of("ecs", _WRITE_CONFIG), clients.of("logs")),
        token_cipher=KmsTokenCipher(clients.of("kms"), approvals_key_arn),
        identity_proofs=StsIdentityProofs(clients.of("sts")),
        database_checks=InvokedDatabaseChecks(
            clients.of("lambda", _DATABASE_CHECKS_CONFIG), database_function(settings.prefix)
        ),
        github=cast(GitHub, LazyProxy(lambda: drivers.github(settings, secrets))),
        report_store=S3ReportStore(clients.of("s3", _REPORT_CONFIG), report_bucket),
        events=DefaultBusEvents(clients.of("events", _EVENT_CONFIG), settings.application),
        webhooks=cast(Webhooks, LazyProxy(drivers.webhooks)),
        neon_of=neon_of,
        emergency_ports=lambda: _optional_ports(clients, workflow_arn, _FAIL_FAST_CONFIG),
        readiness_ports=lambda: _optional_ports(clients, workflow_arn, _READINESS_CONFIG),
        account_and_region=AccountAndRegion.of_arn(topic_arn),
    )


def _optional_ports(clients: "_Clients", workflow_arn: str | None, config: Config) -> OptionalPorts:
    """Make the optional ports of one invocation; a service that gave no answer is not called again."""
    balancers, scaling = clients.of("elbv2", config), clients.of("application-autoscaling", config)
    secrets = ReferencedSecrets(clients.in_region("secretsmanager", config), clients.in_region("ssm", config))
    logs = clients.in_region("logs", config)
    return OptionalPorts(
        target_groups=fail_fast_after_silence(ElbTargets(balancers)),
        scaling=EcsScaling(scaling, clients.of("application-autoscaling", _WRITE_CONFIG)),
        stacks=fail_fast_after_silence(CloudFormationStacks(clients.of("cloudformation", config))),
        secrets=fail_fast_after_silence(secrets),
        references=fail_fast_after_silence(
            DefinitionReferences(clients.of("iam", config), logs, clients.of("s3", config))
        ),
        images=fail_fast_after_silence(EcrImages(clients.in_region("ecr", config))),
        alarms=fail_fast_after_silence(CloudWatchAlarms(clients.of("cloudwatch", config), balancers)),
        workflow=StepFunctionsWorkflow(clients.of("stepfunctions", config), workflow_arn),
    )


class LazyProxy:
    """Proxy of an object that is made at the first access to an attribute, once for all threads."""

    _lock = threading.RLock()  # shared by all proxies: a boto3 session is not thread-safe when it makes clients

    def __init__(self, make: Callable[[], Any]) -> None:
        self._make = make
        self._made: Any = None

    def __getattr__(self, name: str) -> Any:
        with self._lock:
            if self._made is None:
                self._made = self._make()
        return getattr(self._made, name)


class _BotocoreSession:
    """The default session, with the same clients as boto3's. boto3 would import s3transfer, a fifth of a cold start."""

    def __init__(self) -> None:
        self._session = botocore.session.get_session()

    def client(self, service: str, *, region_name: str | None, config: Config) -> Any:
        """Make a client of a service."""
        return self._session.create_client(service, region_name=region_name, config=config)


class _Clients:
    """Clients of one boto3 session, each made at its first use."""

    def __init__(self, session: "boto3.Session | None") -> None:
        self._session: Any = session if session is not None else LazyProxy(_BotocoreSession)
        self._made: dict[tuple[str, int, str | None], Any] = {}

    def of(self, service: str, config: Config = _READ_CONFIG, region: str | None = None) -> Any:
        """Return a client of a service, made once for each configuration and region."""
        key = (service, id(config), region)
        if key not in self._made:
            self._made[key] = LazyProxy(lambda: self._session.client(service, region_name=region, config=config))
        return self._made[key]

    def in_region(self, service: str, config: Config = _READ_CONFIG) -> Callable[[str], Any]:
        """Return a function that gives clients of a service by region; an empty region is the session's."""
        return lambda region: self.of(service, config, region or None)
