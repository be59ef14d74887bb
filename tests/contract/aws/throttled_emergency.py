"""Emergencies on the embedded cloud while AWS throttles a share of all attempts to call it.

Everything that decides about time is real: the adapters' retry settings, botocore's standard retry mode with its
backoff and quota, the function's handler, and the deployed state machine's Retry. Only sleep is simulated and moves a
clock forward. So a thousand emergencies take minutes.
"""

import json
import random
import time
import uuid
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from typing import Any

import boto3
import botocore.endpoint
import pytest
from botocore.awsrequest import AWSPreparedRequest, AWSResponse
from botocore.compat import HTTPHeaders
from support.builders import image, release

from local_cloud.deployment.server import LocalCloud
from local_cloud.ecs import tasks as ecs_tasks
from local_cloud.ecs.rollouts import rollouts
from rollback.bootstrap import make_ports
from rollback.canonical_json import sha256_of
from rollback.domain.releases.release import Release, ReleaseState, fingerprint, normalised_definition
from rollback.domain.settings.environment import ServiceSettings, Settings
from rollback.domain.settings.policy import Policy
from rollback.functions.service import handle as invoke_service
from rollback.names import outage_alarm
from rollback.ports.all_ports import AllPorts
from rollback.promotion.readiness import prepare_standing_plan
from rollback_constructs.workflow import transient_retries

APPLICATION, ENVIRONMENT = "macro-ai", "production"
DESIRED_COUNT = 2
_CODE = "ThrottlingException"
_TEXT = "Rate exceeded"


class VirtualClock:
    """Return the time of day, moved forward by the simulated sleep."""

    def __init__(self) -> None:
        self.slept_seconds = 0.0

    def now(self) -> datetime:
        return datetime.now(UTC) + timedelta(seconds=self.slept_seconds)

    def seconds(self) -> float:
        """Seconds since some moment; only differences mean something."""
        return time.monotonic() + self.slept_seconds

    def sleep(self, seconds: float) -> None:
        self.slept_seconds += seconds


@dataclass
class Throttle:
    """Throttling answers to a share of all attempts of every service, at botocore's `before-send`."""

    share: float
    lot: random.Random
    refused: int = 0
    sent: dict[str, int] = field(default_factory=dict)

    def __call__(self, request: AWSPreparedRequest, event_name: str, **_: Any) -> AWSResponse | None:
        if self.lot.random() >= self.share:
            operation = event_name.rpartition(".")[2]
            self.sent[operation] = self.sent.get(operation, 0) + 1
            return None
        self.refused += 1
        return _refusal(request.url, is_json="json" in str(request.headers.get("Content-Type")))


def _refusal(url: str, *, is_json: bool) -> AWSResponse:
    """Build the answer in the service's protocol: AWS JSON, or the query protocol's XML."""
    body = (
        json.dumps({"__type": _CODE, "message": _TEXT})
        if is_json
        else f"<ErrorResponse><Error><Type>Sender</Type><Code>{_CODE}</Code><Message>{_TEXT}</Message></Error>"
        "<RequestId>0</RequestId></ErrorResponse>"
    )
    headers = HTTPHeaders()
    headers["x-amzn-RequestId"] = str(uuid.uuid4())
    return AWSResponse(url, 400, headers, _Body(body.encode()))


class _Body:
    """The part of urllib3's response that botocore reads."""

    def __init__(self, content: bytes) -> None:
        self._content = content

    def stream(self, **_: Any) -> Iterator[bytes]:
        yield self._content


@dataclass(frozen=True)
class EmergencyRun:
    """Result of an emergency, in real and simulated seconds."""

    tries: int  # invocations of the function
    seconds: float  # from the alarm to the accepted UpdateService
    longest_invocation_seconds: float
    refused: int  # attempts that were throttled
    problem: str = ""  # reason why the emergency did not act within its limits


