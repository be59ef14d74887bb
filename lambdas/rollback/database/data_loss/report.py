"""Report the data loss after the analysis, once the branch and the computes that the analysis created are deleted.

It is a second report, which never changes the outcome and is never a page.

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


def report_data_loss(rollback: Rollback, ports: DataLossReportPorts) -> Rollback:
    """Delete the next resource of the analysis; once all are deleted, send the report."""
    opened, now = OpenAnalysis.of(rollback), ports.clock.now()
    cleaned_up_at = opened.analysis.cleaned_up_at
    if cleaned_up_at is None:
        return _delete_next_resource(opened, now, ports)
    reported = opened.analysis.evolve(reported_at=now)
    if opened.progress.backup_id is None and not opened.analysis.left:  # nothing was compared, and nothing is left over
        return opened.save(reported)
    is_sent = True
    try:
        _send_data_loss_report(opened, ports)
    except CallRefused:
        is_sent = False  # the janitor sends the report later
    except ExternalServiceError:
        if now - cleaned_up_at < timedelta(minutes=ports.settings.policy.conclude_timeout_minutes):
            return rollback.evolve(wait_seconds=ports.settings.policy.poll_seconds)
        is_sent = False
    # This report is no page, so it must not count as the page that the janitor may still have to send.
    answer = {"last_reported_result": rollback.result_key} if is_sent and rollback.is_reported else {}
    return opened.save(reported).evolve(is_reported=rollback.is_reported and is_sent, **answer)


def _send_data_loss_report(opened: OpenAnalysis, ports: DataLossReportPorts) -> None:
    rollback = opened.rollback
    attributes = {
        "report_id": report_id(rollback),
        "outcome": str(rollback.outcome),
        "environment": rollback.environment,
        "severity": "info",  # an engineer was paged before, if the rollback failed
    }
    service = ports.settings.service(rollback.service_name)
    topic = "lost writes" if opened.progress.backup_id is not None else "left over"
    ports.notifications.publish(f"{subject(rollback)}: {topic}"[:100], message(rollback, service), attributes)


def _delete_next_resource(opened: OpenAnalysis, now: datetime, ports: CleanupPorts) -> Rollback:
    """Delete one resource. A resource that can't be deleted in time stays, and the report names it.

    The end of the analysis, which is saved, announces the deletions.
    """
    poll = ports.settings.policy.poll_seconds
    try:
        is_deleting = _delete_one_resource(opened, ports)
    except (CallRefused, InvalidRequest) as refused:
        return _note_leftovers(opened, str(refused), now)
    except ExternalServiceError as failure:
        limit = ports.settings.policy.conclude_timeout_minutes
        began_at = opened.analysis.ended_at or opened.analysis.began_at
        if now - began_at > timedelta(minutes=limit):
            return _note_leftovers(opened, f"{failure}, for {limit:g} minutes", now)
        return opened.rollback.evolve(wait_seconds=poll)
    if is_deleting:
        return opened.rollback.evolve(wait_seconds=poll)
    return _finish_cleanup(opened, opened.analysis.evolve(cleaned_up_at=now), ports)


def _finish_cleanup(opened: OpenAnalysis, analysis: DataLossAnalysis, ports: HasSettings) -> Rollback:
    progress = opened.progress.evolve(data_loss_analysis=analysis)
    if analysis.computes:
        project = ports.settings.database.project_id if ports.settings.database is not None else "PROJECT"
        progress = progress.add_note(
            f"The compute that was made to read {', '.join(analysis.computes)} is deleted, so that no password opens "
            f"the branch; to create one: neon branches add-compute {analysis.computes[0]} --project-id {project}"
        )
    return opened.rollback.evolve(database=progress, wait_seconds=0)


def _delete_one_resource(opened: OpenAnalysis, ports: HasNeon) -> bool:
    """Ask Neon to delete the first resource that is still there.

    A refusal, such as for the compute of a protected branch, doesn't keep the next resource.

    Returns:
        Whether a resource was there to delete. Call again until none is.

    Raises:
        CallRefused: Neon refuses to delete the resources that are left.
    """
    deletions = [partial(_delete_compute, branch_id, ports) for branch_id in opened.analysis.computes]
    if opened.analysis.child_requested_at is not None:
        deletions.insert(0, partial(_delete_child, comparison_branch_name(opened.rollback.id), ports))
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


def _note_leftovers(opened: OpenAnalysis, why: str, now: datetime) -> Rollback:
    analysis = opened.analysis
    child = f"branch {comparison_branch_name(opened.rollback.id)}" if analysis.child_requested_at is not None else ""
    computes = f"the compute of {', '.join(analysis.computes)}" if analysis.computes else ""
    left = " and ".join(part for part in (child, computes) if part)
    note = f"Delete {left} in Neon's console, if it exists: it could not be deleted: {why}"
    progress = opened.progress.add_note(note) if left else opened.progress
    return opened.rollback.evolve(
        database=progress.evolve(data_loss_analysis=analysis.evolve(cleaned_up_at=now, left=left)), wait_seconds=0
    )
