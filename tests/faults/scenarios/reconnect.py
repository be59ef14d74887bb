"""Scenario of a full rollback that has restored the data: two more services are to get new connections."""

from dataclasses import replace
from typing import Any, cast

from faults.scenarios.crash import CrashingProxy, FaultInjector, ProcessKilled
from simulations.two_writers import WORKER
from simulations.writers_and_reader import FULL, REPORTS, WritersAndReaderSimulation
from support.builders import SERVICE

from rollback.domain.rollback import Rollback
from rollback.domain.settings.policy import Policy
from rollback.errors import RollbackError
from rollback.workflow import janitor
from rollback.workflow.route import Step, next_step
from rollback.workflow.runner import run_step

PING, RESET = "pnpm db:ping", "pnpm db:reset-connection"
_PORTS = ("ledger", "services", "scaling", "tasks")
# Long polls: the tests kill the process at each call, and each poll would repeat the same calls.
_POLICY = Policy(on_incompatible_schema="full", poll_seconds=60, verify_interval_seconds=60)


class ReconnectScenario:
    """`reports` gets new tasks or runs its own command; a command proves its connections and the worker's."""

    def __init__(self, outside: FaultInjector | None = None, *, by_command: bool = False) -> None:
        self.outside = outside or FaultInjector()
        self.simulation = WritersAndReaderSimulation(_POLICY)
        own: dict[str, Any] = {"reconnect_command": RESET.split()} if by_command else {}
        self.simulation.connect(REPORTS, command=PING.split(), **own)
        self.simulation.connect(WORKER, command=PING.split())
        for line in (PING, RESET):
            self.simulation.tasks.commands[line] = lambda log: 0
        self.rollback = self.simulation.run_until(self.simulation.admit(FULL), Step.RECONNECT)
        real = self.simulation.ports
        fragile = {port: cast("Any", CrashingProxy(getattr(real, port), self.outside)) for port in _PORTS}
        self.ports = replace(real, **fragile)

    @property
    def document(self) -> Rollback:
        """Document of the ledger, through JSON as the table stores it."""
        return Rollback.model_validate_json(self.simulation.read(self.rollback).model_dump_json())

    def run_to_conclusion(self, *, retries: bool = True) -> Rollback:
        """Run the steps as Step Functions does, with retries.

        Raises:
            ProcessKilled: the process was killed, and `retries` is false.
        """
        for _ in range(400):
            due = next_step(self.simulation.read(self.rollback))
            try:
                wait = run_step(self.rollback.id, due, self.ports).wait_seconds
            except (ProcessKilled, RollbackError):
                if not retries:
                    raise
                self.outside.restart_process()
                wait = 5
            if due is Step.DONE:
                return self.document
            if wait:
                self.simulation.pass_time(seconds=wait)
        raise AssertionError(f"the rollback never ended: {self.document.reconnection}")

    def sweep_until_concluded(self) -> Rollback:
        """Sweep until the janitor has concluded the abandoned rollback."""
        for _ in range(60):
            self.simulation.pass_time(minutes=5)
            janitor.sweep(self.simulation.ports)
            if self.document.concluded_at is not None:
                return self.document
        raise AssertionError(f"the janitor never concluded the rollback: {self.document}")

    def deployments(self) -> int:
        """Number of deployments of the reader that ECS was asked for."""
        return len(self.simulation.reports_deployments())

    def tasks_run(self) -> list[str]:
        return sorted(" ".join(task.command) for task in self.simulation.tasks.tasks)

    def leases(self) -> dict[str, bool]:
        """Map each service to whether a rollback holds its lease now."""
        leases_by_service = {name: self.simulation.ledger.lease(name) for name in (SERVICE, WORKER, REPORTS)}
        now = self.simulation.clock.now()
        return {name: lease is not None and lease.expires_at > now for name, lease in leases_by_service.items()}
