"""Build the written account of a rollback from its document and the gathered evidence."""

import json
from collections.abc import Iterable, Iterator

from rollback.check import Check
from rollback.domain.approval.gate import Approval
from rollback.domain.ledger.page_count import needs_operator
from rollback.domain.releases.release import Release
from rollback.domain.request import RollbackType
from rollback.domain.rollback import Outcome, Rollback
from rollback.domain.settings.environment import ServiceSettings
from rollback.reports.approval import plan_lines
from rollback.reports.commands import next_commands
from rollback.reports.condition import describe_condition, protect_branches
from rollback.reports.connections import format_connections
from rollback.reports.data_loss import format_data_loss
from rollback.reports.database import format_database
from rollback.reports.document.definition_diff import definition_differences
from rollback.reports.document.model import CheckLine, Evidence, Fact, ReleaseFacts, ReportDocument, Traffic
from rollback.reports.document.summary import summarise
from rollback.reports.document.timeline import list_events, phase_periods, requester_in_words
from rollback.reports.document.traffic import traffic_of
from rollback.reports.drill import format_drill
from rollback.reports.obligations import format_obligations
from rollback.reports.planned_changes import format_changes
from rollback.reports.service import format_service

_QUESTIONS = (
    "Why did the release fail, and which of its changes was the cause?",
    "Why did tests and the deployment's own checks not find the fault?",
    "Could the alarm have gone into ALARM earlier? Which users noticed first?",
    "Which parts went well, and which were luck?",
    "Which actions follow, who does them, and until when?",
)


def build_document(rollback: Rollback, service: ServiceSettings, evidence: Evidence) -> ReportDocument:
    """Build the account. Evidence that is missing is named in `not_looked_at`.

    Args:
        rollback: the document of the rollback, in any phase.
        service: settings of the service that is rolled back.
        evidence: what was gathered beside the document.
    """
    traffic = traffic_of(rollback, evidence.traffic or (), evidence.traffic_remark)
    return _build(rollback, service, evidence, traffic)


def rebuild_with_traffic(document: ReportDocument, traffic: Traffic, rollback: Rollback) -> ReportDocument:
    """Return the account with traffic that was measured earlier: CloudWatch may have dropped its metrics since."""
    actions = document.next_actions
    missing = tuple(line for line in document.not_looked_at if not line.startswith(_TRAFFIC))
    return document.model_copy(
        update={"traffic": traffic, "summary": summarise(rollback, traffic, actions), "not_looked_at": missing}
    )


def _build(rollback: Rollback, service: ServiceSettings, evidence: Evidence, traffic: Traffic) -> ReportDocument:
    plan, progress = rollback.plan, rollback.database
    actions = tuple(_actions(rollback, service))
    before, after = evidence.previous_definition, evidence.target_definition
    has_both = before is not None and after is not None
    differences = definition_differences(before, after) if before is not None and after is not None else ()
    loss = progress.data_loss if progress is not None else None
    return ReportDocument(
        rollback_id=rollback.id,
        environment=rollback.environment,
        service=rollback.service_name,
        trigger=str(rollback.trigger).replace("_", " "),
        outcome=str(rollback.outcome or "running"),
        is_drill=rollback.is_drill,
        summary=summarise(rollback, traffic, actions),
        request=tuple(_request(rollback)),
        events=list_events(rollback),
        phases=phase_periods(rollback),
        plan=plan.summary if plan is not None else "",
        checks=tuple(_checks(rollback)),
        previous=_release(plan.running) if plan is not None else None,
        target=_release(plan.target) if plan is not None and plan.target is not None else None,
        differences=differences,
        differences_remark="" if has_both else evidence.definitions_remark,
        change_lines=tuple(line.strip() for line in format_changes(rollback)),
        verification=_verification(rollback),
        service_lines=(
            *format_drill(rollback),
            *format_service(rollback),
            *((rollback.drift,) if rollback.drift else ()),
        ),
        database_lines=tuple(line.rstrip() for line in (*format_database(rollback), *describe_condition(rollback)))
        + tuple(format_connections(rollback)),
        data_loss_lines=tuple(format_data_loss(loss)) if loss is not None else (),
        obligation_lines=tuple(format_obligations(rollback)),
        traffic=traffic,
        next_actions=actions,
        questions=_QUESTIONS if rollback.has_acted or rollback.outcome is Outcome.FAILED else (),
        not_looked_at=tuple(_not_looked_at(rollback, evidence, traffic)),
    )


