"""Send a rollback's report: once for each answer, as a page or as information."""

from rollback.conclusion.ports import ReportPorts
from rollback.domain.ledger import page_count
from rollback.domain.ledger.page_count import is_page
from rollback.domain.rollback import Rollback
from rollback.errors import CallRefused, ExternalServiceError
from rollback.reports.commands import report_command
from rollback.reports.report import message, report_id, subject
from rollback.stored_report.link import report_link


def send_report(rollback: Rollback, ports: ReportPorts) -> None:
    """Publish the report. Readers recognise a duplicate by its `report_id`."""
    attributes = {
        "report_id": report_id(rollback),
        "outcome": str(rollback.outcome),
        "environment": rollback.environment,
        "severity": "page" if is_page(rollback) else "info",
    }
    service = ports.settings.service(rollback.service_name)
    # A page goes out before the account is stored, so it names the command.
    link = report_command(rollback) if is_page(rollback) else report_link(rollback, ports)
    ports.notifications.publish(subject(rollback), message(rollback, service, link), attributes)


def send_report_once(rollback: Rollback, ports: ReportPorts) -> Rollback:
    """Send the report, unless the last report gave the same answer. A page may only be counted (`page_count`).

    Nobody is told of a test event: the operator who sent it reads the ledger.

    Raises:
        ExternalServiceError: the report could not be sent.
    """
    reported_rollback = rollback.evolve(is_reported=True, last_reported_result=rollback.result_key, wait_seconds=0)
    if rollback.is_test or rollback.last_reported_result == rollback.result_key:
        return reported_rollback
    now, key = ports.clock.now(), page_count.aggregation_key(rollback)
    last_count = ports.ledger.page_count(rollback.service_name, key) if key is not None else None
    is_only_counted = page_count.is_aggregated(last_count, now, ports.settings.policy.page_aggregation_minutes)
    if not is_only_counted:
        send_report(rollback, ports)
    if key is not None:
        count = last_count.with_unsent_page(rollback, now) if last_count is not None and is_only_counted else None
        ports.ledger.put_page_count(count or page_count.first_page(rollback, key, now, last_count), last_count)
    return reported_rollback


def try_to_report(rollback: Rollback, ports: ReportPorts) -> Rollback:
    """Send the report if SNS takes it. A failure changes no outcome.

    Returns:
        The rollback with `is_reported` set. If SNS did not answer, `wait_seconds` is above 0: try again. If SNS refused
        the call, `wait_seconds` is 0: the janitor sends the report later.
    """
    try:
        return send_report_once(rollback, ports)
    except CallRefused:
        return rollback.evolve(wait_seconds=0)
    except ExternalServiceError:
        return rollback.evolve(wait_seconds=ports.settings.policy.poll_seconds)
