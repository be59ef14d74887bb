"""`rollback show`: one rollback, with its checks and the text of its report."""

from pydantic import AwareDatetime, Field

from rollback.check import Check
from rollback.domain.approval.commands import decision_commands
from rollback.domain.phases import phases
from rollback.domain.rollback import Rollback
from rollback.domain.settings.environment import Settings
from rollback.reports.report import message
from rollback_cli.output.document import CheckResult, Document, Line, Part, ReleaseRef
from rollback_cli.output.rollbacks.history import state_in_words


class StagedCheck(CheckResult):
    """A check, and the stage that made the check."""

    stage: Line = Field(description="admission, plan or verification")


class PendingApproval(Part):
    """The approval that a rollback waits for."""

    until: AwareDatetime = Field(description="the rollback is rejected at this time, unless a person decides")
    reasons: tuple[Line, ...]
    commands: tuple[Line, ...] = Field(description="commands that approve and reject, ready to paste")


class ShownRollback(Document):
    """Output of `rollback show`."""

    id: Line
    environment: Line
    service: Line
    type: Line = Field(description="service, emergency, database or full")
    trigger: Line = Field(description="alarm, deployment_failed, health_check, manual or drill")
    state: Line = Field(description="the outcome; else `open: <step>`")
    outcome: Line | None = Field(description="null: the rollback has not ended")
    reason: Line
    is_dry_run: bool
    is_forced: bool
    is_drill: bool
    is_duplicate: bool
    request_reason: Line = Field(description="why the person or pipeline asked; empty for an alarm")
    requested_by: Line = Field(description="name that the request claims; empty for an alarm")
    verified_requester: Line | None = Field(description="ARN that AWS STS confirmed; null: none was confirmed")
    alarm: Line | None = Field(description="alarm that triggered the rollback")
    running: ReleaseRef | None = Field(description="release that ran; null: there is no plan")
    target: ReleaseRef | None = Field(description="release to go back to; null: no plan, or no target")
    checks: tuple[StagedCheck, ...]
    pending_approval: PendingApproval | None
    obligations_of_operator: tuple[Line, ...] = Field(description="settings that an operator has to put back, by kind")
    created_at: AwareDatetime
    concluded_at: AwareDatetime | None
    seconds_by_phase: dict[str, float] = Field(description="detect, decide, act, verify; a phase without an end lacks")
    report: tuple[Line, ...] = Field(description="lines of the report, as `rollback show` prints them")


def describe_rollback(rollback: Rollback, settings: Settings) -> ShownRollback:
    """Describe a rollback."""
    request, requester, plan, gate = rollback.request, rollback.requester, rollback.plan, rollback.approval
    return ShownRollback(
        id=rollback.id,
        environment=rollback.environment,
        service=rollback.service_name,
        type=request.type,
        trigger=rollback.trigger,
        state=state_in_words(rollback),
        outcome=rollback.outcome,
        reason=rollback.reason,
        is_dry_run=request.dry_run,
        is_forced=request.force,
        is_drill=rollback.is_drill,
        is_duplicate=rollback.is_duplicate,
        request_reason=request.reason,
        requested_by=request.requested_by,
        verified_requester=requester.arn if requester is not None and requester.is_verified else None,
        alarm=rollback.event.alarm if rollback.event is not None else None,
        running=ReleaseRef.of(plan.running) if plan is not None else None,
        target=ReleaseRef.of(plan.target) if plan is not None and plan.target is not None else None,
        checks=(
            *_staged("admission", rollback.admission),
            *_staged("plan", plan.checks if plan is not None else ()),
            *_staged("verification", rollback.verification.checks if rollback.verification is not None else ()),
        ),
        pending_approval=PendingApproval(
            until=gate.expires_at,
            reasons=gate.reasons,
            commands=decision_commands(rollback.environment, rollback.id),
        )
        if gate is not None and rollback.is_at_gate
        else None,
        obligations_of_operator=tuple(obligation.kind for obligation in rollback.left_to_operator()),
        created_at=rollback.created_at,
        concluded_at=rollback.concluded_at,
        seconds_by_phase=phases(rollback),
        report=tuple(message(rollback, settings.service(rollback.service_name)).split("\n")),
    )


def _staged(stage: str, checks: tuple[Check, ...]) -> tuple[StagedCheck, ...]:
    return tuple(
        StagedCheck(stage=stage, name=c.name, verdict=c.verdict, reason=c.reason, evidence=c.evidence) for c in checks
    )
