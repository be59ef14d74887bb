"""The report that an operator gets when a rollback ends: subject, facts, actions.

A report names settings, never their values. Each section is a function that says one thing; texts such as reasons and
notes come from the step that decided them.
"""

import shlex
from collections.abc import Iterator

from rollback.check import Verdict
from rollback.domain.ledger.page_count import needs_operator
from rollback.domain.plan import Plan
from rollback.domain.releases.release import ReleaseState
from rollback.domain.request import DEPLOYMENT_CHECKS, RollbackType, Trigger
from rollback.domain.rollback import Outcome, Rollback
from rollback.domain.settings.environment import ServiceSettings
from rollback.reports.approval import format_approval
from rollback.reports.commands import next_commands
from rollback.reports.condition import describe_condition, protect_branches
from rollback.reports.connections import format_connections
from rollback.reports.database import format_database
from rollback.reports.database_probe import format_database_probe
from rollback.reports.drill import format_drill
from rollback.reports.obligations import format_obligations
from rollback.reports.planned_changes import format_changes, format_checks
from rollback.reports.service import format_service
from rollback.text import one_line, paragraph

_SUBJECT_LIMIT = 100  # SNS, "Publish": fewer than 100 characters of ASCII


def report_id(rollback: Rollback) -> str:
    """Identity of one report, the same for each copy: the rollback, its outcome, and the facts it reports."""
    database = rollback.database
    is_change_checked = database is not None and database.last_change_checked_at is not None
    parts = {
        ":database-checked": is_change_checked,
        ":not-restored": bool(rollback.left_to_operator()),
        ":data-loss": database is not None and database.data_loss is not None,
        f":evaluation-{rollback.evaluations}": rollback.evaluations > 1,
    }
    return f"{rollback.id}:{rollback.outcome or 'open'}{''.join(part for part, applies in parts.items() if applies)}"


def subject(rollback: Rollback) -> str:
    """Subject of the e-mail: at most 100 characters of ASCII, as SNS demands."""
    what = "Drill: [{}] {} rollback of {} {}" if rollback.is_drill else "[{0}] rollback of {2} {3}"
    text = one_line(what.format(rollback.environment, rollback.request.type, rollback.service_name, rollback.outcome))
    return text.encode("ascii", "replace").decode()[:_SUBJECT_LIMIT]


def message(rollback: Rollback, service: ServiceSettings, link: str = "") -> str:
    """The whole report as plain text. `link` leads to the written account: a URL or a command."""
    lines = [*_subject_lines(rollback), *_facts(rollback), *_actions(rollback, service)]
    if link:
        lines.append(f"Written account: {link}")
    lines.append(f"Report {report_id(rollback)}")
    return "\n".join(line for text in lines for line in paragraph(text))


def _subject_lines(rollback: Rollback) -> Iterator[str]:
    """Say which rollback ended, how, why, and what triggered it."""
    yield f"{'Drill' if rollback.is_drill else 'Rollback'} {rollback.id}: {rollback.outcome or _open_state(rollback)}"
    yield f"Why: {rollback.reason or 'no reason was recorded'}"
    source = f" ({rollback.event.alarm})" if rollback.event is not None and rollback.event.alarm else ""
    if rollback.trigger in DEPLOYMENT_CHECKS:
        source = f", started by {rollback.request.requested_by}: {rollback.request.reason}"
    yield f"Trigger: {rollback.trigger}{source}"
    if rollback.evaluations > 1:
        yield f"The trigger was evaluated {rollback.evaluations} times; this result differs from the last report"


def _open_state(rollback: Rollback) -> str:
    return "waits for an approval" if rollback.is_at_gate else "in progress"


def _facts(rollback: Rollback) -> Iterator[str]:
    """List the facts in the order of the workflow: admission, plan, changes, verification, obligations."""
    yield from format_drill(rollback)
    if rollback.plan is not None:
        yield _from_version_to_version(rollback.plan, rollback.request.type)
    yield from format_changes(rollback)
    yield from _checks(rollback)
    yield from format_approval(rollback)
    yield from format_database(rollback)
    yield from format_database_probe(rollback)
    yield from format_service(rollback)
    yield from format_connections(rollback)
    yield from _verification(rollback)
    yield from _quarantine_hint(rollback)
    yield from format_obligations(rollback)
    if needs_operator(rollback):
        yield from describe_condition(rollback)
    if rollback.drift:
        yield rollback.drift
    if rollback.recheck_at is not None:
        yield f"The trigger is evaluated again at {rollback.recheck_at:%H:%M:%S} UTC"


def _actions(rollback: Rollback, service: ServiceSettings) -> Iterator[str]:
    """List the operator's next actions; none if no operator has to act."""
    if needs_operator(rollback):
        yield "An operator has to act. Next:"
        yield from (f"  {action}" for action in (*next_commands(rollback, service), *protect_branches(rollback)))


def _checks(rollback: Rollback) -> Iterator[str]:
    """List all checks of a plan with listed changes, and otherwise the failed and warning ones; each name once."""
    plan = rollback.plan
    is_complete = plan is not None and plan.changes is not None
    verdicts = Verdict if is_complete else (Verdict.FAIL, Verdict.WARN)
    if is_complete:
        yield "Checks:"
    checks = (*rollback.admission, *(plan.checks if plan is not None else ()))
    yield from format_checks(checks, rollback.reason, verdicts)


def _quarantine_hint(rollback: Rollback) -> Iterator[str]:
    """Say that a promoted release that an operator left stays a target, and how to change that."""
    plan = rollback.plan
    if plan is None or plan.target is None or rollback.trigger is not Trigger.MANUAL or not rollback.has_moved_service:
        return
    is_step_back = plan.target.first_deployed_at < plan.running.first_deployed_at
    if rollback.outcome is Outcome.SUCCEEDED and plan.running.state is ReleaseState.PROMOTED and is_step_back:
        command = shlex.join(
            ("rollback", "quarantine", rollback.environment, plan.running.version, "--service", rollback.service_name)
        )
        yield f"{plan.running.version} stays promoted, so a later rollback may go to it. If it is bad, quarantine it:"
        yield f"  {command} --reason '…'"


def _from_version_to_version(plan: Plan, kind: RollbackType) -> str:
    if plan.baseline is not None:
        return f"Release: {plan.running.version} runs; a rollback would go to {plan.baseline.rollback_target or 'none'}"
    if kind is RollbackType.DATABASE:
        return f"Database only: {plan.running.version} keeps running"
    return f"Plan: from {plan.running.version} to {plan.target.version if plan.target else 'none'}"


def _verification(rollback: Rollback) -> Iterator[str]:
    if rollback.verification is None:
        return
    yield f"Verification: {rollback.verification.good_rounds} good rounds in a row"
    yield from (f"  {check.verdict:7} {check.name}: {check.reason}" for check in rollback.verification.checks)
