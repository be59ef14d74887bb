"""The demo's timeline tells all that came about, however rarely it looks."""

import io
import json
import re
from collections.abc import Callable
from datetime import timedelta
from types import SimpleNamespace
from typing import Any

import pytest
from builders import NOW, SERVICE
from rich.console import Console
from simulation import Simulation, start_simulation

from rollback.domain.escalation import EscalationLevel
from rollback.domain.rollback import Outcome, Rollback
from rollback.workflow.route import Step, next_step
from rollback.workflow.runner import run_step
from rollback_cli.demo.timeline.pager import Page
from rollback_cli.demo.timeline.timeline import Timeline
from rollback_cli.demo.timeline.watch import DemoWatcher

ALARM = "macro-ai-production-express-api-degraded"


class CloudWatch:
    """One alarm; its changes so far."""

    def __init__(self) -> None:
        self.changes: list[dict[str, Any]] = []

    def turn(self, state: str) -> None:
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


class Audience:
    """A watch on a stage of fakes, and what it has told."""

    def __init__(self, stage: Simulation) -> None:
        self.stage, self.cloudwatch, self._out = stage, CloudWatch(), io.StringIO()
        self.pages: list[Page] = []
        primary = {"status": "PRIMARY", "taskDefinition": "task:2", "rolloutState": "COMPLETED", "runningCount": 2}
        watched: Any = SimpleNamespace(
            world=stage.world,
            service=SimpleNamespace(name=SERVICE),
            client=lambda name: {"cloudwatch": self.cloudwatch}[name],
            described=lambda: {"deployments": [primary]},
            pages=lambda: self.pages,
        )
        self.watch = DemoWatcher(watched, Timeline(Console(file=self._out, width=400)))

    @property
    def told(self) -> list[str]:
        """Without the stamp, and without whose line it is."""
        lines = [line[len("   0.0s  ") :] for line in self._out.getvalue().splitlines()]
        return [re.sub(r"^\w+ rollback \w+: ", "", line) for line in lines]

    def moves(self) -> list[str]:
        """All moves that were told."""
        return [word for line in self.told if re.fullmatch(r"\w+_\w+(, \w+)*", line) for word in line.split(", ")]


@pytest.fixture
def audience() -> Audience:
    """Of a service that only a restart from zero mends."""
    stage = start_simulation()
    stage.services.default_behaviour = "stale"
    return Audience(stage)


def played(audience: Audience, is_due: Callable[[Rollback], bool] = lambda _: False) -> Rollback:
    """Up to the end; somebody looks after each invocation after which it is due."""
    rollback = audience.stage.admit()
    for _ in range(400):
        if is_due(rollback):
            audience.watch.poll()
        if next_step(rollback) is Step.DONE:
            run_step(rollback.id, Step.DONE, audience.stage.world)
            return audience.stage.read(rollback)
        rollback = audience.stage.run_due_step(rollback)
    raise AssertionError(f"it never ended: {rollback}")


def test_moves_are_told_also_when_the_step_has_moved_on_between_two_looks(audience: Audience) -> None:
    def is_at_zero_or_further_than_service(rollback: Rollback) -> bool:
        return rollback.is_fenced if next_step(rollback) is Step.SERVICE else next_step(rollback) is Step.VERIFY

    played(audience, is_at_zero_or_further_than_service)

    assert "start_from_zero" in audience.moves()


@pytest.mark.parametrize("is_due", [lambda _: True, lambda _: False], ids=["each time", "only at the end"])
def test_every_move_is_told_once_however_often_one_looks(
    audience: Audience, is_due: Callable[[Rollback], bool]
) -> None:
    ended = played(audience, is_due)
    audience.watch.poll()
    audience.watch.poll()

    assert ended.service is not None
    assert audience.moves() == list(ended.service.moves)


def test_who_looks_only_at_the_end_is_told_the_whole_story_in_its_order(audience: Audience) -> None:
    audience.cloudwatch.turn("ALARM")
    ended = played(audience)
    audience.cloudwatch.turn("OK")
    audience.pages.append(Page("it is over", "and this is why"))

    audience.watch.poll()

    assert ended.outcome is Outcome.SUCCEEDED
    assert ended.service is not None
    assert [left.escalation_level for left in ended.service.tried] == [
        EscalationLevel.SERVICE,
        EscalationLevel.EMERGENCY,
    ]
    wanted = [
        r"ledger: release v1 is promoted",
        rf"alarm {ALARM}: ALARM",
        r"begun, trigger alarm",
        r"v2 → v1",
        r"update_service, .*",
        r".*: on to emergency",
        r".*force_new_deployment.*",
        r".*: on to restart_from_zero",
        r"scale_to_zero, .*start_from_zero.*",
        r"settled",
        r"\d good rounds",
        r"ledger: release v2 is quarantined left by .*",
        r"succeeded and concluded: v2 → v1, by restart from zero .*",
        r"PAGE: it is over",
    ]
    at = 0
    for pattern in wanted:
        found = [index for index, line in enumerate(audience.told) if index >= at and re.fullmatch(pattern, line)]
        assert found, (pattern, audience.told)
        at = found[0] + 1


def test_an_alarm_that_is_red_only_between_two_looks_is_told(audience: Audience) -> None:
    audience.watch.poll()
    audience.cloudwatch.turn("ALARM")
    audience.cloudwatch.turn("OK")

    audience.watch.poll()
    audience.watch.poll()

    assert [line for line in audience.told if line.startswith("alarm")] == [
        f"alarm {ALARM}: ALARM",
        f"alarm {ALARM}: OK",
    ]


def test_one_that_is_turned_away_is_told_in_one_line(audience: Audience) -> None:
    audience.stage.admit(execution="the first")
    audience.watch.poll()
    before = len(audience.told)

    audience.stage.run(execution="the second", given=audience.stage.fire_alarm(f"{ALARM}"))
    audience.watch.poll()

    (line,) = audience.told[before:]
    assert line.startswith("suppressed: ")
