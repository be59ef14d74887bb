"""The one place where adapters meet their clients. Nothing is made before it is first used, and nothing at import."""

import os
import threading
from collections.abc import Callable
from functools import cache
from typing import TYPE_CHECKING, Any, cast

import boto3
from botocore.config import Config

from rollback.model.errors import InvalidRequest
from rollback.model.home import Home
from rollback.model.settings import (
    CRITICAL_TOPIC_VARIABLE,
    LEDGER_TABLE_VARIABLE,
    NOTIFICATION_TOPIC_VARIABLE,
    SETTINGS_VARIABLE,
    WORKFLOW_VARIABLE,
    Settings,
)
from rollback.steps.ports import Http, Secrets, World
from rollback.steps.ports_database import Databases, Sql
from rollback.world.alarms import CloudWatchAlarms
from rollback.world.clock import SystemClock
from rollback.world.ecr import EcrImages
from rollback.world.ecs import EcsServices
from rollback.world.ledger import DynamoLedger
from rollback.world.metrics import LoggedMetrics
from rollback.world.notifications import SnsNotifications
from rollback.world.scaling import EcsScaling
from rollback.world.secrets import ReferencedSecrets
from rollback.world.stacks import CloudFormationStacks
from rollback.world.target_health import ElbTargets
from rollback.world.tasks import EcsTasks
from rollback.world.workflow import StepFunctionsWorkflow

if TYPE_CHECKING:
    from mypy_boto3_ecr import ECRClient

_CONNECT_SECONDS, _READ_SECONDS = 3, 10
_READING = Config(
    connect_timeout=_CONNECT_SECONDS,
    read_timeout=_READ_SECONDS,
    retries={"mode": "standard", "total_max_attempts": 3},
)
# Evidence that a decision can do without keeps no emergency waiting.
_AT_A_GLANCE = Config(connect_timeout=2, read_timeout=2, retries={"mode": "standard", "total_max_attempts": 1})
# A change is sent once: whether it was made is looked up, never guessed by sending it again.
_CHANGING = Config(
    connect_timeout=_CONNECT_SECONDS,
    read_timeout=_READ_SECONDS,
    retries={"mode": "standard", "total_max_attempts": 1},
)


def world_from_environment() -> World:
    """The world of a Lambda function.

    Raises:
        InvalidRequest: a variable that the stack sets is missing.
    """
    try:
        settings, table = os.environ[SETTINGS_VARIABLE], os.environ[LEDGER_TABLE_VARIABLE]
        topic, critical = os.environ[NOTIFICATION_TOPIC_VARIABLE], os.environ[CRITICAL_TOPIC_VARIABLE]
    except KeyError as missing:
        raise InvalidRequest(f"environment variable {missing} is not set; deploy the rollback stack again") from missing
    return make_world(
        Settings.model_validate_json(settings),
        ledger_table=table,
        topic_arn=topic,
        critical_topic_arn=critical,
        workflow_arn=os.environ.get(WORKFLOW_VARIABLE) or None,
    )


def make_world(
    settings: Settings,
    *,
    ledger_table: str,
    topic_arn: str,
    critical_topic_arn: str,
    workflow_arn: str | None = None,
    session: boto3.Session | None = None,
) -> World:
    """Real adapters for everything.

    Args:
        workflow_arn: without it no execution can be started.
        session: whose credentials and region; the environment's by default.
    """
    clients = _Clients(session)
    balancers = clients.of("elbv2")
    secrets = ReferencedSecrets(clients.of("secretsmanager"), clients.of("ssm"))

    def databases_of(given: Settings) -> Databases:
        return cast(Databases, _Later(lambda: _databases(given, secrets)))

    return World(
        settings=settings,
        clock=SystemClock(),
        ledger=DynamoLedger(clients.of("dynamodb"), ledger_table, settings.policy.suspect_release_days),
        services=EcsServices(clients.of("ecs"), clients.of("ecs", _CHANGING)),
        targets=ElbTargets(balancers),
        scaling=EcsScaling(clients.of("application-autoscaling"), clients.of("application-autoscaling", _CHANGING)),
        stacks=CloudFormationStacks(clients.of("cloudformation")),
        secrets=secrets,
        images=EcrImages(clients.ecr_in),
        alarms=CloudWatchAlarms(clients.of("cloudwatch"), balancers),
        http=cast(Http, _Later(_http)),
        notifications=SnsNotifications(clients.of("sns"), topic_arn, critical_topic_arn),
        metrics=LoggedMetrics(settings.application, settings.environment),
        workflow=StepFunctionsWorkflow(clients.of("stepfunctions"), workflow_arn),
        databases=databases_of(settings),
        sql=cast(Sql, _Later(_sql)),
        tasks=EcsTasks(clients.of("ecs"), clients.of("ecs", _CHANGING), clients.of("logs")),
        databases_of=databases_of,
        home=Home.of_arn(topic_arn),
        quick_alarms=CloudWatchAlarms(clients.of("cloudwatch", _AT_A_GLANCE), clients.of("elbv2", _AT_A_GLANCE)),
        quick_targets=ElbTargets(clients.of("elbv2", _AT_A_GLANCE)),
    )


class _Later:
    """Stands for an object that is made when it is first asked for anything, once, also among threads."""

    _lock = threading.RLock()  # one for all: making clients from one boto3 session is not thread-safe

    def __init__(self, make: Callable[[], Any]) -> None:
        self._make = make
        self._made: Any = None

    def __getattr__(self, name: str) -> Any:
        with self._lock:
            if self._made is None:
                self._made = self._make()
        return getattr(self._made, name)


class _Clients:
    """boto3 clients of one session, each made when first used."""

    def __init__(self, session: boto3.Session | None) -> None:
        self._session: Any = session if session is not None else _Later(boto3.Session)
        self.ecr_in: Callable[[str], ECRClient] = cache(self._ecr_in)

    def of(self, service: str, config: Config = _READING, region: str | None = None) -> Any:
        """A client of a service; region of the session unless told."""
        return _Later(lambda: self._session.client(service, region_name=region, config=config))

    def _ecr_in(self, region: str) -> "ECRClient":
        return cast("ECRClient", self.of("ecr", region=region))


def _http() -> Http:
    from rollback.world.http import HttpxHttp  # noqa: PLC0415 - httpx takes a while to import, and few functions probe

    return HttpxHttp()


def _databases(settings: Settings, secrets: Secrets) -> Databases:
    """Raises InvalidRequest: the environment has no database."""
    from rollback.world.neon import NeonDatabases  # noqa: PLC0415 - httpx again
    from rollback.world.neon_http import NeonHttp  # noqa: PLC0415

    database = settings.database
    if database is None:
        raise InvalidRequest(f"no database is set for {settings.environment}; nothing was changed")
    api_key = database.api_key_secret_arn
    http = NeonHttp(lambda: secrets.read(api_key).get_secret_value(), database.api_url)
    return NeonDatabases(http, database.project_id)


def _sql() -> Sql:
    from rollback.world.postgres import PostgresSql  # noqa: PLC0415 - psycopg is for the database function only

    return PostgresSql()
