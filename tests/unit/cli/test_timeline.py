"""The demo's timeline prints each fact once, however rarely the watcher polls."""

import io
import json
import re
from collections.abc import Callable
from datetime import timedelta
from types import SimpleNamespace
from typing import Any

import pytest
from rich.console import Console
from simulations.service import Simulation, start_simulation
from support.builders import NOW, SERVICE

from rollback.domain.escalation import EscalationLevel
from rollback.domain.rollback import Outcome, Rollback
from rollback.workflow.route import Step, next_step
from rollback.workflow.runner import run_step
from rollback_cli.demo.timeline.pager import Page
from rollback_cli.demo.timeline.timeline import Timeline
from rollback_cli.demo.timeline.watcher import DemoWatcher

ALARM = "macro-ai-production-express-api-degraded"


class CloudWatch:
    """CloudWatch with one alarm, and the history of its states."""

    def __init__(self) -> None:
        self.changes: list[dict[str, Any]] = []

    def change_state(self, state: str) -> None:
        at = NOW + timedelta(seconds=len(self.changes))
        data = json.dumps({"newState": {"stateValue": state}})
        self.changes.append({"AlarmName": ALARM, "Timestamp": at, "HistoryData": data})

    def get_paginator(self, operation: str) -> Any:
        pages: dict[str, list[dict[str, Any]]] = {
            "describe_alarms": [
                {"MetricAlarms": []},
                {"CompositeAlarms": [{"AlarmName": ALARM, "StateValue": "OK"}]},
            ],
            "describe_alarm_history": [{"AlarmHistoryItems": self.changes[::-1]}],
        }
        return SimpleNamespace(paginate=lambda **_: pages[operation])


class WatchedSimulation:
    """A simulation with a watcher, and the lines that the watcher has printed."""

    def __init__(self, simulation: Simulation) -> None:
        self.simulation, self.cloudwatch, self._out = simulation, CloudWatch(), io.StringIO()
        self.pages: list[Page] = []
        primary = {"status": "PRIMARY", "taskDefinition": "task:2", "rolloutState": "COMPLETED", "runningCount": 2}
        environment: Any = SimpleNamespace(
            ports=simulation.ports,
            service=SimpleNamespace(name=SERVICE),
            client=lambda name: {"cloudwatch": self.cloudwatch}[name],
            describe_service=lambda: {"deployments": [primary]},
            pages=lambda: self.pages,
        )
        self.watcher = DemoWatcher(environment, Timeline(Console(file=self._out, width=400)))

    @property
    def printed(self) -> list[str]:
        """Return the lines without the stamp and without the rollback's name."""
        lines = [line[len("   0.0s  ") :] for line in self._out.getvalue().splitlines()]
        return [re.sub(r"^\w+ rollback \w+: ", "", line) for line in lines]

    def moves(self) -> list[str]:
        """Return all moves that were printed."""
        return [word for line in self.printed if re.fullmatch(r"\w+_\w+(, \w+)*", line) for word in line.split(", ")]


@pytest.fixture
def watched() -> WatchedSimulation:
    """Watch a service that only a restart from zero repairs."""
    simulation = start_simulation()
    simulation.services.default_behaviour = "stale"
    return WatchedSimulation(simulation)


def run_rollback(watched: WatchedSimulation, is_poll_due: Callable[[Rollback], bool] = lambda _: False) -> Rollback:
    """Run a rollback to its end; the watcher polls after each invocation after which a poll is due."""
    rollback = watched.simulation.admit()
    for _ in range(400):
        if is_poll_due(rollback):
            watched.watcher.poll()
        if next_step(rollback) is Step.DONE:
            run_step(rollback.id, Step.DONE, watched.simulation.ports)
            return watched.simulation.read(rollback)
        rollback = watched.simulation.run_due_step(rollback)
    raise AssertionError(f"the rollback never ended: {rollback}")


def test_the_watcher_prints_moves_of_a_step_that_ended_between_two_polls(watched: WatchedSimulation) -> None:
    def is_at_zero_or_further_than_service(rollback: Rollback) -> bool:
        return rollback.is_fenced if next_step(rollback) is Step.SERVICE else next_step(rollback) is Step.VERIFY

    run_rollback(watched, is_at_zero_or_further_than_service)

    assert "start_from_zero" in watched.moves()


@pytest.mark.parametrize(
    "is_poll_due", [lambda _: True, lambda _: False], ids=["polls after each step", "polls only at the end"]
)
def test_the_watcher_prints_each_move_once_however_often_it_polls(
    watched: WatchedSimulation, is_poll_due: Callable[[Rollback], bool]
) -> None:
    rollback = run_rollback(watched, is_poll_due)
    watched.watcher.poll()
    watched.watcher.poll()

    assert rollback.service is not None
    assert watched.moves() == list(rollback.service.moves)


def test_a_watcher_that_polls_only_at_the_end_prints_all_facts_in_order(watched: WatchedSimulation) -> None:
    watched.cloudwatch.change_state("ALARM")
    rollback = run_rollback(watched)
    watched.cloudwatch.change_state("OK")
    watched.pages.append(Page("it is over", "and this is the reason"))

    watched.watcher.poll()

    assert rollback.outcome is Outcome.SUCCEEDED
    assert rollback.service is not None
    assert [attempt.escalation_level for attempt in rollback.service.attempts] == [
        EscalationLevel.SERVICE,
        EscalationLevel.EMERGENCY,
    ]
    patterns = [
        r"ledger: release v1 is promoted",
        rf"alarm {ALARM}: ALARM",
        r"started, trigger: alarm",
        r"v2 → v1",
        r"update_service, .*",
        r".*; escalating to emergency",
        r".*force_new_deployment.*",
        r".*; escalating to restart from zero",
        r"scale_to_zero, .*start_from_zero.*",
        r"the service runs the target",
        r"\d good rounds",
        r"ledger: release v2 is quarantined: left by .*",
        r"succeeded and concluded: v2 → v1, by restart from zero .*",
        r"PAGE: it is over",
    ]
    position = 0
    for pattern in patterns:
        lines = enumerate(watched.printed)
        matches = [index for index, line in lines if index >= position and re.fullmatch(pattern, line)]
        assert matches, (pattern, watched.printed)
        position = matches[0] + 1


def test_the_watcher_prints_an_alarm_that_fires_only_between_two_polls(watched: WatchedSimulation) -> None:
    watched.watcher.poll()
    watched.cloudwatch.change_state("ALARM")
    watched.cloudwatch.change_state("OK")

    watched.watcher.poll()
    watched.watcher.poll()

    assert [line for line in watched.printed if line.startswith("alarm")] == [
        f"alarm {ALARM}: ALARM",
        f"alarm {ALARM}: OK",
    ]


def test_the_watcher_prints_a_suppressed_rollback_in_one_line(watched: WatchedSimulation) -> None:
    watched.simulation.admit(execution="the first")
    watched.watcher.poll()
    line_count = len(watched.printed)

    watched.simulation.run(execution="the second", given=watched.simulation.fire_alarm(f"{ALARM}"))
    watched.watcher.poll()

    (line,) = watched.printed[line_count:]
    assert line.startswith("suppressed: ")
