"""Report the data loss after the analysis: a second report, which never changes the outcome and is never a page."""

from datetime import timedelta

from rollback.database.data_loss.cleanup import delete_next_resource
from rollback.database.data_loss.open_analysis import OpenAnalysis
from rollback.database.data_loss.ports import DataLossReportPorts
from rollback.domain.rollback import Rollback
from rollback.errors import CallRefused, ExternalServiceError
from rollback.reports.report import message, report_id, subject


def report_data_loss(rollback: Rollback, world: DataLossReportPorts) -> Rollback:
    """Delete the next resource of the analysis; once all are deleted, send the report."""
    opened, now = OpenAnalysis.of(rollback), world.clock.now()
    cleaned_up_at = opened.analysis.cleaned_up_at
    if cleaned_up_at is None:
        return delete_next_resource(opened, now, world)
    reported = opened.analysis.evolve(reported_at=now)
    if opened.progress.backup_id is None and not opened.analysis.left:  # nothing was compared, and nothing is left over
        return opened.save(reported)
    is_sent = True
    try:
        _send_data_loss_report(opened, world)
    except CallRefused:
        is_sent = False  # the janitor sends the report later
    except ExternalServiceError:
        if now - cleaned_up_at < timedelta(minutes=world.settings.policy.conclude_timeout_minutes):
            return rollback.evolve(wait_seconds=world.settings.policy.poll_seconds)
        is_sent = False
    # This report is no page, so it must not count as the page that the janitor may still have to send.
    answer = {"last_reported_answer": rollback.answer} if is_sent and rollback.reported else {}
    return opened.save(reported).evolve(reported=rollback.reported and is_sent, **answer)


def _send_data_loss_report(opened: OpenAnalysis, world: DataLossReportPorts) -> None:
    rollback = opened.rollback
    attributes = {
        "report_id": report_id(rollback),
        "outcome": str(rollback.outcome),
        "environment": rollback.environment,
        "severity": "info",  # an engineer was paged before, if the rollback failed
    }
    service = world.settings.service(rollback.service_name)
    topic = "lost writes" if opened.progress.backup_id is not None else "left over"
    world.notifications.publish(f"{subject(rollback)}: {topic}"[:100], message(rollback, service), attributes)
