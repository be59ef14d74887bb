"""One service on stage: releases are shipped, rollbacks walk, time passes. For tests of whole steps on the fakes."""

from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import Any

from builders import NOW, SERVICE, definition, image, release
from fakes import (
    Behaviour,
    FakeAlarms,
    FakeClock,
    FakeHttp,
    FakeImages,
    FakeLedger,
    FakeMetrics,
    FakeNotifications,
    FakeScaling,
    FakeServices,
    FakeStacks,
    FakeWorkflow,
    execution_arn,
)
from worlds import DEGRADED, ECS_SERVICE_ARN, OUTAGE, make_ports

from rollback.check import Check
from rollback.domain.releases.release import Release, ReleaseState, normalised_definition
from rollback.domain.rollback import Rollback
from rollback.domain.settings.policy import Policy
from rollback.ports.world import World
from rollback.resources.aws.ecs_service import SCALING_FLAGS, ScalableTarget
from rollback.workflow.admit import admit
from rollback.workflow.route import Step, entrance, next_step
from rollback.workflow.runner import run_step, start_emergency

FAMILY = "macro-ai-production-task"
PROMOTED, CANDIDATE = ReleaseState.PROMOTED, ReleaseState.CANDIDATE
SUSPECT, QUARANTINED = ReleaseState.SUSPECT, ReleaseState.QUARANTINED


def alarm_event(event_id: str = "e1", alarm: str = DEGRADED, at: datetime = NOW) -> dict[str, Any]:
    """An alarm went red, at `NOW` if not said otherwise."""
    return {
        "id": event_id,
        "detail-type": "CloudWatch Alarm State Change",
        "time": at.isoformat(),
        "resources": [],
        "detail": {"alarmName": alarm, "state": {"value": "ALARM"}, "previousState": {"value": "OK"}},
    }


def deployment_event(name: str = "SERVICE_DEPLOYMENT_FAILED", event_id: str = "d1") -> dict[str, Any]:
    """ECS's word about a deployment, at `NOW`."""
    return {
        "id": event_id,
        "detail-type": "ECS Deployment State Change",
        "time": NOW.isoformat(),
        "resources": [ECS_SERVICE_ARN],
        "detail": {"eventName": name, "reason": "tasks failed to start"},
    }


