"""Scenario of a service rollback on fakes that keep state, run as Step Functions, janitor and EventBridge run it."""

from collections.abc import Callable, Container, Iterable
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import Any, cast

import pytest
from fakes.aws.alarms import FakeAlarms
from fakes.aws.autoscaling import FakeScaling
from fakes.aws.ecs_services import FakeServices
from fakes.aws.sns import FakeNotifications
from fakes.aws.step_functions import FakeWorkflow, execution_arn
from fakes.clock import FakeClock
from fakes.ledger import FakeLedger
from faults.scenarios.crash import CrashingProxy, FaultInjector, ProcessKilled, crash_points
from simulations.fake_ports import DEGRADED, OUTAGE, SETTINGS, make_ports
from support.builders import NOW, SERVICE, definition, release

from rollback.domain.releases.release import ReleaseState, normalised_definition
from rollback.domain.rollback import Rollback
from rollback.domain.settings.policy import Policy
from rollback.errors import RollbackError
from rollback.identity.identify import running_fingerprint
from rollback.ports.all_ports import AllPorts
from rollback.workflow import janitor
from rollback.workflow.admit import admit
from rollback.workflow.route import Step, entrance
from rollback.workflow.runner import Cursor, cursor_of, run_step, start_emergency

EVENT = {
    "id": "e1",
    "detail-type": "CloudWatch Alarm State Change",
    "time": "2026-03-01T03:00:00Z",
    "resources": [],
    "detail": {
        "alarmName": DEGRADED,
        "state": {"value": "ALARM", "reason": "Threshold Crossed"},
        "previousState": {"value": "OK"},
    },
}
PORTS = (
    "ledger", "services", "target_groups", "scaling", "stacks", "secrets", "images", "alarms", "http", "notifications",
    "workflow",
)  # fmt: skip
_MAX_STEPS = 300


