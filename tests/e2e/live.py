"""Deployed environment in another process, used through AWS's APIs and our own adapters only."""

import json
import uuid
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from typing import Any, TypeVar

import boto3
from contract.local_cloud.workload import HEALTHY, eventually

from local_cloud.listing import list_all
from rollback.check import Verdict
from rollback.domain.releases.release import Release, ReleaseState
from rollback.domain.rollback import Rollback
from rollback.domain.settings.environment import ServiceSettings
from rollback.names import RATE_ALARMS, STATE_ALARMS, degraded_alarm, leaf_alarm, outage_alarm
from rollback.promotion.promote import promote_by_operator
from rollback.promotion.readiness import prepare_standing_plan
from rollback_cli.demo.pipeline import Pipeline
from rollback_cli.demo.profile import ENVIRONMENT
from rollback_cli.demo.timeline.pager import Pager
from rollback_cli.deployed_stack import DeployedStack, from_outputs, stack_name

T = TypeVar("T")
PATIENCE_SECONDS = 180.0  # the machine may be busy


def wait_for(probe: Callable[[], T | None]) -> T:
    """Wait for a result of `probe`, and return the result. Probe every half second: each call loads the cloud."""
    return eventually(probe, PATIENCE_SECONDS, every=0.5)


class DeployedEnvironment(Pipeline):
    """Environment of the demo; the process's variables must point boto3 at its cloud while it is used."""

    def __init__(self) -> None:
        session = boto3.Session()
        self._session, self._clients = session, dict[str, Any]()
        name = stack_name(ENVIRONMENT)
        outputs = list_all(session.client("cloudformation"), "describe_stacks", "Stacks", StackName=name)[0]["Outputs"]
        self.deployed: DeployedStack = from_outputs({o["OutputKey"]: o["OutputValue"] for o in outputs}, name)
        self.ports = self.deployed.ports()
        self._version_count = 0
        self._pager = Pager(self.client("sns"), self.client("sqs"), self.deployed.critical_topic_arn)

    def client(self, service: str) -> Any:
        if service not in self._clients:
            self._clients[service] = self._session.client(service)  # type: ignore[call-overload]
        return self._clients[service]

    @property
    def service(self) -> ServiceSettings:
        return self.deployed.settings.services[0]

    @property
    def alarm(self) -> str:
        return degraded_alarm(self.deployed.settings.prefix, self.service.name)

    def next_version(self) -> str:
        """Name the version that `release` ships next."""
        return f"v{self._version_count + 1}.0.0"

    def release(self, behaviour: Mapping[str, Any] = HEALTHY) -> Release:
        """Push and ship the next version, and wait until it alone runs and the ledger knows it."""
        version = self.next_version()
        self._version_count += 1
        digest = self.push(version, dict(behaviour))
        self.ship(version, desired_count=2)
        wait_for(lambda: self.is_settled() and self.running_digests() == {digest})
        return wait_for(lambda: self.find_release(version))

    def promote(self, version: str) -> Release:
        return promote_by_operator(self.service.name, version, "a test", self.ports)

    def find_release(self, version: str) -> Release | None:
        return next((r for r in self.releases() if r.version == version), None)

    def releases(self) -> tuple[Release, ...]:
        return tuple(self.ports.ledger.releases(self.service.name))

    def promoted(self) -> tuple[Release, ...]:
        return tuple(r for r in self.releases() if r.state is ReleaseState.PROMOTED)

    def wait_for_target(self) -> None:
        """Judge the standing plan anew until it has a ready target for the release that runs.

        Raises:
            AssertionError: it has none in time; the message has the objections.
        """
        objections: list[str] = []

        def is_ready() -> bool:
            plan = prepare_standing_plan(self.service.name, self.ports)
            (running,) = (r for r in self.promoted() if set(map(_digest, r.images.values())) & self.running_digests())
            target = plan.target_for(running.fingerprint) if plan is not None else None
            checks = (*(plan.readiness if plan is not None else ()), *(target.checks if target is not None else ()))
            objections[:] = [f"{c.name} {c.verdict}: {c.reason}" for c in checks if c.verdict is not Verdict.PASS]
            objections.append(f"the target is {target.release.version if target is not None else 'none'}")
            return plan is not None and plan.is_ready and target is not None and target.is_ready is True

        try:
            wait_for(is_ready)
        except AssertionError as late:
            raise AssertionError(f"no ready target: {'; '.join(objections)}") from late

    def history(self) -> list[Rollback]:
        return list(self.ports.ledger.history(self.service.name))

    def start(self, execution_input: Mapping[str, Any]) -> str:
        """Start the state machine as the console of Step Functions does; return the execution's ARN."""
        arn = self.deployed.workflow_arn
        name = str(uuid.uuid4())
        answer = self.client("stepfunctions").start_execution(
            stateMachineArn=arn, name=name, input=json.dumps(execution_input)
        )
        return str(answer["executionArn"])

    def wait_until_ended(self, execution: str) -> dict[str, Any]:
        """Wait until an execution has ended, and return its description."""

        def over() -> dict[str, Any] | None:
            answer: dict[str, Any] = self.client("stepfunctions").describe_execution(executionArn=execution)
            return answer if answer["status"] != "RUNNING" else None

        return wait_for(over)

    def invoke(self, function: str, event: Mapping[str, Any]) -> Any:
        """Invoke one of our functions with an event, and return its answer."""
        name = f"{self.deployed.settings.prefix}-rollback-{function}"
        answer = self.client("lambda").invoke(FunctionName=name, Payload=json.dumps(event).encode())
        return json.loads(answer["Payload"].read())

    def wait_until_concluded(self, matches: Callable[[Rollback], bool]) -> Rollback:
        """Wait until the newest rollback that matches is concluded and its execution has ended."""

        def over() -> Rollback | None:
            newest = next((r for r in self.history() if matches(r)), None)
            is_over = newest is not None and newest.concluded_at is not None and not newest.is_data_loss_report_due
            return newest if is_over else None

        rollback = wait_for(over)
        self.wait_until_ended(rollback.execution)
        return rollback

    def wait_for_rollback(self, matches: Callable[[Rollback], bool]) -> Rollback:
        """Wait until a rollback matches, and return the newest one."""
        return wait_for(lambda: next((r for r in self.history() if matches(r)), None))

    def turn_alarm(self, state: str) -> None:
        """Set the state of the trigger alarm; CloudWatch sends its event over the bus."""
        self.client("cloudwatch").set_alarm_state(AlarmName=self.alarm, StateValue=state, StateReason="by a test")

    def alarm_states(self) -> dict[str, str]:
        """State of every alarm of the service by its name; alarms have no data until the first release runs."""
        prefix, service = self.deployed.settings.prefix, self.service.name
        leaves = tuple(leaf_alarm(prefix, service, name) for name in (*RATE_ALARMS, *STATE_ALARMS))
        return self.ports.alarms.states((self.alarm, outage_alarm(prefix, service), *leaves))

    def alarm_event(self, event_id: str) -> dict[str, Any]:
        """Build the event that CloudWatch sends when the alarm turns to ALARM now."""
        account, region = "123456789012", self._session.region_name
        return {
            "id": event_id,
            "source": "aws.cloudwatch",
            "detail-type": "CloudWatch Alarm State Change",
            "time": datetime.now(UTC).isoformat(timespec="seconds"),
            "account": account,
            "region": region,
            "resources": [f"arn:aws:cloudwatch:{region}:{account}:alarm:{self.alarm}"],
            "detail": {"alarmName": self.alarm, "state": {"value": "ALARM"}, "previousState": {"value": "OK"}},
        }

    def pages(self) -> list[str]:
        """Texts of all pages that were sent."""
        return [page.text for page in self._pager.pages()]

    def page_about(self, text: str) -> str:
        """Wait for the first page with this text."""
        return wait_for(lambda: next((page for page in self.pages() if text in page), None))

    def state_summary(self) -> tuple[object, ...]:
        """Deployments, desired count, lease and releases: a start that changes nothing leaves them as they are."""
        service = self.describe_service()
        deployments = [(d["id"], d["status"], d["taskDefinition"]) for d in service["deployments"]]
        lease = self.ports.ledger.lease(self.service.name)
        return deployments, service["desiredCount"], lease, self.releases()


def _digest(image: str) -> str:
    return image.rpartition("@")[2]
