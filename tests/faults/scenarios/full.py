"""Scenario of a full rollback on fakes that keep state: v2's migration dropped a column that v1 reads."""

from dataclasses import dataclass, field, replace
from typing import Any, cast

from fakes.aws.autoscaling import FakeScaling
from faults.scenarios.crash import EFFECTS, CrashingProxy
from faults.scenarios.service import EVENT, PORTS, Incident
from simulations.database import BAD, BRANCH, GOOD, DatabaseSimulation
from support.builders import release

from rollback.domain.database.progress import BACKUP_PREFIX
from rollback.domain.rollback import Rollback
from rollback.domain.settings.policy import Policy
from rollback.resources.aws.ecs_service import SCALING_FLAGS, ScalableTarget
from rollback.resources.database.neon import Branch
from rollback.workflow import janitor
from rollback.workflow.admit import admit
from rollback.workflow.runner import cursor_of, run_step

_CRASHING_AT_READS = ("neon", "sql")  # the process may be killed at their reads too
V1, V2 = release("v1").fingerprint, release("v2").fingerprint
SCALED = ScalableTarget(min_capacity=2, max_capacity=6, suspended=dict.fromkeys(SCALING_FLAGS, False))
# Long polls: the tests kill the process at each call, and each poll would repeat the same calls.
FULL = Policy(bake_minutes=1, poll_seconds=60, verify_interval_seconds=60, on_incompatible_schema="full")


@dataclass
class FullIncident(Incident):
    """Autoscaled service; rows 1 and 2 are from before v2's checkpoint, rows 3 and 4 from after it."""

    policy: Policy = field(default_factory=lambda: FULL)

    def __post_init__(self) -> None:
        simulation = DatabaseSimulation(self.policy)
        self.acting_rollback_ids = frozenset()
        self.clock, self.ledger, self.services = simulation.clock, simulation.ledger, simulation.services
        self.alarms, self.workflow, self.notifications = (
            simulation.alarms,
            simulation.workflow,
            simulation.notifications,
        )
        self.scaling = FakeScaling(simulation.services, SCALED)
        simulation.replace(scaling=self.scaling)
        self.neon, self.branch_key = simulation.neon, simulation.branch_key
        self.before = self.services.deployment_configuration
        self.real = simulation.ports
        ports = (*PORTS, *_CRASHING_AT_READS)
        fragile = {
            port: cast(
                "Any",
                CrashingProxy(getattr(self.real, port), self.outside, None if port in _CRASHING_AT_READS else EFFECTS),
            )
            for port in ports
        }
        self.ports = replace(self.real, **fragile)

    def backups(self) -> list[Branch]:
        """Branches that keep the state of before a restore."""
        return [branch for branch in self.neon.branches() if branch.name.startswith(BACKUP_PREFIX)]

    def pass_time(self, **duration: float) -> None:
        """Pass time and end Neon's operations; at no time may the bad release run on restored data."""
        self.neon.settle()
        super().pass_time(**duration)
        running = self.services.unstopped_tasks(self.real.settings.services[0])
        if running and self.neon.rows(BRANCH) == GOOD:
            assert self.running_fingerprint() == V1, "the bad release runs on restored data"

    def assert_no_data_loss(self) -> None:
        """Assert that one backup has the rows that the branch lost, on a protected branch without a lease."""
        rows, backups = self.neon.rows(BRANCH), [self.neon.rows(backup.id) for backup in self.backups()]
        assert (rows, backups) in ((GOOD, [GOOD + BAD]), (GOOD + BAD, []))
        branch = self.neon.branch(BRANCH)
        assert branch is not None
        assert branch.protected
        for key in (self.branch_key, "express-api"):
            lease = self.ledger.lease(key)
            assert lease is None or lease.expires_at <= self.clock.now()

    def abort_while_fenced(self, execution: str) -> Rollback:
        """Stop the execution as an operator once the branch is unprotected, and deliver the event of the stop."""
        rollback = admit(EVENT, execution, self.clock.now(), self.ports)
        cursor = cursor_of(rollback)
        while "update_branch" not in self.neon.calls:
            cursor = run_step(cursor.rollback_id, cursor.next, self.ports)
            self.pass_time(seconds=cursor.wait_seconds)
        janitor.conclude_execution(
            execution, "its execution ended as ABORTED: stopped by Ada", self.ports, by_operator=True
        )
        self.sweep_until_quiet()
        return self.ledger.read(rollback.service_name, rollback.id)