@dataclass
class Incident:
    """Service whose v1 is promoted and deregistered, whose v2 is quarantined, and whose bad v3 runs."""

    outside: FaultInjector = field(default_factory=FaultInjector)
    clock: FakeClock = field(default_factory=lambda: FakeClock(NOW))
    policy: Policy = field(default_factory=lambda: Policy(bake_minutes=1))
    older: tuple[str, ...] = ()  # promoted before v1
    good: str = "v1"  # the alarms turn to OK while this release runs

    def __post_init__(self) -> None:
        # Ids of the rollbacks that may act now; `test_any_sequence.py` checks them.
        self.acting_rollback_ids: Container[str] = frozenset()
        self.ledger = FakeLedger()
        self.services = FakeServices(self.clock)
        self.scaling = FakeScaling(self.services)
        self.alarms = FakeAlarms(DEGRADED)
        self.workflow = FakeWorkflow()
        self.notifications = FakeNotifications()
        history = (
            *((version, ReleaseState.PROMOTED, 96) for version in self.older),
            ("v1", ReleaseState.PROMOTED, 48),
            ("v2", ReleaseState.QUARANTINED, 24),
            ("v3", ReleaseState.CANDIDATE, 0.2),
        )
        for version, state, hours in history:
            arn = self.services.register_release(definition(version), "macro-ai-production-task")
            stored = release(version, state=state, hours_ago=hours, definition_arn=arn)
            self.ledger.record(stored, normalised_definition(definition(version), {}))
            self.services.run(arn, desired_count=2, created_at=NOW - timedelta(hours=hours))
        self.services.deregister(next(r for r in self.ledger.releases(SERVICE) if r.version == "v1").definition_arn)
        self.before = self.services.deployment_configuration
        self.real = make_ports(
            self.policy,
            clock=self.clock,
            services=self.services,
            scaling=self.scaling,
            ledger=self.ledger,
            alarms=self.alarms,
            workflow=self.workflow,
            notifications=self.notifications,
        )
        fragile = {port: cast("Any", CrashingProxy(getattr(self.real, port), self.outside)) for port in PORTS}
        self.ports: AllPorts = replace(self.real, **fragile)

    def documents(self) -> list[Rollback]:
        """All documents, oldest first."""
        return sorted(self.ledger.history(SERVICE), key=lambda r: r.id)

    def deployed_definitions(self) -> list[str]:
        """Definitions that ECS was asked to deploy, one for each call."""
        return [
            str(arguments["definition_arn"]) for _, arguments in self.services.calls if arguments.get("definition_arn")
        ]

    def running_fingerprint(self) -> str:
        """Fingerprint of the release that PRIMARY runs."""
        service = SETTINGS.services[0]
        return running_fingerprint(self.services.describe(service), service, self.real)

    def deliver(self, execution: str, event: object = EVENT, *, retries: bool = True) -> None:
        """Run an execution from Admit to its end; a killed invocation is retried, or the execution is abandoned."""
        execution = execution_arn(execution)
        self.workflow.running.add(execution)
        try:
            started_at = self.clock.now()
            cursor = self._run_with_restarts(lambda: self._enter(event, execution, started_at), retries)
            for _ in range(_MAX_STEPS):
                if cursor.next is Step.DONE:
                    return
                due = cursor
                cursor = self._run_with_restarts(
                    lambda due=due: run_step(due.rollback_id, due.next, self.ports), retries
                )
                if cursor.wait_seconds:
                    self.pass_time(seconds=cursor.wait_seconds)
            raise AssertionError(f"the execution didn't end in {_MAX_STEPS} steps: {cursor}")
        finally:
            self.workflow.running.discard(execution)

    def _enter(self, event: object, execution: str, started_at: datetime) -> Cursor:
        if entrance(event) is Step.EMERGENCY:
            return start_emergency(event, execution, started_at, self.ports)
        return cursor_of(admit(event, execution, started_at, self.ports))

    def _run_with_restarts(self, invoke: Any, retries: bool) -> Any:
        for _ in range(10):
            try:
                return invoke()
            except ProcessKilled:
                self.outside.restart_process()
                if not retries:
                    raise
            except RollbackError:
                self.pass_time(seconds=5)  # as the state machine's Retry does
        raise AssertionError("ten invocations failed")

    def pass_time(self, **duration: float) -> None:
        """Advance the clock and ECS's deployments; the good release turns the alarms to OK."""
        self.clock.pass_time(**duration)
        self.services.tick()
        primary = self.services.describe(SETTINGS.services[0]).primary
        if primary.rollout_state == "COMPLETED" and self.running_fingerprint() == release(self.good).fingerprint:
            self.alarms.recover(DEGRADED)
            self.alarms.recover(OUTAGE)

    def sweep_until_quiet(self, hours: int = 2) -> None:
        """Run the janitor and the executions that it starts until every rollback and alarm is over."""
        for _ in range(hours * 12):
            is_reported = all(r.concluded_at and r.is_reported for r in self.documents())
            if is_reported and not self.alarms.in_alarm and self.ledger.lease(SERVICE) is None:
                return
            self.pass_time(minutes=5)
            try:
                janitor.sweep(self.ports)
            except ProcessKilled:
                self.outside.restart_process()
            except RollbackError:
                continue
            while self.workflow.started:
                name, execution_input = self.workflow.started.pop(0)
                self.deliver(name, execution_input)


def kills_of(scenarios: Iterable[Callable[[FaultInjector], tuple[Incident, object]]]) -> list[object]:
    """List the moments before the first call and after each call of every scenario, as parameters of a test."""
    parameters: list[object] = []
    for scenario in scenarios:
        incident, event = scenario(FaultInjector())
        incident.deliver("execution-1", event)
        for at, after in crash_points(incident.outside.calls):
            parameters.append(pytest.param(scenario, at, after, id=f"{scenario.__name__}-{at}-{after}"))
    return parameters
