"""Simulation of one service on the fakes, for tests of whole steps.

Its methods ship releases, run rollbacks and pass time.
"""

from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import Any

from fakes.aws.alarms import FakeAlarms
from fakes.aws.autoscaling import FakeScaling
from fakes.aws.cloudformation import FakeStacks
from fakes.aws.ecs_services import Behaviour, FakeServices
from fakes.aws.images import FakeImages
from fakes.aws.metrics import FakeMetrics
from fakes.aws.sns import FakeNotifications
from fakes.aws.step_functions import FakeWorkflow, execution_arn
from fakes.clock import FakeClock
from fakes.http import FakeHttp
from fakes.ledger import FakeLedger
from simulations.fake_ports import DEGRADED, ECS_SERVICE_ARN, OUTAGE, make_ports
from support.builders import NOW, SERVICE, definition, image, release

from rollback.check import Check
from rollback.domain.releases.release import Release, ReleaseState, normalised_definition
from rollback.domain.rollback import Rollback
from rollback.domain.settings.environment import ServiceSettings
from rollback.domain.settings.policy import Policy
from rollback.ports.all_ports import AllPorts
from rollback.promotion.image_protection import protect_images
from rollback.resources.aws.ecs_service import SCALING_FLAGS, ScalableTarget, ServiceView
from rollback.workflow.admit import admit
from rollback.workflow.route import Step, entrance, next_step
from rollback.workflow.runner import run_step, start_emergency

FAMILY = "macro-ai-production-task"
PROMOTED, CANDIDATE = ReleaseState.PROMOTED, ReleaseState.CANDIDATE
SUSPECT, QUARANTINED = ReleaseState.SUSPECT, ReleaseState.QUARANTINED


def alarm_event(event_id: str = "e1", alarm: str = DEGRADED, at: datetime = NOW) -> dict[str, Any]:
    """Build CloudWatch's event for an alarm that turned to ALARM."""
    return {
        "id": event_id,
        "detail-type": "CloudWatch Alarm State Change",
        "time": at.isoformat(),
        "resources": [],
        "detail": {"alarmName": alarm, "state": {"value": "ALARM"}, "previousState": {"value": "OK"}},
    }


def deployment_event(name: str = "SERVICE_DEPLOYMENT_FAILED", event_id: str = "d1") -> dict[str, Any]:
    """Build ECS's event about a deployment, at `NOW`."""
    return {
        "id": event_id,
        "detail-type": "ECS Deployment State Change",
        "time": NOW.isoformat(),
        "resources": [ECS_SERVICE_ARN],
        "detail": {"eventName": name, "reason": "tasks failed to start"},
    }


