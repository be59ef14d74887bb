"""The status of a service in a few lines: `label  text`, short enough for a terminal of 80 columns."""

import shlex
import textwrap
from collections.abc import Iterator
from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING

from rollback_cli.output.records import format_records
from rollback_cli.output.status.document import ServiceStatus, Status

if TYPE_CHECKING:
    from rich.console import Console

_INDENT, _LABEL_WIDTH = 2, len("will be restored")  # the longest label
_MIN_TEXT = 40  # a narrower terminal wraps the lines by itself
_HEADER = ("service", "item", "level", "text")
_SCHEMA_LEVELS = {"compatible": "good", "unknown": "warning"}
_CHECK_LEVELS = {"fail": "error", "warn": "warning"}


class Level(StrEnum):
    """Meaning of a line, for its colour and for `grep`."""

    INFO = "info"
    GOOD = "good"
    WARNING = "warning"
    ERROR = "error"


_STYLES = {Level.INFO: "", Level.GOOD: "green", Level.WARNING: "yellow", Level.ERROR: "red"}


@dataclass(frozen=True)
class StatusLine:
    """A line of the status.

    Attributes:
        label: the item; empty: the line belongs to the item above.
        text: the text, in plain language.
        level: meaning of the line.
        is_command: the text is a command to copy, which stays on one line.
    """

    label: str
    text: str
    level: Level = Level.INFO
    is_command: bool = False


def print_status(status: Status, console: "Console") -> None:
    """Print the services one after the other, folded to the width of the terminal."""
    from rich.text import Text  # noqa: PLC0415 - only in a terminal

    for service in status.services:
        console.print(Text.assemble((service.service, "bold"), f" in {service.environment} ({service.mode})"))
        for line in status_lines(service):
            for label, text in _fold(line, console.width):
                console.print(Text.assemble(label, (text, _STYLES[line.level])), soft_wrap=True)


def status_records(status: Status) -> Iterator[str]:
    """List each line of each service as a record. A line below another has the item of that one."""
    return format_records(_HEADER, _records(status))


def _records(status: Status) -> Iterator[tuple[str, str, str, str]]:
    for service in status.services:
        yield service.service, "mode", Level.INFO, service.mode
        item = ""
        for line in status_lines(service):
            item = line.label or item
            yield service.service, item, line.level, line.text


def _fold(line: StatusLine, width: int) -> Iterator[tuple[str, str]]:
    """Yield the label, or blanks, and a part of the text for each line in the terminal."""
    indent = " " * (_INDENT + _LABEL_WIDTH + 1)
    label = f"{'':{_INDENT}}{line.label:{_LABEL_WIDTH}} "
    room = width - len(indent)
    if line.is_command or room < _MIN_TEXT:
        yield label, line.text
        return
    folded = textwrap.wrap(line.text, room, break_long_words=False, break_on_hyphens=False) or [""]
    yield label, folded[0]
    yield from ((indent, more) for more in folded[1:])


def status_lines(status: ServiceStatus) -> Iterator[StatusLine]:
    """Describe the status of a service. A part that could not be read has a line with the reason."""
    why_not = {failure.part: failure.reason for failure in status.not_read}
    for part, lines in _SECTIONS:
        yield from lines(status)
        if part in why_not:
            yield StatusLine(part, why_not[part], Level.WARNING)


def _running(status: ServiceStatus) -> Iterator[StatusLine]:
    is_read = not _is_unread(status, "runs")
    if status.running is not None:
        yield StatusLine("runs", f"{status.running.version} ({status.running.state})")
    elif is_read:
        yield StatusLine("runs", "a release that the ledger does not have")
    if status.tasks is not None:
        tasks = status.tasks
        yield StatusLine("tasks", f"{tasks.running} of {tasks.desired}, rollout {tasks.rollout}")
    if status.target is not None:
        yield StatusLine("target", status.target.name)
    elif is_read and status.running is not None and status.running.state == "promoted":
        only = f"{status.running.version} is the only promoted release"
        text = f"none yet: {only}. The next release can be rolled back to it"
        yield StatusLine("target", text, Level.WARNING)
    elif is_read:
        yield StatusLine("target", "none: the ledger has no promoted release. To promote what runs:", Level.ERROR)
        yield _command("rollback", "promote", status.environment, "--service", status.service)
    if status.drift:
        yield StatusLine("drift", f"{status.drift.partition('. ')[0].rstrip('.')}. Details:", Level.WARNING)
        yield _command("rollback", "status", status.environment, "--output", "json")


def _readiness(status: ServiceStatus) -> Iterator[StatusLine]:
    """List the checks of the standing plan that warn or fail."""
    readiness = status.readiness
    if readiness is None:
        return
    if readiness.computed_at is None:
        text = "no rollback target: the standing plan was never computed. The next sweep of the janitor computes it"
        yield StatusLine("ready", text, Level.ERROR)
        return
    state, level = {
        "ready": ("yes", Level.GOOD),
        "other_target_ready": ("the next target is ready, the last known good is not", Level.WARNING),
    }.get(readiness.state, ("no rollback target is ready", Level.ERROR))
    at, minutes = f"{readiness.computed_at:%Y-%m-%d %H:%M} UTC", readiness.age_minutes or 0.0
    yield StatusLine("ready", f"{state}, checked at {at}, {minutes:.0f} minutes ago", level)
    for check in readiness.checks:
        if check.verdict in _CHECK_LEVELS:
            yield StatusLine("", f"{check.verdict} {check.name}: {check.reason}", Level(_CHECK_LEVELS[check.verdict]))


