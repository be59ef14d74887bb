"""Scenario of a rollback whose verification runs a smoke command."""

from dataclasses import replace
from typing import Any, cast

from faults.scenarios.crash import CrashingProxy, FaultInjector, ProcessKilled
from simulations.service import Simulation, start_simulation

from rollback.domain.rollback import Rollback
from rollback.errors import RollbackError
from rollback.workflow import janitor
from rollback.workflow.route import Step, next_step
from rollback.workflow.runner import run_step

SMOKE = "pnpm smoke"
_PORTS = ("ledger", "services", "scaling", "tasks")


class SmokeScenario:
    """A rollback that has deployed its target: only Verify and Conclude are left."""

    def __init__(self, outside: FaultInjector | None = None, *, exit_code: int = 0) -> None:
        self.outside = outside or FaultInjector()
        self.simulation: Simulation = start_simulation()
        service = self.simulation.service_settings.model_copy(update={"smoke_command": tuple(SMOKE.split())})
        settings = self.simulation.ports.settings.model_copy(update={"services": (service,)})
        self.simulation.replace(settings=settings)
        self.tasks = cast("Any", self.simulation.ports.tasks)
        self.tasks.commands[SMOKE] = lambda log: exit_code
        self.rollback = self.simulation.run_until(self.simulation.admit(), Step.VERIFY)
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
        raise AssertionError(f"the rollback never ended: {self.document.verification}")

    def sweep_until_concluded(self) -> Rollback:
        """Sweep until the janitor has concluded the abandoned rollback."""
        for _ in range(60):
            self.simulation.pass_time(minutes=5)
            janitor.sweep(self.simulation.ports)
            if self.document.concluded_at is not None:
                return self.document
        raise AssertionError(f"the janitor never concluded the rollback: {self.document}")

    def tasks_run(self) -> list[str]:
        return [" ".join(task.command) for task in self.tasks.tasks]
