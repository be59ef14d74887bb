"""Watch the demo environment, and print to the timeline what changes: alarms, deployments, the rollbacks' documents."""

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
from rollback_cli.demo.timeline.timeline import Timeline
from rollback_cli.progress.facts import Fact, merge_lines, outcome_facts, progress_facts

if TYPE_CHECKING:  # imports the whole embedded cloud
    from rollback_cli.demo.environment import DemoEnvironment

_POLL_SECONDS = 0.5
_SET_BY_ROLLBACK = (ReleaseState.SUSPECT, ReleaseState.QUARANTINED)


class DemoWatcher:
    """A thread that polls and prints; it changes nothing in the environment."""

    def __init__(self, environment: "DemoEnvironment", timeline: Timeline) -> None:
        self._environment, self._timeline = environment, timeline
        self._last_values: dict[str, Any] = {}
        self._printed: set[tuple[str, Fact]] = set()
        self._is_stopping = threading.Event()
        self._thread = threading.Thread(target=self._run, name="watch", daemon=True)
        self._ledger = environment.ports.ledger
        self._changes = AlarmChanges(environment.client("cloudwatch"))
        # An alarm that is in ALARM before anything was shipped is no news.
        self._initially_in_alarm = set(self._changes.initially_in_alarm)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Stop polling: the embedded cloud is about to stop."""
        with defer_signals():
            self._is_stopping.set()
            self._thread.join()

    def stop(self) -> None:
        """Stop the thread, then poll a last time."""
        self._is_stopping.set()
        self._thread.join()
        self.poll()

    def _run(self) -> None:
        while not self._is_stopping.wait(_POLL_SECONDS):
            self.poll()

    def poll(self) -> None:
        """Print what has changed, causes before their effects, although reading takes a while.

        Effects are read before their causes: a page before the outcome that sends it, a rollback before its alarm. So
        no effect is read without its cause. A rollback's outcome is printed last, after the states that Conclude gave
        the releases.
        """
        pages = self._environment.pages()
        rollbacks = list(self._ledger.history(self._environment.service.name))[::-1]
        releases = list(self._ledger.releases(self._environment.service.name))
        self._print_releases(release for release in releases if release.state not in _SET_BY_ROLLBACK)
        self._print_alarms()
        for rollback in rollbacks:
            self._print_facts(rollback, progress_facts(rollback), "act")
            self._print_first_change(rollback)
        self._print_primary_deployment()
        self._print_releases(releases)
        for rollback in rollbacks:
            style = "good" if rollback.outcome is Outcome.SUCCEEDED else "act"
            self._print_facts(rollback, outcome_facts(rollback), style)
        self._print_pages(pages)

    def _print_if_changed(self, key: str, value: object, text: str, style: str) -> None:
        previous_value, self._last_values[key] = self._last_values.get(key), value
        if previous_value != value:
            self._timeline.say(text, style)

    def _print_alarms(self) -> None:
        """Print each change from the history, also of an alarm that was in ALARM only between two polls.

        An alarm without actions is printed once, when it first goes to ALARM.
        """
        for name, state in self._changes.poll_changes():
            is_in_alarm, was_printed = state == "ALARM", f"alarm {name}" in self._last_values
            if not is_in_alarm:
                self._initially_in_alarm.discard(name)
            if name in self._changes.evidence_only:
                is_news = is_in_alarm and not was_printed
            else:
                is_news = is_in_alarm or was_printed
            if is_news and name not in self._initially_in_alarm:
                style = "bad" if is_in_alarm else "good"
                self._print_if_changed(f"alarm {name}", state, f"alarm {name}: {state}", style)

    def _print_primary_deployment(self) -> None:
        service = self._environment.describe_service()
        for deployment in service["deployments"]:
            if deployment["status"] == "PRIMARY":
                name = deployment["taskDefinition"].rsplit("/", 1)[-1]
                state = deployment["rolloutState"]
                text = f"ECS: {name} is PRIMARY, rollout {state}, {deployment['runningCount']} tasks run"
                self._print_if_changed("primary", (name, state), text, "bad" if state == "FAILED" else "act")

    def _print_releases(self, releases: Iterable[Release]) -> None:
        for release in releases:
            style = "good" if release.state is ReleaseState.PROMOTED else "note"
            reason = f": {release.state_reason}" if release.state_reason else ""
            text = f"ledger: release {release.version} is {release.state}{reason}"
            self._print_if_changed(f"release {release.fingerprint}", release.state, text, style)

    def _print_facts(self, rollback: Rollback, facts: Iterable[Fact], style: str) -> None:
        new_facts = [fact for fact in facts if (rollback.id, fact) not in self._printed]
        self._printed.update((rollback.id, fact) for fact in new_facts)
        for line in merge_lines(new_facts):
            self._timeline.say(f"{_short_name(rollback)}: {line}", style)

    def _print_first_change(self, rollback: Rollback) -> None:
        """Print which state of the state machine an emergency first changed ECS from."""
        service = rollback.service
        if service is None or service.acted_at is None or rollback.request.type is not RollbackType.EMERGENCY:
            return
        key = f"first change {rollback.id}"
        if key in self._last_values:
            return
        client = self._environment.client("stepfunctions")
        pages = client.get_paginator("get_execution_history").paginate(executionArn=rollback.execution)
        events = [event for page in pages for event in page["events"]]
        entered_states = [
            e["stateEnteredEventDetails"]["name"]
            for e in events
            if e["type"] == "TaskStateEntered" and e["timestamp"] <= service.acted_at
        ]
        invocation = f"invocation {len(entered_states)} of the execution, state {entered_states[-1]}"
        text = f"{_short_name(rollback)}: ECS was first changed from within {invocation}"
        self._print_if_changed(key, True, text, "act")

    def _print_pages(self, pages: list[Page]) -> None:
        for page in pages[self._last_values.get("pages", 0) :]:
            text = "\n".join(f"  | {line}" for line in page.text.splitlines())
            self._timeline.say(f"PAGE: {page.subject}\n{text}", "bad")
        self._last_values["pages"] = len(pages)


def _short_name(rollback: Rollback) -> str:
    return f"{rollback.request.type} rollback {rollback.id[-8:]}"
