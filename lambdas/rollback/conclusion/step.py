"""Conclude: discharge obligations, mark the previous release, report, close. Every rollback reaches this step.

Each call does one thing and returns, so that the runner saves each. After a crash, the next call observes before it
acts. A page is sent first, because an engineer must not wait until the settings are back.
"""

from datetime import datetime

from rollback.conclusion.obligations import discharge_obligation
from rollback.conclusion.ports import ConclusionPorts, DischargePorts
from rollback.conclusion.release_state import mark_previous_release
from rollback.conclusion.send_report import try_to_report
from rollback.database.data_loss.report import report_data_loss
from rollback.database.data_loss.step import schedule_comparison
from rollback.database.unsettled_change import resolve_database_change
from rollback.domain.ledger.page_count import is_page
from rollback.domain.obligation import BRANCH_OBLIGATIONS
from rollback.domain.rollback import Outcome, Rollback
from rollback.errors import ExternalServiceError, UnsupportedService
from rollback.intents.announce import is_conclusion_overdue
from rollback.leases.hold import renew_leases_while_concluding
from rollback.resources.database.probe import DatabaseProbe
from rollback.service.stack import describe_drift
from rollback.service.unsettled_change import resolve_service_change


def conclude(rollback: Rollback, ports: ConclusionPorts) -> Rollback:
    """Do the next task of the conclusion; after the conclusion, report the data loss."""
    now = ports.clock.now()
    if rollback.concluded_at is not None:
        return report_data_loss(rollback, ports)
    if rollback.outcome is None:
        reason = rollback.reason or "the rollback ended before it had an outcome"
        return rollback.evolve(outcome=Outcome.FAILED, reason=reason)
    if rollback.conclusion_started_at is None:
        return rollback.evolve(
            conclusion_started_at=now,
            drift=_describe_drift(rollback, ports),
            database_probe=_last_probe(ports),
            wait_seconds=0,
        )
    if is_page(rollback) and not rollback.is_reported:
        attempted = try_to_report(rollback, ports)
        if attempted.is_reported:
            return attempted
    return _settle_changes(rollback, now, ports) or _report_and_close(rollback, now, ports)


def _settle_changes(rollback: Rollback, now: datetime, ports: ConclusionPorts) -> Rollback | None:
    """Determine the outcome of announced changes, and discharge obligations. None: nothing is left to do.

    Changed data comes before the obligations, because its outcome decides whether a fence may be lifted. A drill's
    preview is deleted only once no announced request can make it any more.
    """
    renew_leases_while_concluding(rollback, ports)
    if rollback.service is not None and rollback.service.intent is not None:
        return resolve_service_change(rollback, now, ports)
    progress = rollback.database
    unconfirmed_progress = progress if progress is not None and progress.has_unconfirmed_change else None
    if unconfirmed_progress is not None and (rollback.has_changed_data or rollback.is_drill):
        return resolve_database_change(rollback, unconfirmed_progress, ports)
    if rollback.open_obligations():
        return _discharge_next_obligation(rollback, now, ports)
    if unconfirmed_progress is not None:
        return resolve_database_change(rollback, unconfirmed_progress, ports)
    return None


def _report_and_close(rollback: Rollback, now: datetime, ports: ConclusionPorts) -> Rollback:
    mark_previous_release(rollback, now, ports)
    if not rollback.is_reported:
        attempted = try_to_report(rollback, ports)
        if attempted.is_reported or (attempted.wait_seconds and not is_conclusion_overdue(rollback, now, ports)):
            return attempted
    if not rollback.is_test:
        ports.metrics.record_conclusion(rollback)
    return schedule_comparison(rollback, now).evolve(concluded_at=now, wait_seconds=0)


def _discharge_next_obligation(rollback: Rollback, now: datetime, ports: DischargePorts) -> Rollback:
    """Discharge the last change first.

    If that is a branch's protection and Neon does not answer, the next service is tried in the same round, so that Neon
    keeps no service waiting at zero tasks.
    """
    obligations = rollback.open_obligations()
    attempted = discharge_obligation(rollback, obligations[0], now, ports)
    for_services = [other for other in obligations if other.kind not in BRANCH_OBLIGATIONS]
    if obligations[0] in for_services or not for_services or attempted.obligations != rollback.obligations:
        return attempted
    return discharge_obligation(attempted, for_services[0], now, ports)


def _last_probe(ports: ConclusionPorts) -> DatabaseProbe | None:
    """Read the last measurement of the standing branch; None: there is none, or the ledger did not answer."""
    database = ports.settings.database
    if database is None or database.branch_id is None:
        return None
    try:
        return ports.ledger.database_probe(database.branch_key(None))
    except ExternalServiceError:
        return None


def _describe_drift(rollback: Rollback, ports: ConclusionPorts) -> str:
    """Describe for the report how CloudFormation's template differs from ECS. Empty if ECS can't be asked."""
    if rollback.service is None:
        return ""
    service = ports.settings.service(rollback.service_name)
    try:
        view = ports.services.describe(service)
    except (ExternalServiceError, UnsupportedService):
        return ""
    return describe_drift(service, view.primary.definition_arn, ports)
