"""Any sequence of events: no quarantined target without force, one acting lease holder, always a conclusion."""

import contextlib
from dataclasses import dataclass, replace
from typing import Any

from fakes.aws.step_functions import execution_arn
from faults.scenarios.crash import CrashingProxy, FaultInjector, ProcessKilled
from faults.scenarios.service import PORTS, Incident
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import Bundle, RuleBasedStateMachine, consumes, invariant, multiple, precondition, rule
from simulations.fake_ports import DEGRADED, OUTAGE
from simulations.service import alarm_event, deployment_event
from support.builders import SERVICE, definition, release

from rollback.domain.operator import Pause
from rollback.domain.releases.release import ReleaseState, normalised_definition
from rollback.domain.request import Trigger
from rollback.domain.rollback import Outcome, Rollback
from rollback.domain.settings.policy import Policy
from rollback.errors import RollbackError
from rollback.promotion.readiness import prepare_standing_plan
from rollback.resources.aws.ecs_service import SCALING_FLAGS, ScalableTarget
from rollback.workflow import janitor
from rollback.workflow.admit import admit
from rollback.workflow.route import Step, entrance
from rollback.workflow.runner import Cursor, cursor_of, run_step, start_emergency

FAMILY = "macro-ai-production-task"
SHORT = Policy(
    poll_seconds=30,
    service_timeout_minutes=4,
    stuck_minutes=2,
    emergency_timeout_minutes=3,
    restart_timeout_minutes=3,
    verify_interval_seconds=30,
    verify_timeout_minutes=3,
    alarm_settle_minutes=1,
    cooldown_minutes=2,
    correlation_window_minutes=60,
    attempt_window_minutes=30,
)
KILL = st.one_of(st.none(), st.integers(min_value=1, max_value=25))
STEPS = st.sampled_from([1, 2, 3, 4, 60])


@dataclass
class Execution:
    """Execution and the cursor that it has reached."""

    name: str
    execution_input: dict[str, Any]
    cursor: Cursor | None = None

    @property
    def arn(self) -> str:
        return execution_arn(self.name)


class GuardedServices:
    """ECS or its autoscaling; asserts that the lease's holder makes each change and deploys no quarantined release."""

    def __init__(self, real: Any, incident: Incident) -> None:
        self._real, self._incident = real, incident

    def __getattr__(self, name: str) -> Any:
        method = getattr(self._real, name)
        return method if name not in ("update", "stop_deployment", "put") else self._checked(method)

    def _checked(self, method: Any) -> Any:
        def change(*arguments: Any, **named: Any) -> Any:
            lease = self._incident.ledger.lease(SERVICE)
            assert lease is not None, "a change without a lease"
            assert lease.expires_at > self._incident.clock.now(), "a change after the lease expired"
            acting = self._incident.ledger.read(SERVICE, lease.holder)
            assert acting.id in self._incident.acting_rollback_ids, (
                f"{acting.id} holds the lease, and another rollback acts"
            )
            self._assert_target_is_not_quarantined(named.get("definition_arn"), forced=self._is_forced(acting))
            return method(*arguments, **named)

        return change

    def _is_forced(self, acting: Rollback) -> bool:
        """Whether an operator forced this rollback, or one that it continues."""
        if acting.trigger is Trigger.MANUAL and acting.request.force:
            return True
        if acting.continues_rollback_id is None:
            return False
        return self._is_forced(self._incident.ledger.read(SERVICE, acting.continues_rollback_id))

    def _assert_target_is_not_quarantined(self, arn: str | None, *, forced: bool) -> None:
        if arn is None or forced:
            return
        deployed = self._incident.services.definition(arn)
        assert deployed is not None
        image = deployed["containerDefinitions"][0]["image"]
        states = {r.images["api"]: r.state for r in self._incident.ledger.releases(SERVICE)}
        assert states[image] is not ReleaseState.QUARANTINED, f"{arn} is quarantined"