@dataclass
class Simulation:
    """A service that runs nothing yet, and whose degraded alarm is in ALARM."""

    policy: Policy = field(default_factory=Policy)
    clock: FakeClock = field(default_factory=lambda: FakeClock(NOW))
    ledger: FakeLedger = field(default_factory=FakeLedger)
    alarms: FakeAlarms = field(default_factory=lambda: FakeAlarms(DEGRADED))
    images: FakeImages = field(default_factory=FakeImages)
    http: FakeHttp = field(default_factory=FakeHttp)
    notifications: FakeNotifications = field(default_factory=FakeNotifications)
    metrics: FakeMetrics = field(default_factory=FakeMetrics)
    workflow: FakeWorkflow = field(default_factory=FakeWorkflow)
    arns: dict[str, str] = field(default_factory=dict)
    healthy_versions: set[str] = field(default_factory=lambda: {"v0", "v1"})

    def __post_init__(self) -> None:
        self.services = FakeServices(self.clock, self.images)
        self.scaling = FakeScaling(self.services)
        self.stacks = FakeStacks()
        self.ports: AllPorts = make_ports(
            self.policy,
            clock=self.clock,
            ledger=self.ledger,
            services=self.services,
            scaling=self.scaling,
            stacks=self.stacks,
            alarms=self.alarms,
            images=self.images,
            http=self.http,
            notifications=self.notifications,
            metrics=self.metrics,
            workflow=self.workflow,
        )

    def replace(self, **parts: Any) -> None:
        """Replace some ports from now on."""
        self.ports = replace(self.ports, **parts)

    @property
    def service_settings(self) -> ServiceSettings:
        """Settings of the service, or of the first of several."""
        return self.ports.settings.services[0]

    def describe_service(self) -> ServiceView:
        """Return the service as ECS describes it."""
        return self.services.describe(self.service_settings)

    # Actions of the team

    def ship(self, version: str, state: ReleaseState = CANDIDATE, hours_ago: float = 0.2, **changes: Any) -> Release:
        """Deploy a release, complete the deployment and record the release in the ledger."""
        self.arns[version] = self.services.register_release(definition(version), FAMILY)
        stored = release(version, state=state, hours_ago=hours_ago, definition_arn=self.arns[version], **changes)
        self.ledger.record(stored, normalised_definition(definition(version), {}))
        if state is PROMOTED:
            protect_images(stored, self.ports)
        at = NOW - timedelta(hours=hours_ago)
        self.services.run(self.arns[version], desired_count=stored.desired_count, created_at=at)
        self.services.calls.clear()
        return stored

    def begin_deployment(self, version: str, behaviour: Behaviour = "healthy", tag: str | None = None) -> str:
        """Begin a deployment of a release that the ledger does not know yet."""
        task_definition = definition(version)
        if tag is not None:
            task_definition["containerDefinitions"][0]["image"] = tag
        self.arns[version] = self.services.register_release(task_definition, FAMILY)
        self.services.behaviours[self.arns[version]] = behaviour
        before_the_alarm = self.clock.now() - timedelta(minutes=2)
        self.services.deploy(self.arns[version], before_the_alarm)
        self.services.calls.clear()
        return self.arns[version]

    # Invocations of a rollback

    def admit(self, given: object = None, execution: str = "execution-1") -> Rollback:
        """Run the first invocation of an execution; an emergency continues past Admit."""
        given = alarm_event() if given is None else given
        execution = execution_arn(execution)
        if entrance(given) is Step.EMERGENCY:
            cursor = start_emergency(given, execution, self.clock.now(), self.ports)
            return self.ledger.read(SERVICE, cursor.rollback_id)
        return admit(given, execution, self.clock.now(), self.ports)

    def run_alarm_rollback(self, alarm: str = DEGRADED, execution: str | None = None) -> Rollback:
        """Turn an alarm to ALARM now, and run its execution to the end."""
        name = execution or f"on-{alarm}-{self.clock.now():%H%M%S}"
        return self.run(self.fire_alarm(alarm), name)

    def fire_alarm(self, alarm: str) -> dict[str, Any]:
        """Turn an alarm to ALARM now, and return its event."""
        self.alarms.fire(alarm, self.clock.now())
        return alarm_event(f"{alarm} at {self.clock.now():%H:%M:%S}", alarm, self.clock.now())

    def read(self, rollback: Rollback) -> Rollback:
        return self.ledger.read(SERVICE, rollback.id)

    def run_due_step(self, rollback: Rollback) -> Rollback:
        """Invoke the step that is due; let time pass if the step asks to wait."""
        cursor = run_step(rollback.id, next_step(self.read(rollback)), self.ports)
        if cursor.wait_seconds:
            self.pass_time(seconds=cursor.wait_seconds)
        return self.read(rollback)

    def run_until(self, rollback: Rollback, until: Step = Step.DONE, most: int = 400) -> Rollback:
        """Invoke the steps that are due until `until` is due."""
        for _ in range(most):
            current = self.read(rollback)
            if next_step(current) is until:
                return current
            self.run_due_step(current)
        raise AssertionError(f"the rollback never reached {until}: {self.read(rollback)}")

    def run(self, given: object = None, execution: str = "execution-1") -> Rollback:
        """Run a rollback from its trigger to the end."""
        return self.run_to_end(self.admit(given, execution))

    def run_to_end(self, rollback: Rollback) -> Rollback:
        """Run a rollback on to the end, where it releases its leases."""
        rollback = self.run_until(rollback)
        run_step(rollback.id, Step.DONE, self.ports)
        return rollback

    # Time and observations

    def pass_time(self, **duration: float) -> None:
        """Advance the clock and ECS; alarms turn to OK once a release of `healthy_versions` has completed."""
        self.clock.pass_time(**duration)
        self.services.tick()
        primary = self.services.describe(self.ports.settings.services[0]).primary if self.services.is_active else None
        if (
            primary is not None
            and primary.rollout_state == "COMPLETED"
            and self.running() in map(image, self.healthy_versions)
        ):
            for alarm in list(self.alarms.in_alarm):
                self.alarms.recover(alarm)

    def state_of(self, version: str) -> ReleaseState:
        return next(r.state for r in self.ledger.releases(SERVICE) if r.version == version)

    def changes(self) -> list[str]:
        """List the names of the calls that changed ECS, without registrations of task definitions."""
        return [name for name, _ in self.services.calls if name != "register"]

    def running(self) -> str:
        """Return the image, by digest, that the PRIMARY deployment runs."""
        primary = self.services.describe(self.ports.settings.services[0]).primary
        definition = self.services.definition(primary.definition_arn)
        assert definition is not None
        return str(definition["containerDefinitions"][0]["image"])

    def check(self, rollback: Rollback, name: str) -> Check:
        """Find a check of the admission or the plan by its name."""
        plan = self.read(rollback).plan
        checks = (*rollback.admission, *(plan.checks if plan is not None else ()))
        return next(check for check in checks if check.name == name)

    def pages(self) -> list[str]:
        """List the messages of the notifications that page an operator."""
        return [
            notification.message
            for notification in self.notifications.sent
            if notification.attributes["severity"] == "page"
        ]

    def severities(self) -> list[str]:
        return [notification.attributes["severity"] for notification in self.notifications.sent]


def start_simulation(**parts: Any) -> Simulation:
    """Ship v1, which is promoted, and then v2, which runs now and has no evidence yet."""
    simulation = Simulation(**parts)
    simulation.ship("v1", PROMOTED, hours_ago=48)
    simulation.ship("v2")
    return simulation


AUTOSCALED = ScalableTarget(min_capacity=2, max_capacity=4, suspended=dict.fromkeys(SCALING_FLAGS, False))


def start_simulation_at_zero() -> tuple[Simulation, Rollback]:
    """Run an emergency until it has stopped all tasks and suspended scaling, while no release can start."""
    simulation = start_simulation()
    simulation.replace(scaling=FakeScaling(simulation.services, AUTOSCALED))
    simulation.alarms.fire(OUTAGE, simulation.clock.now())
    rollback = simulation.admit({"type": "emergency"})
    for _ in range(200):
        for arn in (
            *simulation.arns.values(),
            simulation.services.describe(simulation.ports.settings.services[0]).primary.definition_arn,
        ):
            simulation.services.behaviours[arn] = "crashing"
        rollback = simulation.run_due_step(rollback)
        if simulation.services.desired_count == 0:
            simulation.workflow.running.add(rollback.execution)
            return simulation, rollback
    raise AssertionError(f"the emergency never stopped the tasks: {rollback}")
