"""Text of an issue. Everything that came from outside stays text: no mentions, links, images, keywords or HTML.

GitHub renders a code block as it is (https://docs.github.com/en/get-started/writing-on-github, "Creating and
highlighting code blocks"). So foreign text stands in code, behind a fence that the text can't close.
"""

import hashlib
import re
from typing import Any

from rollback.delivery.github.status_rules import commit_of
from rollback.domain.database.data_loss import DataLossReport
from rollback.domain.rollback import Outcome, Rollback
from rollback.resources.github.issue import BODY_LIMIT, TITLE_LIMIT
from rollback.text import one_line, several_lines

_SAFE_ID = re.compile(r"[A-Za-z0-9.-]+", re.ASCII)
_FENCE = re.compile(r" {0,3}(`{3,}|~{3,})(.*)")
_CUT_NOTE_ROOM = 300
_BACKTICKS = re.compile(r"`+")


def rollback_marker(rollback_id: str) -> str:
    """Return the hidden first line of the issue of a rollback."""
    return f"<!-- rollback-id: {_safe_id(rollback_id)} -->"


def cause_marker(rollback: Rollback) -> str:
    """Return the hidden second line, which is equal for rollbacks of one service with one cause."""
    event = rollback.event
    cause = event.alarm if event is not None and event.alarm is not None else str(rollback.trigger)
    text = "\n".join((rollback.environment, rollback.service_name, cause))
    return f"<!-- rollback-cause: {_digest(text)} -->"


def comment_marker(rollback_id: str) -> str:
    """Return the hidden first line of a comment about a suppressed rollback."""
    return f"<!-- suppressed-rollback-id: {_safe_id(rollback_id)} -->"


def is_issue_of(body: str, rollback_id: str) -> bool:
    """Report whether a body begins with the marker of a rollback; text below it can't forge the marker."""
    return _first_lines(body)[:1] == [rollback_marker(rollback_id)]


def is_of_cause(body: str, marker: str) -> bool:
    """Report whether a body has the marker of a cause in its second line."""
    return _first_lines(body)[1:2] == [marker]


def issue_title(rollback: Rollback) -> str:
    """Return the title, which holds names of the settings only."""
    state = str(rollback.outcome) if rollback.outcome is not None else "under way"
    return one_line(f"[{rollback.environment}] Rollback of {rollback.service_name}: {state}", TITLE_LIMIT)


def issue_body(rollback: Rollback, report: str, execution_url: str) -> str:
    """Return the body in Markdown.

    Args:
        rollback: the rollback.
        report: the report in Markdown, safe as it is; empty while the rollback runs. A long report is cut.
        execution_url: page of the execution; empty: none.
    """
    plan = rollback.plan
    lines = [
        rollback_marker(rollback.id),
        cause_marker(rollback),
        "",
        f"Rollback {code(rollback.id)} of {code(rollback.service_name)} in {code(rollback.environment)}: "
        f"**{rollback.outcome or 'under way'}**",
        "",
    ]
    if plan is not None:
        target = plan.target.version if plan.target is not None else "none"
        commit = commit_of(plan.running)
        lines.append(f"- Release: {code(plan.running.version)} → {code(target)}")
        lines.append(f"- Commit: {commit or 'not known'}")
    lines += [f"- Taken over by: {code(rollback.taken_over_by)}"] if rollback.taken_over_by is not None else []
    lines += [f"- Execution: <{execution_url}>"] if execution_url else []
    lines += [f"- More: {code(f'rollback show {rollback.environment} {rollback.id}')}", ""]
    head = "\n".join(lines)
    return f"{head}\n{cut_markdown(report, BODY_LIMIT - _length(head) - 1, rollback)}".rstrip() + "\n"


def comment_body(rollback: Rollback) -> str:
    """Return the comment about a rollback that was suppressed or refused while the issue of its cause is open."""
    reason = several_lines(rollback.reason or "no reason was recorded")
    fact = "the rollback was refused" if rollback.outcome is Outcome.REFUSED else "no rollback was started"
    lines = [
        comment_marker(rollback.id),
        f"The trigger came back, and {fact} ({code(rollback.id)}):",
        "",
        fenced(reason),
    ]
    return "\n".join(lines)


def fenced(text: str) -> str:
    """Put a text into a code block, behind a fence that is longer than each run of backticks in the text."""
    longest = max((len(run) for run in _BACKTICKS.findall(text)), default=0)
    fence = "`" * max(3, longest + 1)
    return f"{fence}text\n{text}\n{fence}"


def code(text: str) -> str:
    """Put a text of one line into inline code."""
    line = one_line(text).strip()
    longest = max((len(run) for run in _BACKTICKS.findall(line)), default=0)
    ticks = "`" * (longest + 1)
    padding = " " if longest else ""
    return f"{ticks}{padding}{line or ' '}{padding}{ticks}"


def cut_markdown(text: str, limit: int, rollback: Rollback) -> str:
    """Cut Markdown at the end of a line, close its code block, and say what is missing."""
    if _length(text) <= limit:
        return text
    kept: list[str] = []
    room = limit - _CUT_NOTE_ROOM
    for line in text.split("\n"):
        room -= _length(line) + 1
        if room < 0:
            break
        kept.append(line)
    fence = _open_fence(kept)
    kept += [fence] if fence else []
    shown, whole = _length("\n".join(kept)), _length(text)
    command = code(f"rollback show {rollback.environment} {rollback.id}")
    note = f"The report has {whole} characters, of which {shown} fit here. {command} shows the rest."
    return "\n".join([*kept, "", note])


def without_row_keys(rollback: Rollback) -> Rollback:
    """Leave out the keys of lost rows: a repository may have more readers than the database. The counts stay."""
    database = rollback.database
    if database is None:
        return rollback
    changes: dict[str, Any] = {}
    if database.data_loss is not None:
        changes["data_loss"] = _report_without_keys(database.data_loss)
    analysis = database.data_loss_analysis
    if analysis is not None:
        changes["data_loss_analysis"] = analysis.evolve(report=_report_without_keys(analysis.report))
    return rollback.model_copy(update={"database": database.model_copy(update=changes)})


def _report_without_keys(report: DataLossReport) -> DataLossReport:
    no_keys = {"removed_keys": None, "changed_keys": None}
    return report.evolve(tables=tuple(table.model_copy(update=no_keys) for table in report.tables))


def is_closed_on_success(rollback: Rollback) -> bool:
    """Report whether nothing is left to do after the rollback, or another rollback has taken it over."""
    return (rollback.outcome is Outcome.SUCCEEDED and not rollback.left_to_operator()) or is_left_to_successor(rollback)


def is_left_to_successor(rollback: Rollback) -> bool:
    """Report whether another rollback took this one over, and reports all that is left to do."""
    return rollback.taken_over_by is not None and not rollback.left_to_operator()


def _open_fence(lines: list[str]) -> str:
    """Return the fence that is still open after the lines; empty: none."""
    fence = ""
    for line in lines:
        match = _FENCE.fullmatch(line)
        if match is None:
            continue
        if not fence:
            fence = match[1]
        elif match[1][0] == fence[0] and len(match[1]) >= len(fence) and not match[2].strip():
            fence = ""
    return fence


def _first_lines(body: str) -> list[str]:
    return body.replace("\r\n", "\n").split("\n", 2)[:2]


def _length(text: str) -> int:
    """Count as GitHub may at most: a character outside the basic plane as two."""
    return len(text) + sum(character > "\uffff" for character in text)


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()[:16]


def _safe_id(rollback_id: str) -> str:
    return rollback_id if _SAFE_ID.fullmatch(rollback_id) else _digest(rollback_id)
