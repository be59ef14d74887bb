"""The command line as a person uses it, on a stage instead of AWS."""

import sys
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

import pytest
from builders import SERVICE
from simulation import Simulation

from rollback.ports.world import World
from rollback_cli import deployed, direct
from rollback_cli.deployed import Deployed
from rollback_cli.main import main


@dataclass(frozen=True)
class SimulatedDeployment(Deployed):
    """What `deployed.find` gives, with the stage's world."""

    stage: Simulation

    def world(self) -> World:
        return self.stage.world


@dataclass
class Terminal:
    """Types a command; keeps what it said."""

    stage: Simulation
    capsys: pytest.CaptureFixture[str]
    monkeypatch: pytest.MonkeyPatch
    said: str = ""

    def __call__(self, *words: str) -> int:
        self.monkeypatch.setattr(sys, "argv", ["rollback", *words])
        with pytest.raises(SystemExit) as ended:
            main()
        out, err = self.capsys.readouterr()
        self.said = out + err
        return int(ended.value.code or 0)

    def verbs(self) -> list[str]:
        return [action.verb for action in self.stage.ledger.actions(SERVICE)]


@pytest.fixture
def terminal(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Callable[[Simulation], Terminal]:
    def at(stage: Simulation) -> Terminal:
        def find(environment: str) -> Deployed:
            return SimulatedDeployment(stage.world.settings, "ledger", "topic", "critical", "workflow", stage)

        def sleep(seconds: float) -> None:
            stage.pass_time(seconds=seconds)

        monkeypatch.setattr(deployed, "find", find)
        monkeypatch.setattr(direct, "whoami", lambda: "ann@desk")
        for name in ("wait_until_concluded", "run_directly"):
            monkeypatch.setattr(direct, name, partial(getattr(direct, name), sleep=sleep))
        return Terminal(stage, capsys, monkeypatch)

    return at


At = Callable[[Simulation], Terminal]
