"""Rollbacks with different ends, and the evidence about them, for tests of the written account."""

from datetime import datetime, timedelta
from typing import Any

from simulations.fake_ports import SETTINGS
from support.builders import NOW, definition, release, rollback

from rollback.check import Check
from rollback.domain.approval.gate import Approval, ApprovedFacts, Decision, DecisionKind
from rollback.domain.approval.identity import Identity
from rollback.domain.database.data_loss import DataLossReport, TableDataLoss
from rollback.domain.database.plan import DatabasePlan
from rollback.domain.database.progress import (
    CommandRun,
    DatabaseOutcome,
    OriginalBranch,
    RestorePoint,
    RestoreProgress,
)
from rollback.domain.escalation import EscalationAttempt, EscalationLevel
from rollback.domain.obligation import OPERATOR, Obligation, ObligationKind
from rollback.domain.plan import Plan
from rollback.domain.releases.release import ReleaseState
from rollback.domain.request import Request, RollbackType, Trigger
from rollback.domain.rollback import Outcome, Rollback, TriggerEvent, Verification
from rollback.domain.service_progress import ServiceProgress
from rollback.domain.settings.database import Strategy
from rollback.reports.document.build import build_document
from rollback.reports.document.model import Evidence, ReportDocument
from rollback.resources.aws.traffic import TrafficMinute

SECRET_VALUE = "hunter2-never-shown"
ALARM = "macro-ai-production-express-api-outage"
_WITHOUT_TRAFFIC = Evidence(traffic_remark="the service has no load balancer")


def at(seconds: float) -> datetime:
    """Return a time after the alarm."""
    return NOW + timedelta(seconds=seconds)


def succeeded(**changes: Any) -> Rollback:
    """Return a service rollback that an alarm triggered and that succeeded after three minutes."""
    fields: dict[str, Any] = {
        "created_at": at(4),
        "admitted_at": at(5),
        "event": TriggerEvent(id="e", at=NOW, alarm=ALARM, reason="3 datapoints were greater than the threshold (5.0)"),
        "reason": "v1.3.2 runs and passed 3 rounds of checks",
        "admission": (Check.passed("event-is-fresh", "the event is 4 s old"),),
        "plan": Plan(
            running=release("v1.4.0", state=ReleaseState.CANDIDATE, hours_ago=0.2, commit="a1b2c3d"),
            target=release("v1.3.2", hours_ago=50, commit="9f8e7d6"),
            checks=(
                Check.passed("target-differs", "v1.4.0 runs, v1.3.2 is another release", evidence={"tasks": 2}),
                Check.warned("images-are-pinned", "the tag of sidecar datadog may name another image by now"),
                Check.skipped("schema-works-with-target", "the environment has no database"),
            ),
        ),
        "service": ServiceProgress(started_at=at(9), escalation_level_since=at(9), acted_at=at(12), done_at=at(150)),
        "verification": Verification(
            started_at=at(152),
            good_rounds=3,
            rounds=3,
            checks=(Check.passed("health", "GET /health answered 200 in 0.04 s"),),
            passed_at=at(185),
        ),
        "outcome": Outcome.SUCCEEDED,
        "conclusion_started_at": at(186),
        "concluded_at": at(190),
    }
    return rollback(**{**fields, **changes})


def failed_with_obligations() -> Rollback:
    """Return a rollback that failed and left the scaling of the service suspended."""
    left = Obligation(
        kind=ObligationKind.SCALING,
        before={"min_capacity": 2, "max_capacity": 6, "suspended": {}},
        handed_to=OPERATOR,
    )
    verification = Verification(
        started_at=at(152), rounds=4, checks=(Check.failed("health", "GET /health answered 503"),)
    )
    reason = "the verification did not pass within 10 minutes"
    return succeeded(
        outcome=Outcome.FAILED, reason=reason, obligations=(left,), verification=verification, concluded_at=at(800)
    )


def refused() -> Rollback:
    """Return a rollback that its plan refused."""
    plan = Plan(
        running=release("v1.4.0", hours_ago=0.2),
        target=None,
        checks=(Check.failed("target-is-identified", "there is no release to go back to: none was promoted"),),
    )
    reason = "there is no release to go back to: none was promoted"
    return succeeded(outcome=Outcome.REFUSED, reason=reason, plan=plan, service=None, verification=None)


