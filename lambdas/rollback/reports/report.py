"""What people are told when a rollback ends. Names of settings, never their values."""

from collections.abc import Iterable

from rollback.check import Check, Verdict
from rollback.domain.page_count import _is_left_to_operator, is_page
from rollback.domain.plan import Plan
from rollback.domain.request import RollbackType
from rollback.domain.rollback import Obligation, Rollback
from rollback.domain.settings.environment import ServiceSettings
from rollback.reports.commands import next_commands
from rollback.reports.connections import format_connections
from rollback.reports.database import format_database, safe_condition
from rollback.reports.service import format_service
from rollback.text import one_line, paragraph


def report_id(rollback: Rollback) -> str:
    """The same for every copy of one report: outcome, and what was left to a person, are part of it."""
    left = ":not-put-back" if _is_left_to_operator(rollback) else ""
    look = f":look-{rollback.evaluations}" if rollback.evaluations > 1 else ""
    asked = (
        ":database-asked"
        if rollback.database is not None and rollback.database.last_change_checked_at is not None
        else ""
    )
    lost = ":lost-writes" if rollback.database is not None and rollback.database.lost is not None else ""
    return f"{rollback.id}:{rollback.outcome}{asked}{left}{lost}{look}"


def subject(rollback: Rollback) -> str:
    """At most 100 characters of ASCII, as SNS demands of an e-mail's subject."""
    text = one_line(f"[{rollback.environment}] rollback of {rollback.service_name} {rollback.outcome}")
    return text.encode("ascii", "replace").decode()[:100]


def message(rollback: Rollback, service: ServiceSettings) -> str:
    """The whole report in plain text."""
    lines = [
        f"Rollback {rollback.id}: {rollback.outcome}",
        f"Why: {rollback.reason or 'no reason was recorded'}",
        f"Trigger: {rollback.trigger}{_alarm(rollback)}",
        *([f"Looked at {rollback.evaluations} times; this answer is another one"] if rollback.evaluations > 1 else []),
        *_checks(rollback.admission, rollback.reason),
    ]
    if rollback.plan is not None:
        lines.append(_from_what_to_what(rollback.plan, rollback.request.type))
        lines += _checks(rollback.plan.checks, rollback.reason)
    lines += format_database(rollback)
    if rollback.service is not None and rollback.service.stop_refused:
        lines.append(f"The deployment in flight could not be stopped: {rollback.service.stop_refused}")
    lines += format_service(rollback)
    lines += format_connections(rollback)
    if rollback.verification is not None:
        lines.append(f"Verification: {rollback.verification.good_rounds} good rounds in a row")
        lines += [f"  {c.verdict:7} {c.name}: {c.reason}" for c in rollback.verification.checks]
    for owed in rollback.obligations:
        if owed.discharged_at is None:
            lines.append(_owed(owed))
    if is_page(rollback):
        lines += safe_condition(rollback)
    if rollback.drift:
        lines.append(rollback.drift)
    if rollback.recheck_at is not None:
        lines.append(f"Looked at again at {rollback.recheck_at:%H:%M:%S} UTC")
    if is_page(rollback):
        lines.append("Escalation level 3: a person has to look. Next:")
        lines += [f"  {command}" for command in next_commands(rollback, service)]
    lines.append(f"Report {report_id(rollback)}")
    return "\n".join(line for text in lines for line in paragraph(text))


def _checks(checks: Iterable[Check], why: str) -> list[str]:
    """Those that say something against it; not twice what is the reason."""
    against = (check for check in checks if check.verdict in (Verdict.FAIL, Verdict.WARN))
    return [f"  {c.verdict:7} {c.name}: {'see why' if c.reason and c.reason in why else c.reason}" for c in against]


def _from_what_to_what(plan: Plan, kind: RollbackType) -> str:
    if kind is RollbackType.DATABASE:
        return f"Of the database alone: {plan.running.version} stays"
    return f"From {plan.running.version} to {plan.target.version if plan.target else 'none'}"


def _owed(owed: Obligation) -> str:
    of = f" of {owed.service}" if owed.service is not None else ""
    if owed.handed_to is None:  # a page goes out before it is tried
        return f"Being put back: {owed.kind}{of}: was {owed.before}; another report follows if that can't be done"
    return f"NOT PUT BACK: {owed.kind}{of} (handed to {owed.handed_to}): was {owed.before}"


def _alarm(rollback: Rollback) -> str:
    return f" ({rollback.event.alarm})" if rollback.event is not None and rollback.event.alarm else ""
