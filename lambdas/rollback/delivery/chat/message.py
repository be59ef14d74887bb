"""Chat message about a rollback: the plan with the commands to decide, or the outcome. Ten lines at most."""

from collections.abc import Iterator
from dataclasses import dataclass

from rollback.check import Check, Verdict
from rollback.domain.delivery.phase import Phase, phase_of
from rollback.domain.ledger.page_count import aggregation_key, is_page
from rollback.domain.request import OPERATOR_TRIGGERS
from rollback.domain.rollback import Rollback
from rollback.reports.commands import report_command
from rollback.text import one_line

_MAX_LINES, _LINE, _TITLE = 10, 300, 140
_MAX_CHECKS = 3
_SHOWN_PHASES = frozenset({Phase.APPROVAL_REQUESTED, Phase.CONCLUDED, Phase.DATA_LOSS_REPORTED})


@dataclass(frozen=True)
class ChatMessage:
    """Message before it takes the form of a chat. No text is markup: each format escapes it.

    Attributes:
        message_id: equal for each copy of the message.
        thread: the rollback's id, by which messages are grouped.
        event_type: detail type of the event about the same phase.
        lines: facts, one a line.
        commands: commands for the next step, ready to paste.
        report_url: link to the stored account, for an hour at most; empty: none.
        is_page: whether an operator has to act.
    """

    message_id: str
    thread: str
    event_type: str
    title: str
    lines: tuple[str, ...]
    commands: tuple[str, ...]
    is_page: bool
    report_url: str = ""


def message_key(rollback: Rollback) -> str | None:
    """Name the message that a chat should have got by now. None: the rollback is no news for people.

    A dry run answers its requester. An automatic rollback that was suppressed, and needs no operator, is no news,
    unless it asked for an approval: its end tells people that the request is over.
    """
    phase = phase_of(rollback)
    if phase not in _SHOWN_PHASES or rollback.request.dry_run:
        return None
    if phase is not Phase.APPROVAL_REQUESTED and not _is_news(rollback):
        return None
    if aggregation_key(rollback) is not None:  # a further evaluation with the same result is no news
        return f"{phase}:{rollback.result_key}"
    return f"{rollback.evaluations}:{phase}:{rollback.outcome}"


def chat_message(rollback: Rollback, phase: Phase, report_url: str = "") -> ChatMessage:
    """Make the message about a phase.

    Args:
        rollback: the document.
        phase: approval requested, or the end. The first asks for a decision.
        report_url: link to the stored account; the command that shows the account stands beside it.
    """
    asks = phase is Phase.APPROVAL_REQUESTED
    fact = "waits for an approval" if asks else str(rollback.outcome or phase)
    title = f"[{rollback.environment}] {rollback.request.type} rollback of {rollback.service_name}: {fact}"
    drill = "Drill. " if rollback.trigger.value == "drill" else ""
    lines = [f"{drill}{line}" if number == 0 else line for number, line in enumerate(_facts(rollback))]
    return ChatMessage(
        message_id=f"{rollback.id}:{rollback.evaluations}:{phase}",
        thread=rollback.id,
        event_type=f"rollback.{phase}",
        title=one_line(title, _TITLE),
        lines=tuple(one_line(line, _LINE) for line in lines[:_MAX_LINES]),
        commands=tuple(_commands(rollback, asks=asks)),
        is_page=asks or is_page(rollback),
        report_url=report_url,
    )


def _is_news(rollback: Rollback) -> bool:
    has_asked = rollback.approval is not None and rollback.approval.carried_from is None
    return has_asked or rollback.has_acted or is_page(rollback) or rollback.trigger in OPERATOR_TRIGGERS


def _facts(rollback: Rollback) -> Iterator[str]:
    alarm = f" ({rollback.event.alarm})" if rollback.event is not None and rollback.event.alarm else ""
    yield f"Trigger: {rollback.trigger}{alarm}"
    if rollback.plan is not None:
        yield f"Plan: {rollback.plan.summary}"
    if rollback.request.requested_by:
        yield f"Requested by: {rollback.request.requested_by}"
    if rollback.request.reason:
        yield f"Reason of the request: {rollback.request.reason}"
    if rollback.reason:
        yield f"Why: {rollback.reason}"
    checks = (*rollback.admission, *(rollback.plan.checks if rollback.plan is not None else ()))
    objections = [check for check in checks if check.verdict in (Verdict.FAIL, Verdict.WARN)]
    yield from (_objection(check) for check in objections[:_MAX_CHECKS])
    if len(objections) > _MAX_CHECKS:
        yield f"{len(objections) - _MAX_CHECKS} more checks warn or fail"
    if rollback.left_to_operator():
        yield f"Settings that an operator has to restore: {len(rollback.left_to_operator())}"


def _objection(check: Check) -> str:
    return f"{check.verdict}: {check.name}: {check.reason}"


def _commands(rollback: Rollback, *, asks: bool) -> Iterator[str]:
    if asks:
        yield f"rollback approve {rollback.environment} {rollback.id} --reason '…'"
        yield f"rollback reject {rollback.environment} {rollback.id} --reason '…'"
    yield f"rollback show {rollback.environment} {rollback.id}"
    if not asks:
        yield report_command(rollback)