def rejected() -> Rollback:
    """Return a rollback that an approver rejected."""
    reason = "maria@example.com rejected the rollback: the cause is the payment provider"
    decision = Decision(
        kind=DecisionKind.REJECTED, by="unverified: maria@example.com", reason="the payment provider is down", at=at(70)
    )
    return succeeded(
        outcome=Outcome.REJECTED, reason=reason, service=None, verification=None, approval=_gate(decision=decision)
    )


def with_data_loss() -> Rollback:
    """Return a full rollback whose restore removed rows."""
    loss = DataLossReport(
        against="branch main",
        compared=2,
        databases=1,
        tables=(
            TableDataLoss(table="public.orders", rows_before=120, rows_after=117, removed_rows=3, removed_keys=("41",)),
        ),
    )
    progress = RestoreProgress(
        point=RestorePoint(at=at(-900)),
        started_at=at(10),
        before=OriginalBranch(id="br-1", name="main", protected=True),
        data_change_announced_at=at(40),
        accepted_at=at(44),
        verified_at=at(60),
        ended_at=at(62),
        backup_id="br-9",
        database_outcome=DatabaseOutcome.RESTORED,
        data_loss=loss,
    )
    database_plan = DatabasePlan(strategy=Strategy.RESTORE, branch="br-1", point=RestorePoint(at=at(-900)))
    plan = Plan(running=release("v1.4.0", hours_ago=0.2), target=release("v1.3.2"), database=database_plan, checks=())
    request = Request(service="express-api", type=RollbackType.FULL)
    return succeeded(request=request, plan=plan, database=progress)


def approved() -> Rollback:
    """Return a full rollback that one person started and another approved."""
    decision = Decision(
        kind=DecisionKind.APPROVED,
        by="arn:aws:sts::123456789012:assumed-role/OnCall/ben",
        is_verified=True,
        reason="the plan loses only rows of v1.4.0",
        at=at(7),
    )
    ada = Identity(arn="arn:aws:sts::123456789012:assumed-role/OnCall/ada", is_verified=True)
    request = Request(service="express-api", type=RollbackType.FULL, requested_by="ada", reason="a column is missing")
    gate = _gate(decision=decision, replanned_at=at(8))
    return with_data_loss().evolve(
        trigger=Trigger.MANUAL, event=None, request=request, requester=ada, created_at=at(1), admitted_at=at(2),
        approval=gate,
    )  # fmt: skip


def waiting() -> Rollback:
    """Return a rollback at a gate, whose request for a decision could not be sent."""
    gate = _gate(announcement_error="the topic refused the message")
    request = Request(service="express-api", type=RollbackType.DATABASE, requested_by="ada")
    return succeeded(
        trigger=Trigger.MANUAL, event=None, request=request, approval=gate, outcome=None, reason="", service=None,
        verification=None, conclusion_started_at=None, concluded_at=None,
    )  # fmt: skip


def _gate(**changes: Any) -> Approval:
    facts = ApprovedFacts(
        type="full",
        running="a" * 64,
        running_version="v1.4.0",
        target="b" * 64,
        target_version="v1.3.2",
        strategy="restore",
        branch="br-1",
        restore_point="0/1A2B3C4 at 02:44:50",
        schema_verdict="breaking",
    )
    gate = Approval(
        requested_at=at(5), expires_at=at(3605), reasons=("database", "breaking_or_unknown_schema"), nonce="n1",
        approved_facts=facts, announced_at=at(5), lease_returned_at=at(5),
    )  # fmt: skip
    return gate.model_copy(update=changes)


def after_health_check() -> Rollback:
    """Return a rollback that a pipeline's health check started, verified by a smoke command, a log and a database."""
    reason = "failed health checks: endpoint-health (GET /health answered 503)"
    request = Request(service="express-api", requested_by="github-actions run 812", reason=reason)
    event = TriggerEvent(id="h", at=NOW, deployment_id="ecs-svc/123", reason=reason)
    smoke = CommandRun(
        name="smoke", arn="arn:task/1", asked_at=at(155), ended_at=at(171), started=True, exit_code=0, logs=("ok",)
    )
    checks = (
        Check.passed("error-logs-are-usual", "2 error lines a minute, and 3 before", evidence={"lines": 4}),
        Check.passed("smoke-command-succeeds", "npm run smoke ended with exit code 0 in 16 s"),
        Check.warned("database-version-is-recorded", "not looked at: psql is down", evidence={"not_looked_at": "d"}),
    )
    verification = Verification(
        started_at=at(152), good_rounds=3, rounds=5, checks=checks, passed_at=at(185), smoke=smoke
    )
    return succeeded(trigger=Trigger.HEALTH_CHECK, event=event, request=request, verification=verification)


