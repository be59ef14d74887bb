"""Scenarios of drills on fakes that keep state: of the service, of an emergency, and of the database."""

from dataclasses import dataclass, field, replace
from typing import Any, cast

from faults.scenarios.crash import EFFECTS, CrashingProxy
from faults.scenarios.service import PORTS, Incident
from simulations.database import DatabaseSimulation
from simulations.drills import start_database_drill_simulation, start_drill_simulation
from simulations.service import Simulation

from rollback.domain.settings.policy import Policy

_CRASHING_AT_READS = ("neon", "sql")  # the process may be killed at their reads too
_LONG_POLLS = Policy(poll_seconds=60, verify_interval_seconds=60, alarm_settle_minutes=1)


@dataclass
class DrillIncident(Incident):
    """Healthy service on which a drill runs: v2 is promoted and old, v1 is the rollback target."""

    policy: Policy = field(default_factory=lambda: _LONG_POLLS)
    good: str = "v2"

    def __post_init__(self) -> None:
        self._attach(start_drill_simulation(policy=self.policy), PORTS)

    def _attach(self, simulation: Simulation, ports: tuple[str, ...]) -> None:
        self.acting_rollback_ids = frozenset()
        self.clock, self.ledger, self.services = simulation.clock, simulation.ledger, simulation.services
        self.alarms, self.workflow = simulation.alarms, simulation.workflow
        self.notifications, self.scaling = simulation.notifications, simulation.scaling
        self.before, self.real = self.services.deployment_configuration, simulation.ports
        self.view_before = simulation.describe_service()
        fragile = {
            port: cast(
                "Any",
                CrashingProxy(getattr(self.real, port), self.outside, None if port in _CRASHING_AT_READS else EFFECTS),
            )
            for port in ports
        }
        self.ports = replace(self.real, **fragile)

    def restarts(self) -> int:
        """Number of deployments that ECS was asked for."""
        return len(self.deployed_definitions())


@dataclass
class DatabaseDrillIncident(DrillIncident):
    """The same service, with a database on a branch of Neon."""

    def __post_init__(self) -> None:
        simulation: DatabaseSimulation = start_database_drill_simulation(policy=self.policy)
        self.neon, self.branch_key = simulation.neon, simulation.branch_key
        self._attach(simulation, (*PORTS, *_CRASHING_AT_READS))
        self.rows_before = self.neon.rows("br-1")

    def pass_time(self, **duration: float) -> None:
        """Pass time, and end Neon's operations."""
        self.neon.settle()
        super().pass_time(**duration)