class EmergencyRunner:
    """One cluster; each emergency has a service, a ledger and clients of its own, as a function that starts cold."""

    def __init__(self, cloud: LocalCloud, share: float, seed: str) -> None:
        self._cloud, self._share, self._seed = cloud, share, seed
        self._run = uuid.uuid4().hex[:6]
        self._ecs, self._cloudwatch = cloud.client("ecs"), cloud.client("cloudwatch")
        self._dynamodb = cloud.client("dynamodb")
        self._cluster = f"emergencies-{self._run}"
        self._ecs.create_cluster(clusterName=self._cluster)
        self._unthrottled = boto3.Session()  # its clients are never throttled

    def run_emergency(self, number: int) -> EmergencyRun:
        """Run an emergency over a bad v2, from the alarm's event to the accepted UpdateService to v1."""
        name = f"web-{self._run}-{number}"
        clock = VirtualClock()
        session = boto3.Session()
        throttle = Throttle(self._share, random.Random(f"{self._seed} {number}"))
        events: Any = session.events  # the stubs have no handler that answers in AWS's place
        events.register("before-send", throttle)
        target = self._create_service(name)
        ports = replace(self._ports(name, session), clock=clock)
        try:
            with pytest.MonkeyPatch.context() as patched:
                patched.setattr("rollback.functions.service._ports", lambda: ports)
                patched.setattr(botocore.endpoint, "time", _Time(clock))
                course = _Execution(ports, clock, throttle.lot, _alarm_event(self._alarm(name), clock.now())).until(
                    lambda: self._runs(name) == target
                )
            course = replace(course, refused=throttle.refused)
            if not course.problem and throttle.sent.get("UpdateService") != 1:
                return replace(course, problem=f"UpdateService was sent {throttle.sent.get('UpdateService')} times")
            return course
        finally:
            self._delete_service(name)

    def _create_service(self, name: str) -> str:
        """Promote v1, run v2, prepare the standing plan and fire the alarm; return the plan's definition."""
        self._dynamodb.create_table(
            TableName=name,
            KeySchema=[{"AttributeName": "pk", "KeyType": "HASH"}, {"AttributeName": "sk", "KeyType": "RANGE"}],
            AttributeDefinitions=[{"AttributeName": part, "AttributeType": "S"} for part in ("pk", "sk")],
            BillingMode="PAY_PER_REQUEST",
        )
        ports = self._ports(name, self._unthrottled)
        good, bad = self._register(name, "v1"), self._register(name, "v2")
        self._ecs.create_service(
            cluster=self._cluster, serviceName=name, taskDefinition=bad, desiredCount=DESIRED_COUNT,
            launchType="FARGATE",
        )  # fmt: skip
        self._record(name, "v1", good, ReleaseState.PROMOTED, 48, ports)
        self._record(name, "v2", bad, ReleaseState.CANDIDATE, 0.2, ports)
        (target,) = prepare_standing_plan(name, ports).targets
        self._cloudwatch.put_metric_alarm(
            AlarmName=self._alarm(name), Namespace="test", MetricName="outage", Statistic="Sum", Period=60,
            EvaluationPeriods=1, Threshold=1, ComparisonOperator="GreaterThanThreshold", TreatMissingData="ignore",
        )  # fmt: skip
        self._cloudwatch.set_alarm_state(AlarmName=self._alarm(name), StateValue="ALARM", StateReason="by a test")
        return target.definition_arn

    def _delete_service(self, name: str) -> None:
        """Delete the service and its resources: leftovers slow each later emergency down."""
        self._ecs.delete_service(cluster=self._cluster, service=name, force=True)
        with rollouts.lock:
            for arn in [arn for arn in rollouts.current if arn.endswith(f"/{name}")]:
                del rollouts.current[arn]
        self._cloudwatch.delete_alarms(AlarmNames=[self._alarm(name)])
        self._dynamodb.delete_table(TableName=name)

    def _register(self, name: str, version: str) -> str:
        container = {"name": "app", "image": image(version), "portMappings": [{"containerPort": 8080}]}
        answer = self._ecs.register_task_definition(
            family=name, containerDefinitions=[container], cpu="256", memory="512", networkMode="awsvpc",
            requiresCompatibilities=["FARGATE"],
        )  # fmt: skip
        return str(answer["taskDefinition"]["taskDefinitionArn"])

    def _record(self, name: str, version: str, arn: str, state: ReleaseState, hours: float, ports: AllPorts) -> None:
        raw = self._ecs.describe_task_definition(taskDefinition=arn)["taskDefinition"]
        definition, at = normalised_definition(raw, {}), datetime.now(UTC) - timedelta(hours=hours)
        recorded: Release = release(
            version, state=state, service=name, fingerprint=fingerprint(raw, {}), definition_arn=arn,
            definition_sha256=sha256_of(definition), images={"app": image(version)}, first_deployed_at=at,
            state_since=at,
        )  # fmt: skip
        ports.ledger.record(recorded, definition)

    def _ports(self, name: str, session: boto3.Session) -> AllPorts:
        service = ServiceSettings(name=name, cluster=self._cluster, ecs_service=name, container="app")
        topic = f"arn:aws:sns:{self._cloud.region}:{self._cloud.account}:none"
        return make_ports(
            Settings(application=APPLICATION, environment=ENVIRONMENT, services=(service,)),
            ledger_table=name,
            topic_arn=topic,
            critical_topic_arn=topic,
            session=session,
        )

    def _alarm(self, name: str) -> str:
        return outage_alarm(f"{APPLICATION}-{ENVIRONMENT}", name)

    def _runs(self, name: str) -> str:
        (service,) = self._ecs.describe_services(cluster=self._cluster, services=[name])["services"]
        return str(service["taskDefinition"])