class Incidents(RuleBasedStateMachine):
    """Service with its team, alarms and operators, and the executions that they start."""

    executions = Bundle("executions")

    def __init__(self) -> None:
        super().__init__()
        self.outside = FaultInjector()
        self.incident = Incident(self.outside, policy=SHORT)
        self.incident.acting_rollback_ids = set()
        active = dict.fromkeys(SCALING_FLAGS, False)
        self.incident.scaling.target = ScalableTarget(min_capacity=2, max_capacity=9, suspended=active)
        prepare_standing_plan(SERVICE, self.incident.real)
        real = self.incident.real
        guarded: dict[str, Any] = {
            port: GuardedServices(getattr(real, port), self.incident) for port in ("services", "scaling")
        }
        real = replace(real, **guarded)
        fragile: dict[str, Any] = {port: CrashingProxy(getattr(real, port), self.outside) for port in PORTS}
        self.ports = replace(real, **fragile)
        self.count = 0

    def _next(self) -> int:
        self.count += 1
        return self.count

    # Team

    @rule(behaviour=st.sampled_from(["healthy", "unhealthy", "crashing", "stale"]))
    def ship(self, behaviour: Any) -> None:
        version = f"w{self._next()}"
        arn = self.incident.services.register_release(definition(version), FAMILY)
        self.incident.services.behaviours[arn] = behaviour
        self.incident.services.deploy(arn)
        stored = release(version, state=ReleaseState.CANDIDATE, definition_arn=arn)
        stored = stored.model_copy(update={"first_deployed_at": self.incident.clock.now()})
        self.incident.ledger.record(stored, normalised_definition(definition(version), {}))

    @rule()
    def promote_the_newest(self) -> None:
        newest = next(self.incident.ledger.releases(SERVICE))
        if newest.state is ReleaseState.CANDIDATE:
            self.incident.ledger.set_release_state(newest, ReleaseState.PROMOTED, self.incident.clock.now(), "baked")
            prepare_standing_plan(SERVICE, self.incident.real)

    # Triggers of executions

    @rule(target=executions, alarm=st.sampled_from([DEGRADED, OUTAGE]))
    def turn_to_alarm(self, alarm: str) -> Execution:
        now, number = self.incident.clock.now(), self._next()
        self.incident.alarms.fire(alarm, now)
        return Execution(f"execution-{number}", alarm_event(f"event-{number}", alarm, now))

    @rule(target=executions, of=consumes(executions))
    def deliver_twice(self, of: Execution) -> Any:
        return multiple(of, Execution(f"execution-{self._next()}", of.execution_input))

    @rule(target=executions)
    def fail_deployment(self) -> Execution:
        number = self._next()
        event = {**deployment_event(event_id=f"d{number}"), "time": self.incident.clock.now().isoformat()}
        return Execution(f"execution-{number}", event)

    @rule(
        target=executions,
        kind=st.sampled_from(["service", "emergency"]),
        force=st.booleans(),
        named=st.sampled_from([None, "v1", "v2", "v3"]),
    )
    def start_by_operator(self, kind: str, force: bool, named: str | None) -> Execution:
        execution_input = {"type": kind, "force": force} | ({"target_version": named} if named else {})
        return Execution(f"execution-{self._next()}", execution_input)

    # Invocations of executions

    @rule(
        target=executions,
        of=consumes(executions),
        kill_at=KILL,
        after=st.booleans(),
        steps=STEPS,
    )
    def invoke(self, of: Execution, kill_at: int | None, after: bool, steps: int) -> Any:
        for _ in range(steps):
            if not self._invoke(of, kill_at, after=after):
                return multiple()
            kill_at = None
        return of

    @rule(
        target=executions,
        first=consumes(executions),
        second=consumes(executions),
        turns=st.lists(st.tuples(st.booleans(), KILL), min_size=2, max_size=30),
    )
    def invoke_in_turns(self, first: Execution, second: Execution, turns: list[tuple[bool, int | None]]) -> Any:
        """Invoke two executions in turns."""
        alive = {True: first, False: second}
        for which, kill_at in turns:
            if which in alive and not self._invoke(alive[which], kill_at, after=True):
                del alive[which]
        return multiple(*alive.values())

    def _invoke(self, of: Execution, kill_at: int | None, *, after: bool) -> bool:
        """Invoke the execution's next step, killed at a call; return whether the execution is still running."""
        self.incident.workflow.running.add(of.arn)
        self.outside.kill_at_call(kill_at, after=after)
        try:
            of.cursor = self._advance(of)
        except ProcessKilled:
            return True  # Step Functions retries the invocation
        except RollbackError:
            self.incident.pass_time(seconds=5)
            return True
        finally:
            self.outside.restart_process()
        if of.cursor.next is Step.DONE:
            self.incident.workflow.running.discard(of.arn)
            return False
        self.incident.pass_time(seconds=of.cursor.wait_seconds or 1)
        return True

    def _advance(self, of: Execution) -> Cursor:
        now = self.incident.clock.now()
        self.incident.acting_rollback_ids = _RollbacksOfExecution(self.incident, of.arn)
        if of.cursor is not None:
            return run_step(of.cursor.rollback_id, of.cursor.next, self.ports)
        if entrance(of.execution_input) is Step.EMERGENCY:
            return start_emergency(of.execution_input, of.arn, now, self.ports)
        return cursor_of(admit(of.execution_input, of.arn, now, self.ports))

    @rule(of=consumes(executions))
    def abandon(self, of: Execution) -> None:
        """Abandon an execution: an operator stopped it, or it failed."""
        self.incident.workflow.running.discard(of.arn)

    # Operators, janitor and time

    @rule(pause=st.sampled_from([True, False, False, False]))
    def pause_or_resume(self, pause: bool) -> None:
        if pause:
            by_ada = Pause(service=SERVICE, since=self.incident.clock.now(), by="ada", reason="drill")
            self.incident.ledger.put_pause(by_ada)
        else:
            self.incident.ledger.end_pause(SERVICE)

    @rule(target=executions, kill_at=KILL)
    def sweep(self, kill_at: int | None) -> Any:
        return multiple(*self._run_janitor(kill_at))

    def _run_janitor(self, kill_at: int | None) -> list[Execution]:
        """Run the janitor, and return the executions that it starts."""
        self.incident.acting_rollback_ids = _AllRollbacks()
        self.outside.kill_at_call(kill_at, after=True)
        with contextlib.suppress(ProcessKilled, RollbackError):
            janitor.sweep(self.ports)
        self.outside.restart_process()
        started = [Execution(name, execution_input) for name, execution_input in self.incident.workflow.started]
        self.incident.workflow.started.clear()
        return started

    @rule(minutes=st.sampled_from([1, 5, 12, 61]))
    def wait(self, minutes: int) -> None:
        self.incident.pass_time(minutes=minutes)

    @precondition(lambda self: self.incident.alarms.in_alarm)
    @rule()
    def turn_to_ok(self) -> None:
        for alarm in list(self.incident.alarms.in_alarm):
            self.incident.alarms.recover(alarm)

    @invariant()
    def a_concluded_rollback_has_no_open_obligation(self) -> None:
        for rollback in self.incident.documents():
            if rollback.concluded_at is not None:
                assert rollback.outcome is not None
                assert rollback.open_obligations() == ()

    def teardown(self) -> None:
        """Leave the rest to the janitor and its executions: every rollback must be concluded in the end."""
        self.incident.workflow.running.clear()
        for _ in range(40):
            self.incident.pass_time(minutes=5)
            for started in self._run_janitor(None):
                while self._invoke(started, None, after=False):
                    pass
        for rollback in self.incident.documents():
            assert rollback.concluded_at is not None, f"{rollback.id} was never concluded"
        lease = self.incident.ledger.lease(SERVICE)
        assert lease is None or lease.expires_at <= self.incident.clock.now()
        if self.incident.services.desired_count == 0:
            aborted = [r for r in self.incident.documents() if r.outcome is Outcome.ABORTED]
            assert any(o.handed_to == "operator" for r in aborted for o in r.obligations), (
                "the service was left at zero tasks without a handed-over obligation"
            )


class _AllRollbacks:
    """Container of every rollback: the janitor may conclude any."""

    def __contains__(self, rollback_id: object) -> bool:
        return True


class _RollbacksOfExecution:
    """Container of the rollbacks of one execution."""

    def __init__(self, incident: Incident, execution: str) -> None:
        self._incident, self._execution = incident, execution

    def __contains__(self, rollback_id: object) -> bool:
        return self._incident.ledger.read(SERVICE, str(rollback_id)).execution == self._execution


TestAnySequence = Incidents.TestCase
TestAnySequence.settings = settings(
    max_examples=60,
    stateful_step_count=40,
    deadline=None,
    derandomize=True,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.filter_too_much],
)
