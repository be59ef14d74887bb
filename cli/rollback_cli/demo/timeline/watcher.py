"""Watches the stage and tells the timeline what changed: alarms, deployments, the rollback's own record."""

import threading
from collections.abc import Iterable
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self

from local_cloud.processes.signals import defer_signals
from rollback.domain.releases.release import Release, ReleaseState
from rollback.domain.request import RollbackType
from rollback.domain.rollback import Outcome, Rollback
from rollback_cli.demo.timeline.alarm_changes import AlarmChanges
from rollback_cli.demo.timeline.pager import Page
from rollback_cli.demo.timeline.story import Fact, merge_lines, outcome_facts, progress_facts
from rollback_cli.demo.timeline.timeline import Timeline

if TYPE_CHECKING:  # the whole embedded cloud comes with it, and is not needed to watch
    from rollback_cli.demo.stage import DemoEnvironment

_POLL_SECONDS = 0.5
_SET_BY_ROLLBACK = (ReleaseState.SUSPECT, ReleaseState.QUARANTINED)


class DemoWatcher:
    """A thread that looks and tells; it changes nothing."""

    def __init__(self, stage: "DemoEnvironment", timeline: Timeline) -> None:
        self._stage, self._timeline = stage, timeline
        self._seen: dict[str, Any] = {}
        self._printed: set[tuple[str, Fact]] = set()
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._run, name="watch", daemon=True)
        self._ledger = stage.world.ledger
        self._changes = AlarmChanges(stage.client("cloudwatch"))
        self._initially_in_alarm = set(self._changes.initially_in_alarm)  # with nothing shipped yet, that is no news

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Look no more: the cloud is about to stop."""
        with defer_signals():
            self._over.set()
            self._thread.join()

    def stop(self) -> None:
        """Look a last time, and no more."""
        self._over.set()
        self._thread.join()
        self.poll()

    def _run(self) -> None:
        while not self._over.wait(_POLL_SECONDS):
            self.poll()

    def poll(self) -> None:
        """Tell what is new, causes before their effects, though a look takes a while.

        What follows from something is asked for before it: a page comes of an outcome, a rollback of an alarm. Only a
        document's outcome is told after what Conclude did, the judgement of the releases, and so it is asked for first.
        """
        pages = self._stage.pages()
        rollbacks = list(self._ledger.history(self._stage.service.name))[::-1]
        releases = list(self._ledger.releases(self._stage.service.name))
        self._releases(release for release in releases if release.state not in _SET_BY_ROLLBACK)
        self._alarms()
        for rollback in rollbacks:
            self._story(rollback, progress_facts(rollback), "act")
            self._first_change(rollback)
        self._deployments()
        self._releases(releases)
        for rollback in rollbacks:
            self._story(rollback, outcome_facts(rollback), "good" if rollback.outcome is Outcome.SUCCEEDED else "act")
        self._pages(pages)

    def _print_if_changed(self, key: str, value: object, text: str, style: str) -> None:
        before, self._seen[key] = self._seen.get(key), value
        if before != value:
            self._timeline.say(text, style)

    def _alarms(self) -> None:
        """Each change of a state, from the history: one that turned red and green again between two looks is told."""
        for name, state in self._changes.poll_changes():
            is_red, told = state == "ALARM", f"alarm {name}" in self._seen
            if not is_red:
                self._initially_in_alarm.discard(name)
            is_news = is_red and not told if name in self._changes.evidence_only else is_red or told
            if is_news and name not in self._initially_in_alarm:
                self._print_if_changed(f"alarm {name}", state, f"alarm {name}: {state}", "bad" if is_red else "good")

    def _deployments(self) -> None:
        service = self._stage.described()
        for deployment in service["deployments"]:
            if deployment["status"] == "PRIMARY":
                name = deployment["taskDefinition"].rsplit("/", 1)[-1]
                state = deployment["rolloutState"]
                text = f"ECS: {name} is PRIMARY, rollout {state}, {deployment['runningCount']} tasks run"
                self._print_if_changed("primary", (name, state), text, "bad" if state == "FAILED" else "act")

    def _releases(self, releases: Iterable[Release]) -> None:
        for release in releases:
            good = release.state == "promoted"
            text = f"ledger: release {release.version} is {release.state} {release.state_reason}".rstrip()
            self._print_if_changed(f"release {release.fingerprint}", release.state, text, "good" if good else "note")

    def _story(self, rollback: Rollback, facts: Iterable[Fact], style: str) -> None:
        fresh = [fact for fact in facts if (rollback.id, fact) not in self._printed]
        self._printed.update((rollback.id, fact) for fact in fresh)
        for line in merge_lines(fresh):
            self._timeline.say(f"{_short(rollback)}: {line}", style)

    def _first_change(self, rollback: Rollback) -> None:
        """Of an emergency: which state of the state machine ECS was first changed from."""
        service = rollback.service
        if service is None or service.acted_at is None or rollback.request.type is not RollbackType.EMERGENCY:
            return
        key = f"first change {rollback.id}"
        if key in self._seen:
            return
        client = self._stage.client("stepfunctions")
        pages = client.get_paginator("get_execution_history").paginate(executionArn=rollback.execution)
        events = [event for page in pages for event in page["events"]]
        entered = [
            e["stateEnteredEventDetails"]["name"]
            for e in events
            if e["type"] == "TaskStateEntered" and e["timestamp"] <= service.acted_at
        ]
        where = f"invocation {len(entered)} of the execution, state {entered[-1]}"
        text = f"{_short(rollback)}: ECS was first changed from within {where}"
        self._print_if_changed(key, True, text, "act")

    def _pages(self, pages: list[Page]) -> None:
        for page in pages[self._seen.get("pages", 0) :]:
            text = "\n".join(f"  | {line}" for line in page.text.splitlines())
            self._timeline.say(f"PAGE: {page.subject}\n{text}", "bad")
        self._seen["pages"] = len(pages)


def _short(rollback: Rollback) -> str:
    return f"{rollback.request.type} rollback {rollback.id[-8:]}"