class _Execution:
    """Run as Step Functions does: invoke the function, retry its errors, wait its waits."""

    def __init__(
        self, ports: AllPorts, clock: VirtualClock, lot: random.Random, execution_input: Mapping[str, Any]
    ) -> None:
        self._policy: Policy = ports.settings.policy
        self._clock, self._lot = clock, lot
        execution = f"arn:aws:states:eu-west-1:123456789012:execution:rollback:{uuid.uuid4()}"
        started_at = clock.now().isoformat()
        self._payload = {
            "step": "emergency",
            "execution": execution,
            "started_at": started_at,
            "input": dict(execution_input),
        }
        self._retried: list[int] = []

    def until(self, is_done: Callable[[], bool]) -> EmergencyRun:
        """Invoke the function until it is done, or the execution is over."""
        began, longest, problem, tries = self._clock.seconds(), 0.0, "", 0
        while not problem:
            tries += 1
            invoked = self._clock.seconds()
            cursor, error = self._invoke()
            longest = max(longest, self._clock.seconds() - invoked)
            if is_done():
                break
            problem = self._go_on(cursor, error)
        seconds = self._clock.seconds() - began
        if longest > self._policy.act_timeout_seconds:
            problem = problem or f"an invocation took {longest:.1f} s"
        if seconds > self._policy.lease_minutes * 60:
            problem = problem or f"it took {seconds:.1f} s"
        return EmergencyRun(tries, seconds, longest, 0, problem)

    def _invoke(self) -> tuple[dict[str, Any] | None, Exception | None]:
        try:
            return invoke_service(self._payload, None), None
        except Exception as error:  # noqa: BLE001 - as Lambda does: whatever it is, its class is the error's name
            return None, error

    def _go_on(self, cursor: dict[str, Any] | None, error: Exception | None) -> str:
        """Return why the execution is over without an UpdateService; empty if it continues."""
        if error is not None:
            return self._retry(error)
        if cursor is None or cursor["next"] not in ("emergency", "service"):
            return f"it ended: {cursor}"
        self._clock.sleep(cursor["wait_seconds"])
        self._payload, self._retried = {"step": cursor["next"], "cursor": cursor}, []
        return ""

    def _retry(self, error: Exception) -> str:
        """Apply the first retrier that names the error. Each retrier counts its own attempts in this state."""
        retriers = transient_retries()
        self._retried = self._retried or [0] * len(retriers)
        for number, retrier in enumerate(retriers):
            if type(error).__name__ not in retrier["ErrorEquals"]:
                continue
            if self._retried[number] >= retrier["MaxAttempts"]:
                break
            grown = retrier["IntervalSeconds"] * retrier["BackoffRate"] ** self._retried[number]
            self._retried[number] += 1
            self._clock.sleep(self._lot.uniform(0, min(grown, retrier["MaxDelaySeconds"])))  # full jitter
            return ""
        return f"it gave up on {type(error).__name__}: {error}"


class _Time:
    """The module `time` as botocore's endpoint uses it between two attempts."""

    def __init__(self, clock: VirtualClock) -> None:
        self.sleep = clock.sleep


def _alarm_event(alarm: str, at: datetime) -> dict[str, Any]:
    """Build the event as EventBridge delivers it."""
    account, region = "123456789012", "eu-west-1"
    return {
        "version": "0",
        "id": str(uuid.uuid4()),
        "detail-type": "CloudWatch Alarm State Change",
        "source": "aws.cloudwatch",
        "account": account,
        "region": region,
        "time": at.strftime("%Y-%m-%dT%H:%M:%SZ"),
        "resources": [f"arn:aws:cloudwatch:{region}:{account}:alarm:{alarm}"],
        "detail": {"alarmName": alarm, "state": {"value": "ALARM"}, "previousState": {"value": "OK"}},
    }


@contextmanager
def tasks_without_processes() -> Iterator[None]:
    """Let tasks run at once without a process: the tests check what ECS accepts, not its effect."""
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(ecs_tasks.Task, "_pull_and_start", lambda task: setattr(task, "port", 1))
        yield
