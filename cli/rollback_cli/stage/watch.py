"""Watches the stage and tells the timeline what changed: alarms, deployments, the rollback's own record."""

import threading
from typing import Any

from rollback.model.rollback import Outcome, Rollback
from rollback.model.route import next_step
from rollback_cli.stage.stage import Stage
from rollback_cli.stage.timeline import Timeline

_EVERY_SECONDS = 0.25


class Watch:
    """A thread that looks and tells; it changes nothing."""

    def __init__(self, stage: Stage, timeline: Timeline) -> None:
        self._stage, self._timeline = stage, timeline
        self._seen: dict[str, Any] = {}
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._run, name="watch", daemon=True)
        self._ledger = stage.deployed.world().ledger

    def start(self) -> "Watch":
        """Begin to look."""
        self._thread.start()
        return self

    def stop(self) -> None:
        """Look a last time, so that nothing that came before is left untold."""
        self._over.set()
        self._thread.join()
        self._look()

    def _run(self) -> None:
        while not self._over.wait(_EVERY_SECONDS):
            self._look()

    def _look(self) -> None:
        self._alarms()
        self._deployments()
        self._releases()
        for rollback in self._ledger.history(self._stage.service.name):
            self._rollback(rollback)

    def _tell(self, key: str, value: object, text: str, style: str) -> None:
        before, self._seen[key] = self._seen.get(key), value
        if before != value:
            self._timeline.say(text, style)

    def _alarms(self) -> None:
        described = self._stage.cloud.client("cloudwatch").describe_alarms(AlarmTypes=["MetricAlarm", "CompositeAlarm"])
        for alarm in described["MetricAlarms"] + described["CompositeAlarms"]:
            name, state = alarm["AlarmName"], alarm["StateValue"]
            if state == "ALARM" or self._seen.get(f"alarm {name}") == "ALARM":
                self._tell(f"alarm {name}", state, f"alarm {name}: {state}", "bad" if state == "ALARM" else "good")

    def _deployments(self) -> None:
        service = self._stage.described()
        for deployment in service["deployments"]:
            if deployment["status"] == "PRIMARY":
                name = deployment["taskDefinition"].rsplit("/", 1)[-1]
                state = deployment["rolloutState"]
                text = f"ECS: {name} is PRIMARY, rollout {state}, {deployment['runningCount']} tasks run"
                self._tell("primary", (name, state), text, "bad" if state == "FAILED" else "act")

    def _releases(self) -> None:
        for release in self._ledger.releases(self._stage.service.name):
            good = release.state == "promoted"
            text = f"ledger: release {release.version} is {release.state} {release.state_reason}".rstrip()
            self._tell(f"release {release.fingerprint}", release.state, text, "good" if good else "note")

    def _rollback(self, rollback: Rollback) -> None:
        step = next_step(rollback)
        moves = rollback.service.moves if rollback.service else ()
        good = rollback.verification.good_rounds if rollback.verification else 0
        parts = [f"rollback {rollback.id[-8:]}: {step}", rollback.reason]
        if moves and step == "service":
            parts.append(f"({', '.join(moves)})")
        if good and step == "verify":
            parts.append(f"({good} good rounds)")
        if rollback.outcome is not None:
            over = " and concluded" if rollback.concluded_at is not None else ", concluding"
            parts[0] = f"rollback {rollback.id[-8:]}: {rollback.outcome}{over}"
        style = "good" if rollback.outcome is Outcome.SUCCEEDED else "act"
        self._tell(f"rollback {rollback.id}", (step, moves, good, rollback.outcome), " ".join(parts), style)
