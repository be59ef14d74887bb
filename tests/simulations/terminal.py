"""The `rollback` command as an operator types it, against a simulation instead of AWS."""

import os
import sys
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import pytest
from simulations.service import Simulation
from support.builders import SERVICE

from rollback.ports.all_ports import AllPorts
from rollback_cli import deployed_stack, health_check, requester
from rollback_cli.deployed_stack import DeployedStack
from rollback_cli.direct import conclude, run
from rollback_cli.main import main
from rollback_cli.progress import follow


@dataclass(frozen=True)
class SimulatedDeployment(DeployedStack):
    """A deployed stack whose ports are those of a simulation."""

    simulation: Simulation

    def ports(self) -> AllPorts:
        return self.simulation.ports


@dataclass
class Terminal:
    """Run a command as a pipeline does, and store its output in `said`; without the errors in `output`."""

    simulation: Simulation
    capsys: pytest.CaptureFixture[str]
    monkeypatch: pytest.MonkeyPatch
    said: str = ""
    output: str = ""

    def __call__(self, *words: str) -> int:
        self.monkeypatch.setattr(sys, "argv", ["rollback", *words])
        with pytest.raises(SystemExit) as exit_info:
            main()
        self.output, errors = self.capsys.readouterr()
        self.said = self.output + errors
        return int(exit_info.value.code or 0)

    def in_terminal(self, *words: str, columns: int = 80) -> int:
        """Run a command as a person does, in a terminal of this width."""
        with self.monkeypatch.context() as patch:
            patch.setattr(sys.stdout, "isatty", lambda: True)
            patch.setenv("TERM", "xterm" if os.environ.get("FORCE_COLOR") else "dumb")
            patch.setenv("COLUMNS", str(columns))
            patch.setenv("LINES", "50")  # without it rich takes a dumb terminal for one of 80 columns
            return self(*words)

    def verbs(self) -> list[str]:
        return [action.verb for action in self.simulation.ledger.actions(SERVICE)]


@pytest.fixture
def terminal(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> Callable[[Simulation], Terminal]:
    monkeypatch.setenv("ROLLBACK_CACHE_DIR", str(tmp_path))

    def at(simulation: Simulation) -> Terminal:
        def find_deployment(environment: str) -> DeployedStack:
            return SimulatedDeployment(simulation.ports.settings, "ledger", "topic", "critical", "workflow", simulation)

        def sleep(seconds: float) -> None:
            simulation.pass_time(seconds=seconds)

        monkeypatch.setattr(deployed_stack, "find_deployment", find_deployment)
        monkeypatch.setattr(requester, "requester_name", lambda: "ann@desk")
        monkeypatch.setattr(conclude, "wait_until_concluded", partial(conclude.wait_until_concluded, sleep=sleep))
        monkeypatch.setattr(run, "run_directly", partial(run.run_directly, sleep=sleep))
        monkeypatch.setattr(follow, "pause", lambda: sleep(1))
        monkeypatch.setattr(health_check, "check_health", partial(health_check.check_health, sleep=sleep))
        return Terminal(simulation, capsys, monkeypatch)

    return at


At = Callable[[Simulation], Terminal]
