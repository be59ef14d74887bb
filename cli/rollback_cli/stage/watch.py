"""Watches the stage and tells the timeline what changed: alarms, deployments, the rollback's own record."""

import threading
from typing import Any

from rollback.model.request import RollbackType
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
        self._red_from_the_start: set[str] = set()
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._run, name="watch", daemon=True)
        self._ledger = stage.deployed.world().ledger

    def start(self) -> "Watch":
        """Begin to look. What is red already, with nothing shipped yet, is no news."""
        self._red_from_the_start = {name for name, state, _ in self._alarm_states() if state == "ALARM"}
        self._thread.start()
        return self

    def stop(self) -> None:
        """Look a last time, and no more."""
        self._over.set()
        self._thread.join()
        self._look()

    def _run(self) -> None:
        while not self._over.wait(_EVERY_SECONDS):
            self._look()

    def _look(self) -> None:
        """Rollbacks are looked up before what may have caused them, and told after it: a look takes a while."""
        rollbacks = list(self._ledger.history(self._stage.service.name))
        self._alarms()
        self._deployments()
        self._releases()
        for rollback in rollbacks:
            self._rollback(rollback)
        self._pages()

    def _tell(self, key: str, value: object, text: str, style: str) -> None:
        before, self._seen[key] = self._seen.get(key), value
        if before != value:
            self._timeline.say(text, style)

    def _alarm_states(self) -> list[tuple[str, str, bool]]:
        """Name, state, and whether it is evidence only, which is told once."""
        client = self._stage.cloud.client("cloudwatch")
        found = client.describe_alarms(AlarmTypes=["MetricAlarm", "CompositeAlarm"])
        leaves = [(a["AlarmName"], a["StateValue"], not a["AlarmActions"]) for a in found["MetricAlarms"]]
        return leaves + [(a["AlarmName"], a["StateValue"], False) for a in found["CompositeAlarms"]]

    def _alarms(self) -> None:
        for name, state, is_evidence in self._alarm_states():
            is_red, told = state == "ALARM", f"alarm {name}" in self._seen
            if not is_red:
                self._red_from_the_start.discard(name)
            is_news = is_red and not told if is_evidence else is_red or told
            if is_news and name not in self._red_from_the_start:
                self._tell(f"alarm {name}", state, f"alarm {name}: {state}", "bad" if is_red else "good")

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
        self._first_change(rollback)
        step = next_step(rollback)
        moves = rollback.service.moves if rollback.service else ()
        good = rollback.verification.good_rounds if rollback.verification else 0
        parts = [f"{_short(rollback)}: {step}", rollback.reason]
        if moves and step == "service":
            parts.append(f"({', '.join(moves)})")
        if good and step == "verify":
            parts.append(f"({good} good rounds)")
        if rollback.outcome is not None:
            closed = " and concluded" if rollback.has_acted and rollback.concluded_at is not None else ""
            parts = [f"{_short(rollback)}: {rollback.outcome}{closed}: {rollback.reason}"]
        style = "good" if rollback.outcome is Outcome.SUCCEEDED else "act"
        self._tell(f"rollback {rollback.id}", parts, " ".join(filter(None, parts)), style)

    def _first_change(self, rollback: Rollback) -> None:
        """Of an emergency: which state of the state machine ECS was first changed from."""
        service = rollback.service
        if service is None or service.acted_at is None or rollback.request.type is not RollbackType.EMERGENCY:
            return
        key = f"first change {rollback.id}"
        if key in self._seen:
            return
        client = self._stage.cloud.client("stepfunctions")
        events = client.get_execution_history(executionArn=rollback.execution, maxResults=1000)["events"]
        entered = [
            e["stateEnteredEventDetails"]["name"]
            for e in events
            if e["type"] == "TaskStateEntered" and e["timestamp"] <= service.acted_at
        ]
        where = f"invocation {len(entered)} of the execution, state {entered[-1]}"
        text = f"{_short(rollback)}: {service.moves[0]}, called from within {where}"
        self._tell(key, True, text, "act")

    def _pages(self) -> None:
        pages = self._stage.pages()
        for page in pages[self._seen.get("pages", 0) :]:
            text = "\n".join(f"  | {line}" for line in page.text.splitlines())
            self._timeline.say(f"PAGE: {page.subject}\n{text}", "bad")
        self._seen["pages"] = len(pages)


def _short(rollback: Rollback) -> str:
    return f"{rollback.request.type} rollback {rollback.id[-8:]}"