def escalated() -> Rollback:
    """Return an emergency that the first level did not help."""
    attempt = EscalationAttempt(
        escalation_level=EscalationLevel.SERVICE,
        since=at(9),
        until=at(100),
        escalation_reason="the deployment did not settle within 90 s",
        target="v1.3.2",
    )
    progress = ServiceProgress(
        started_at=at(9),
        escalation_level=EscalationLevel.EMERGENCY,
        escalation_level_since=at(100),
        attempts=(attempt,),
        acted_at=at(101),
        done_at=at(150),
    )
    return succeeded(service=progress)


def drill() -> Rollback:
    """Return a drill that an operator started."""
    request = Request(service="express-api", requested_by="maria", reason="monthly drill")
    plan = Plan(running=release("v1.4.0", hours_ago=0.2), target=release("v1.4.0", hours_ago=0.2), checks=())
    reason = "v1.4.0 was restarted and passed 3 rounds of checks"
    return succeeded(trigger=Trigger.DRILL, event=None, request=request, plan=plan, reason=reason)


def evidence() -> Evidence:
    """Return traffic with an incident, and definitions that differ in a secret variable."""
    before, after = definition("v1.4.0", cpu="512"), definition("v1.3.2")
    before["containerDefinitions"][0]["environment"] = [{"name": "API_PASSWORD", "value": SECRET_VALUE}]
    before["containerDefinitions"][0]["secrets"] = [{"name": "DB", "valueFrom": "arn:aws:ssm:eu-west-1:1:parameter/b"}]
    after["containerDefinitions"][0]["secrets"] = [{"name": "DB", "valueFrom": "arn:aws:ssm:eu-west-1:1:parameter/a"}]
    minutes = tuple(_minute(number) for number in range(-30, 13))
    return Evidence(
        traffic=minutes, traffic_remark="", previous_definition=before, target_definition=after, definitions_remark=""
    )


def _minute(number: int) -> TrafficMinute:
    requests, is_incident = 400 + number * 37 % 60, -12 <= number < 3
    return TrafficMinute(
        at=NOW + timedelta(minutes=number),
        requests=requests,
        target_errors=100 + 8 * (number + 12) if is_incident else 1 if number % 7 == 0 else 0,
        balancer_errors=12 if is_incident else 0,
        p95_seconds=1.8 if is_incident else 0.12,
    )


CASES: dict[str, tuple[Rollback, Evidence]] = {
    "succeeded": (succeeded(), evidence()),
    "failed with obligations": (failed_with_obligations(), evidence()),
    "refused": (refused(), _WITHOUT_TRAFFIC),
    "rejected": (rejected(), _WITHOUT_TRAFFIC),
    "data loss": (with_data_loss(), evidence()),
    "escalated": (escalated(), _WITHOUT_TRAFFIC),
    "drill": (drill(), evidence()),
    "approved": (approved(), evidence()),
    "waiting": (waiting(), _WITHOUT_TRAFFIC),
    "health check": (after_health_check(), evidence()),
}


def document_of(case: str) -> ReportDocument:
    """Build the account of a case."""
    document, gathered = CASES[case]
    return build_document(document, SETTINGS.services[0], gathered)


def with_hostile_text(text: str) -> ReportDocument:
    """Build an account in which a text stands in every field that comes from outside."""
    check = Check.failed(text or "x", text, evidence={text: [text]})
    plan = Plan(
        running=release(text, commit=text, images={text: text}, definition_arn=f"a/{text}"),
        target=release(text, commit=text, images={text: text}),
        checks=(check,),
    )
    before = definition(text)
    before["containerDefinitions"][0] |= {
        "name": text,
        "environment": [{"name": text, "value": "1"}],
        "secrets": [{"name": text, "valueFrom": text}],
    }
    document = failed_with_obligations().evolve(
        reason=text,
        plan=plan,
        admission=(check,),
        drift=text,
        request=Request.model_construct(service="express-api", reason=text, requested_by=text),
        event=TriggerEvent(id="e", at=NOW, alarm=text, reason=text),
    )
    gathered = Evidence(
        traffic=evidence().traffic, traffic_remark=text, previous_definition=before, target_definition=definition("v1")
    )
    return build_document(document, SETTINGS.services[0], gathered)