def _database(status: ServiceStatus) -> Iterator[StatusLine]:
    """Describe what the janitor recorded of the branch; no line for a service without a database."""
    state = status.database
    if state is None:
        return
    if state.observed_at is None:
        yield StatusLine("database", "observed never", Level.WARNING)
    else:
        yield StatusLine("database", f"observed {state.observed_at:%Y-%m-%d %H:%M} UTC")
    point, schema = state.restore_point, state.schema_state
    if point is not None:
        text = f"before {point.version}, by {point.by}: {point.lsn}, {point.at:%Y-%m-%d %H:%M:%S} UTC"
        yield StatusLine("point", text)
    elif not _is_unread(status, "database"):
        yield StatusLine("point", "never", Level.WARNING)
    if schema is not None:
        level = Level(_SCHEMA_LEVELS.get(schema.compatibility, "error"))
        yield StatusLine("schema", f"{schema.compatibility} with {schema.version}: {schema.reason}", level)


def _alarms(status: ServiceStatus) -> Iterator[StatusLine]:
    if status.alarms:
        level = Level.WARNING if any(alarm.state == "ALARM" for alarm in status.alarms) else Level.INFO
        yield StatusLine("alarms", ", ".join(f"{alarm.name} {alarm.state}" for alarm in status.alarms), level)
    elif not _is_unread(status, "alarms"):
        yield StatusLine("alarms", "none", Level.WARNING)


def _rollbacks(status: ServiceStatus) -> Iterator[StatusLine]:
    if status.open_rollback is not None:
        yield StatusLine("rollback", status.open_rollback, Level.WARNING)
    elif not status.waiting and not _is_unread(status, "rollback"):
        yield StatusLine("rollback", "none in progress")
    for rollback in status.waiting:
        yield StatusLine("rollback", rollback.id, Level.WARNING)
        yield StatusLine("", rollback.text, Level.WARNING)
        yield from (StatusLine("", command, is_command=True) for command in rollback.commands)


def _drill(status: ServiceStatus) -> Iterator[StatusLine]:
    """Describe the last successful drill; no line if drills have no schedule and none succeeded."""
    drill = status.last_drill
    if drill is not None:
        text = (
            f"{drill.scenario} drill succeeded {drill.ended_at:%Y-%m-%d %H:%M} UTC, {drill.age_days:.0f} days ago, "
            f"recovery time {drill.recovery_seconds:.0f} s"
        )
        yield StatusLine("drill", text, Level.ERROR if drill.is_too_old else Level.INFO)
    elif status.has_drill_schedule and not _is_unread(status, "drill"):
        command = shlex.join(("rollback", "drill", status.environment, "--service", status.service))
        yield StatusLine("drill", f"no drill has succeeded yet; run {command}", Level.WARNING)


def _pause(status: ServiceStatus) -> Iterator[StatusLine]:
    if status.paused is not None:
        since = f"since {status.paused.since:%Y-%m-%d %H:%M} UTC by {status.paused.by}: {status.paused.reason}"
        yield StatusLine("paused", f"no automatic rollbacks {since}", Level.WARNING)


def _obligations(status: ServiceStatus) -> Iterator[StatusLine]:
    """List the settings that the operator has to restore, then those that open rollbacks of other services restore."""
    for obligation in status.to_restore:
        yield StatusLine("to restore", obligation, Level.ERROR)
    if status.to_restore:
        command = shlex.join(("rollback", "unfence", status.environment, "--service", status.service))
        yield StatusLine("", f"{command} --reason '…'", is_command=True)
    for promised in status.will_be_restored:
        yield StatusLine("will be restored", f"by {promised.rollback_id}: {', '.join(promised.kinds)}", Level.WARNING)


def _unreadable(status: ServiceStatus) -> Iterator[StatusLine]:
    for item in status.unreadable:
        yield StatusLine("unreadable", f"{item.key}: {item.reason}", Level.WARNING)


def _deliveries(status: ServiceStatus) -> Iterator[StatusLine]:
    for delivery in status.late_deliveries:
        error = f": {delivery.last_error}" if delivery.last_error else ""
        since = f"{delivery.due_since:%Y-%m-%d %H:%M} UTC" if delivery.due_since is not None else "an unknown time"
        text = f"{delivery.rollback_id} to {delivery.channel} since {since}, {delivery.attempts} attempts{error}"
        yield StatusLine("not delivered", text, Level.WARNING)
    more = status.late_delivery_count - len(status.late_deliveries)
    if more > 0:
        yield StatusLine("not delivered", f"and {more} more", Level.WARNING)


def _actions(status: ServiceStatus) -> Iterator[StatusLine]:
    for action in status.operator_actions:
        verb = f"{action.verb} {action.subject}".strip()
        yield StatusLine("by operator", f"{action.at:%Y-%m-%d %H:%M} {verb}, {action.by}: {action.reason}")


def _is_unread(status: ServiceStatus, part: str) -> bool:
    return any(failure.part == part for failure in status.not_read)


def _command(*words: str) -> StatusLine:
    return StatusLine("", shlex.join(words), is_command=True)


_SECTIONS = (
    ("runs", _running),
    ("ready", _readiness),
    ("database", _database),
    ("alarms", _alarms),
    ("rollback", _rollbacks),
    ("drill", _drill),
    ("paused", _pause),
    ("to restore", _obligations),
    ("unreadable", _unreadable),
    ("not delivered", _deliveries),
    ("by operator", _actions),
)
