"""Texts about the approval of a rollback: the request for a decision, and the decision in reports."""

import shlex
from collections.abc import Iterator

from rollback.domain.approval.commands import decision_commands
from rollback.domain.approval.gate import Approval
from rollback.domain.rollback import Rollback
from rollback.reports.planned_changes import format_changes
from rollback.text import one_line, paragraph

_SUBJECT_LIMIT = 100  # SNS, "Publish": fewer than 100 characters of ASCII
_MAX_PLAN_LINES = 10


def approval_subject(rollback: Rollback) -> str:
    """Subject of the request for a decision."""
    text = one_line(f"[{rollback.environment}] approve or reject the rollback of {rollback.service_name}")
    return text.encode("ascii", "replace").decode()[:_SUBJECT_LIMIT]


def approval_report_id(rollback: Rollback, gate: Approval) -> str:
    """Identity of the request, the same for each copy."""
    return f"{rollback.id}:approval-{gate.nonce}"


def approval_message(rollback: Rollback, gate: Approval) -> str:
    """The request for a decision as plain text: the plan, why it waits, until when, and the commands."""
    lines = [
        f"Rollback {rollback.id} waits for an approval. Nothing was changed",
        f"Until: {gate.expires_at:%Y-%m-%d %H:%M:%S} UTC; without a decision by then it is rejected",
        f"Because of: {', '.join(gate.reasons)}",
        f"Trigger: {rollback.trigger}{_cause(rollback)}",
        "Plan:",
        *(f"  {line}" for line in list(plan_lines(rollback, gate))[:_MAX_PLAN_LINES]),
        *format_changes(rollback),
        "Decide:",
        *(f"  {command}" for command in decision_commands(rollback.environment, rollback.id)),
        f"See: {shlex.join(('rollback', 'show', rollback.environment, rollback.id))}",
        f"Request {approval_report_id(rollback, gate)}",
    ]
    return "\n".join(line for text in lines for line in paragraph(text))


def plan_lines(rollback: Rollback, gate: Approval) -> Iterator[str]:
    """The facts of the plan that a person approves, one a line."""
    facts = gate.approved_facts
    target = f"{facts.target_version} ({(facts.target or '')[:12]})" if facts.target is not None else "none"
    yield f"{facts.type} rollback of {rollback.service_name}"
    yield f"runs: {facts.running_version} ({facts.running[:12]})"
    yield f"goes to: {target}" if facts.target != facts.running else "the release stays"
    if facts.strategy is not None:
        yield f"database: {facts.strategy} of branch {facts.branch}"
    if facts.restore_point is not None:
        yield f"restore point: {facts.restore_point}; rows written since leave the branch, a backup branch keeps them"
    if facts.source is not None:
        yield f"data from: {facts.source}"
    if facts.migrations:
        yield f"down-migrations: {', '.join(facts.migrations)}"
    yield f"schema verdict: {facts.schema_verdict or 'the plan needed none'}"
    if facts.overridden:
        yield f"--force overrides: {', '.join(facts.overridden)}"
    if rollback.request.reason:
        yield f"reason of the request: {rollback.request.reason}"


def waiting_in_words(rollback: Rollback) -> str | None:
    """Say that a rollback waits, for whom and until when; None: it does not wait."""
    gate = rollback.approval
    if gate is None or not rollback.is_at_gate:
        return None
    unsent = f"; the request could not be sent: {gate.announcement_error}" if gate.announcement_error else ""
    return (
        f"waits for an approval ({', '.join(gate.reasons)}) until {gate.expires_at:%Y-%m-%d %H:%M:%S} UTC, "
        f"{_who_started(rollback)}{unsent}"
    )


def format_approval(rollback: Rollback) -> Iterator[str]:
    """Lines of a report about the approval; none for a rollback that needed none."""
    gate = rollback.approval
    if gate is None:
        return
    waiting = waiting_in_words(rollback)
    if waiting is not None:
        yield f"Approval: {waiting}"
        yield from (f"  {command}" for command in decision_commands(rollback.environment, rollback.id))
        return
    if gate.decision is None:
        yield "Approval: nobody decided before the rollback ended"
        return
    carried = f", for {gate.carried_from}, which this rollback continues" if gate.carried_from is not None else ""
    yield f"Approval: {gate.decision.in_words}{carried}"


def _who_started(rollback: Rollback) -> str:
    if not rollback.is_requested_by_person:
        return f"started by {rollback.trigger}"
    if rollback.requester is not None:
        return f"started by {rollback.requester}"
    return f"started by unverified: {rollback.request.requested_by or 'unknown'}"


def _cause(rollback: Rollback) -> str:
    if rollback.event is not None and rollback.event.alarm is not None:
        return f" ({rollback.event.alarm})"
    return f", {_who_started(rollback)}" if rollback.is_requested_by_person else ""
