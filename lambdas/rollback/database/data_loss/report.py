"""Report the data loss after the analysis, once the branch and the computes that the analysis created are deleted.

This second report never changes the outcome and is never a page.

A compute of the backup accepts production's passwords, on a branch that may be unprotected. "IP Allow on protected
branches only" leaves such a branch open to every address. So the compute is deleted as soon as the analysis ends.
"""

from datetime import datetime, timedelta
from functools import partial

from rollback.database.data_loss.open_analysis import OpenAnalysis
from rollback.database.data_loss.ports import CleanupPorts, DataLossReportPorts
from rollback.domain.database.data_loss_analysis import DataLossAnalysis, comparison_branch_name
from rollback.domain.rollback import Rollback
from rollback.errors import CallRefused, ExternalServiceError, InvalidRequest
from rollback.ports.holders import HasNeon, HasSettings
from rollback.reports.report import message, report_id, subject
from rollback.stored_report.link import report_link


def report_data_loss(rollback: Rollback, ports: DataLossReportPorts) -> Rollback:
    """Delete the next resource of the analysis; once all are deleted, send the report."""
    open_analysis, now = OpenAnalysis.of(rollback), ports.clock.now()
    cleaned_up_at = open_analysis.analysis.cleaned_up_at
    if cleaned_up_at is None:
        return _delete_next_resource(open_analysis, now, ports)
    reported_analysis = open_analysis.analysis.evolve(reported_at=now)
    has_compared = open_analysis.progress.backup_id is not None
    if not has_compared and not open_analysis.analysis.leftover_resources:
        return open_analysis.save(reported_analysis)
    is_sent = True
    try:
        _send_data_loss_report(open_analysis, ports)
    except CallRefused:
        is_sent = False  # the janitor sends the report later
    except ExternalServiceError:
        if now - cleaned_up_at < timedelta(minutes=ports.settings.policy.conclude_timeout_minutes):
            return rollback.evolve(wait_seconds=ports.settings.policy.poll_seconds)
        is_sent = False
    # This report is no page, so it must not count as the page that the janitor may still have to send.
    answer = {"last_reported_result": rollback.result_key} if is_sent and rollback.is_reported else {}
    return open_analysis.save(reported_analysis).evolve(is_reported=rollback.is_reported and is_sent, **answer)


def _send_data_loss_report(open_analysis: OpenAnalysis, ports: DataLossReportPorts) -> None:
    rollback = open_analysis.rollback
    attributes = {
        "report_id": report_id(rollback),
        "outcome": str(rollback.outcome),
        "environment": rollback.environment,
        "severity": "info",  # an engineer was paged before, if the rollback failed
    }
    service = ports.settings.service(rollback.service_name)
    topic = "data loss" if open_analysis.progress.backup_id is not None else "leftover resources"
    text = message(rollback, service, report_link(rollback, ports))
    ports.notifications.publish(f"{subject(rollback)}: {topic}"[:100], text, attributes)


def _delete_next_resource(open_analysis: OpenAnalysis, now: datetime, ports: CleanupPorts) -> Rollback:
    """Delete one resource. A resource that can't be deleted in time stays, and the report names it.

    The end of the analysis, which is saved, announces the deletions.
    """
    poll = ports.settings.policy.poll_seconds
    try:
        is_deleting = _delete_one_resource(open_analysis, ports)
    except (CallRefused, InvalidRequest) as refused:
        return _note_leftovers(open_analysis, str(refused), now)
    except ExternalServiceError as failure:
        limit = ports.settings.policy.conclude_timeout_minutes
        began_at = open_analysis.analysis.ended_at or open_analysis.analysis.began_at
        if now - began_at > timedelta(minutes=limit):
            return _note_leftovers(open_analysis, f"{failure}, for {limit:g} minutes", now)
        return open_analysis.rollback.evolve(wait_seconds=poll)
    if is_deleting:
        return open_analysis.rollback.evolve(wait_seconds=poll)
    return _finish_cleanup(open_analysis, open_analysis.analysis.evolve(cleaned_up_at=now), ports)


def _finish_cleanup(open_analysis: OpenAnalysis, analysis: DataLossAnalysis, ports: HasSettings) -> Rollback:
    progress = open_analysis.progress.evolve(data_loss_analysis=analysis)
    if analysis.computes:
        project = ports.settings.database.project_id if ports.settings.database is not None else "PROJECT"
        progress = progress.add_note(
            f"The compute that read {', '.join(analysis.computes)} is deleted, so that no password opens the branch. "
            f"To create another compute: neon branches add-compute {analysis.computes[0]} --project-id {project}"
        )
    return open_analysis.rollback.evolve(database=progress, wait_seconds=0)


def _delete_one_resource(open_analysis: OpenAnalysis, ports: HasNeon) -> bool:
    """Ask Neon to delete the first resource that is still there.

    A refusal, such as for the compute of a protected branch, doesn't keep the next resource.

    Returns:
        Whether a resource was there to delete. Call again until none is.

    Raises:
        CallRefused: Neon refuses to delete the resources that are left.
    """
    deletions = [partial(_delete_compute, branch_id, ports) for branch_id in open_analysis.analysis.computes]
    if open_analysis.analysis.child_requested_at is not None:
        deletions.insert(0, partial(_delete_child, comparison_branch_name(open_analysis.rollback.id), ports))
    refusals: list[CallRefused] = []
    for delete in deletions:
        try:
            if delete():
                return True
        except CallRefused as refused:
            refusals.append(refused)
    if refusals:
        raise refusals[0]
    return False


def _delete_child(name: str, ports: HasNeon) -> bool:
    child = ports.neon.branch_named(name)
    if child is None:
        return False
    ports.neon.delete_branch(child.id)
    return True


def _delete_compute(branch_id: str, ports: HasNeon) -> bool:
    if ports.neon.branch(branch_id) is None:
        return False
    endpoints = ports.neon.endpoints(branch_id)
    if not endpoints:
        return False
    ports.neon.delete_endpoint(endpoints[0].id)
    return True


def _note_leftovers(open_analysis: OpenAnalysis, reason: str, now: datetime) -> Rollback:
    analysis = open_analysis.analysis
    child = (
        f"branch {comparison_branch_name(open_analysis.rollback.id)}" if analysis.child_requested_at is not None else ""
    )
    computes = f"the compute of {', '.join(analysis.computes)}" if analysis.computes else ""
    leftovers = " and ".join(part for part in (child, computes) if part)
    note = f"Delete {leftovers} in Neon's console; the rollback's own deletion failed: {reason}"
    progress = open_analysis.progress.add_note(note) if leftovers else open_analysis.progress
    return open_analysis.rollback.evolve(
        database=progress.evolve(data_loss_analysis=analysis.evolve(cleaned_up_at=now, leftover_resources=leftovers)),
        wait_seconds=0,
    )