@dataclass
class Simulation:
    """Nothing runs yet; the degraded alarm is red."""

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
        self.world: World = make_ports(
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
        """Other parts of the world, from now on."""
        self.world = replace(self.world, **parts)

    # What a team does

    def ship(self, version: str, state: ReleaseState = CANDIDATE, hours_ago: float = 0.2, **changes: Any) -> Release:
        """Deployed, completed and in the ledger."""
        self.arns[version] = self.services.register_release(definition(version), FAMILY)
        stored = release(version, state=state, hours_ago=hours_ago, definition_arn=self.arns[version], **changes)
        self.ledger.record(stored, normalised_definition(definition(version), {}))
        at = NOW - timedelta(hours=hours_ago)
        self.services.run(self.arns[version], desired_count=stored.desired_count, created_at=at)
        self.services.calls.clear()
        return stored

    def begin_deployment(self, version: str, behaviour: Behaviour = "healthy", tag: str | None = None) -> str:
        """A deployment begins and is in flight; the ledger does not know it yet."""
        made = definition(version)
        if tag is not None:
            made["containerDefinitions"][0]["image"] = tag
        self.arns[version] = self.services.register_release(made, FAMILY)
        self.services.behaviours[self.arns[version]] = behaviour
        self.services.deploy(self.arns[version], self.clock.now() - timedelta(minutes=2))  # before the alarm went red
        self.services.calls.clear()
        return self.arns[version]

    # What a rollback does

    def admit(self, given: object = None, execution: str = "execution-1") -> Rollback:
        """The first invocation, of an execution with this name: an emergency's goes further than Admit."""
        given = alarm_event() if given is None else given
        execution = execution_arn(execution)
        if entrance(given) is Step.EMERGENCY:
            cursor = start_emergency(given, execution, self.clock.now(), self.world)
            return self.ledger.read(SERVICE, cursor.rollback_id)
        return admit(given, execution, self.clock.now(), self.world)

    def run_alarm_rollback(self, alarm: str = DEGRADED, execution: str | None = None) -> Rollback:
        """An alarm turns red now; its execution runs to the end."""
        name = execution or f"on-{alarm}-{self.clock.now():%H%M%S}"
        return self.run(self.fire_alarm(alarm), name)

    def fire_alarm(self, alarm: str) -> dict[str, Any]:
        """An alarm turns red now; its event."""
        self.alarms.fire(alarm, self.clock.now())
        return alarm_event(f"{alarm} at {self.clock.now():%H:%M:%S}", alarm, self.clock.now())

    def read(self, rollback: Rollback) -> Rollback:
        return self.ledger.read(SERVICE, rollback.id)

    def run_due_step(self, rollback: Rollback) -> Rollback:
        """One invocation of the step that is due; time passes if it asks to wait."""
        cursor = run_step(rollback.id, next_step(self.read(rollback)), self.world)
        if cursor.wait_seconds:
            self.pass_time(seconds=cursor.wait_seconds)
        return self.read(rollback)

    def run_until(self, rollback: Rollback, until: Step = Step.DONE, most: int = 400) -> Rollback:
        """Invocation after invocation, until that step is due."""
        for _ in range(most):
            now = self.read(rollback)
            if next_step(now) is until:
                return now
            self.run_due_step(now)
        raise AssertionError(f"never came to {until}: {self.read(rollback)}")

    def run(self, given: object = None, execution: str = "execution-1") -> Rollback:
        """From the trigger to the end."""
        return self.run_to_end(self.admit(given, execution))

    def run_to_end(self, rollback: Rollback) -> Rollback:
        """From where it is to the end, and its leases given back."""
        rollback = self.run_until(rollback)
        run_step(rollback.id, Step.DONE, self.world)
        return rollback

    # What is seen

    def pass_time(self, **duration: float) -> None:
        """The clock and ECS go on; the alarms turn green over a release of `healthy_versions`."""
        self.clock.pass_time(**duration)
        self.services.tick()
        primary = self.services.describe(self.world.settings.services[0]).primary if self.services.is_active else None
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
        """What ECS was asked to change, registrations aside."""
        return [name for name, _ in self.services.calls if name != "register"]

    def running(self) -> str:
        """Image digest that PRIMARY runs."""
        found = self.services.definition(self.services.describe(self.world.settings.services[0]).primary.definition_arn)
        assert found is not None
        return str(found["containerDefinitions"][0]["image"])

    def check(self, rollback: Rollback, name: str) -> Check:
        """A check of its admission or plan, by name."""
        plan = self.read(rollback).plan
        checks = (*rollback.admission, *(plan.checks if plan is not None else ()))
        return next(check for check in checks if check.name == name)

    def pages(self) -> list[str]:
        """What people were woken up with."""
        return [sent.message for sent in self.notifications.sent if sent.attributes["severity"] == "page"]

    def severities(self) -> list[str]:
        return [sent.attributes["severity"] for sent in self.notifications.sent]


def start_simulation(**parts: Any) -> Simulation:
    """v1 is promoted; v2 came after it and runs now, without evidence."""
    stage = Simulation(**parts)
    stage.ship("v1", PROMOTED, hours_ago=48)
    stage.ship("v2")
    return stage


AUTOSCALED = ScalableTarget(min_capacity=2, max_capacity=4, suspended=dict.fromkeys(SCALING_FLAGS, False))


def start_simulation_at_zero() -> tuple[Simulation, Rollback]:
    """Nothing starts any more: an emergency has stopped all tasks, scaling suspended, and is about to start v1."""
    stage = start_simulation()
    stage.replace(scaling=FakeScaling(stage.services, AUTOSCALED))
    stage.alarms.fire(OUTAGE, stage.clock.now())
    rollback = stage.admit({"type": "emergency"})
    for _ in range(200):
        for arn in (
            *stage.arns.values(),
            stage.services.describe(stage.world.settings.services[0]).primary.definition_arn,
        ):
            stage.services.behaviours[arn] = "crashing"
        rollback = stage.run_due_step(rollback)
        if stage.services.desired_count == 0:
            stage.workflow.running.add(rollback.execution)
            return stage, rollback
    raise AssertionError(f"never at zero: {rollback}")