def _request(rollback: Rollback) -> Iterator[Fact]:
    request = rollback.request
    yield Fact(label="Type", text=str(request.type))
    if rollback.escalated_from_type is not None:
        yield Fact(label="Requested type", text=str(rollback.escalated_from_type))
    yield Fact(label="Trigger", text=str(rollback.trigger).replace("_", " "))
    requester = requester_in_words(rollback)
    if requester:
        yield Fact(label="Requested by", text=requester)
    if request.reason:
        yield Fact(label="Reason of the request", text=request.reason)
    if request.target_version:
        yield Fact(label="Requested target", text=request.target_version)
    if request.force:
        yield Fact(label="Force", text="yes: failed checks that may be forced did not stop the rollback")
    if rollback.approval is not None:
        yield from _approved_plan(rollback, rollback.approval)
    if rollback.continues_rollback_id:
        yield Fact(label="Continues", text=rollback.continues_rollback_id)
    if rollback.taken_over_by:
        yield Fact(label="Taken over by", text=rollback.taken_over_by)


def _approved_plan(rollback: Rollback, gate: Approval) -> Iterator[Fact]:
    yield Fact(label="Needs an approval because of", text=", ".join(gate.reasons).replace("_", " "))
    yield Fact(label="Facts to approve", text="; ".join(plan_lines(rollback, gate)))


def _checks(rollback: Rollback) -> Iterator[CheckLine]:
    yield from _lines("admission", rollback.admission)
    if rollback.plan is not None:
        yield from _lines("plan", rollback.plan.checks)
    if rollback.database is not None:
        yield from _lines("database", rollback.database.schema_checks)
    if rollback.verification is not None:
        yield from _lines("verification", rollback.verification.checks)


def _lines(stage: str, checks: Iterable[Check]) -> Iterator[CheckLine]:
    for check in checks:
        evidence = json.dumps(check.evidence, sort_keys=True, default=str) if check.evidence else ""
        yield CheckLine(
            stage=stage, name=check.name, verdict=str(check.verdict), reason=check.reason, evidence=evidence
        )


def _release(release: Release) -> ReleaseFacts:
    return ReleaseFacts(
        version=release.version,
        commit=release.commit or "",
        definition=release.definition_arn.rsplit("/", 1)[-1],
        first_deployed_at=release.first_deployed_at,
        state=str(release.state),
        images=release.images,
    )


def _verification(rollback: Rollback) -> str:
    verification = rollback.verification
    if verification is None:
        name = "drill" if rollback.is_drill else "rollback"
        return f"The release was not verified: the {name} did not come to this step"
    result = "passed" if verification.passed_at is not None else "did not pass"
    return f"The verification {result}: {verification.good_rounds} good rounds in a row, {verification.rounds} in all"


def _actions(rollback: Rollback, service: ServiceSettings) -> Iterator[str]:
    if rollback.outcome is not None and needs_operator(rollback):
        yield from (*next_commands(rollback, service), *protect_branches(rollback))


NOT_LOOKED_AT = "not_looked_at"  # the key of `verification.checks.evidence_keys`, which this package can't import
_TRAFFIC = "Requests and errors"


def _not_looked_at(rollback: Rollback, evidence: Evidence, traffic: Traffic) -> Iterator[str]:
    if not traffic.is_measured:
        yield f"{_TRAFFIC}: {traffic.remark or 'no request was counted'}"
    if evidence.previous_definition is None or evidence.target_definition is None:
        yield f"Difference of the task definitions: {evidence.definitions_remark}"
    if rollback.plan is None:
        yield "Release and target: the rollback ended before its plan"
    if rollback.verification is None:
        yield "Health of the service after the rollback: the verification did not begin"
    if rollback.has_changed_data and (rollback.database is None or rollback.database.data_loss is None):
        yield "Lost rows: the backup was not compared with the branch"
    if rollback.request.type is RollbackType.SERVICE and rollback.database is None:
        yield "The database: this rollback changed the service only"
    rounds = rollback.verification.checks if rollback.verification is not None else ()
    unanswered = [check for check in rounds if NOT_LOOKED_AT in check.evidence]
    yield from (f"Check {check.name}: {check.reason.removeprefix('not looked at: ')}" for check in unanswered)
    skipped = [line for line in _checks(rollback) if line.verdict == "skipped"]
    yield from (f"Check {line.name}: {line.reason}" for line in skipped)
