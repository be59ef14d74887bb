"""Delete what the account of lost writes was made with, and tell it: a second report, never another outcome.

A compute of the backup has production's passwords on a branch that may not be protected ("IP Allow on protected
branches only" leaves all others open), so it stays no longer than it is used.
"""

from datetime import datetime, timedelta
from functools import partial

from rollback.domain.database.data_loss_analysis import DataLossAnalysis, comparison_branch_name
from rollback.domain.rollback import Rollback
from rollback.errors import CallRefused, ExternalServiceError, InvalidRequest
from rollback.ports.world import World
from rollback.reports.report import message, report_id, subject


def report_data_loss(rollback: Rollback, world: World) -> Rollback:
    """One change that tidies up, or the report."""
    progress = rollback.database
    assert progress is not None  # noqa: S101 - the route comes here only with an account that has ended
    assert progress.account is not None  # noqa: S101
    now, account = world.clock.now(), progress.account
    if account.cleaned_up_at is None:
        return _delete_next_resource(rollback, account, now, world)
    if progress.backup_id is None and not account.left:  # nothing was compared, and nothing is to be said
        return rollback.evolve(database=progress.evolve(account=account.evolve(reported_at=now)), wait_seconds=0)
    try:
        _send_data_loss_report(rollback, world)
    except CallRefused:
        reported = False  # the janitor tries again
    except ExternalServiceError:
        if now - account.cleaned_up_at < timedelta(minutes=world.settings.policy.conclude_timeout_minutes):
            return rollback.evolve(wait_seconds=world.settings.policy.poll_seconds)
        reported = False
    else:
        reported = True
    told = progress.evolve(account=account.evolve(reported_at=now))
    # One that is no page, so that it stands for none: a report of before that was never sent is the janitor's still.
    answer = {"told": rollback.answer} if reported and rollback.reported else {}
    return rollback.evolve(database=told, reported=rollback.reported and reported, wait_seconds=0, **answer)


def _delete_next_resource(rollback: Rollback, account: DataLossAnalysis, now: datetime, world: World) -> Rollback:
    """Announced by the end of the account. What can't be deleted in time is left, and said."""
    assert rollback.database is not None  # noqa: S101 - it has an account
    assert account.ended_at is not None  # noqa: S101
    poll = world.settings.policy.poll_seconds
    try:
        is_changing = _delete_one_resource(rollback, account, world)
    except (CallRefused, InvalidRequest) as refused:
        return _note_leftovers(rollback, account, str(refused), now)
    except ExternalServiceError as failure:
        limit = world.settings.policy.conclude_timeout_minutes
        if now - account.ended_at > timedelta(minutes=limit):
            return _note_leftovers(rollback, account, f"{failure}, for {limit:g} minutes", now)
        return rollback.evolve(wait_seconds=poll)
    if is_changing:
        return rollback.evolve(wait_seconds=poll)
    progress = rollback.database.evolve(account=account.evolve(cleaned_up_at=now))
    if account.computes:
        project = world.settings.database.project_id if world.settings.database is not None else "PROJECT"
        made = ", ".join(account.computes)
        progress = progress.add_note(
            f"The compute that {made} was read with is deleted, so that no password opens it; for another one: "
            f"neon branches add-compute {account.computes[0]} --project-id {project}"
        )
    return rollback.evolve(database=progress, wait_seconds=0)


def _delete_one_resource(rollback: Rollback, account: DataLossAnalysis, world: World) -> bool:
    """Whether something was there to delete; it is asked for again until it is gone.

    What Neon refuses to delete, such as the compute of a protected branch, keeps nothing else.

    Raises:
        CallRefused: that is all that is left.
    """
    deletions = [partial(_delete_compute, branch_id, world) for branch_id in account.computes]
    if account.child_requested_at is not None:
        deletions.insert(0, partial(_delete_child, comparison_branch_name(rollback.id), world))
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


def _delete_child(name: str, world: World) -> bool:
    child = world.databases.branch_named(name)
    if child is None:
        return False
    world.databases.delete_branch(child.id)
    return True


def _delete_compute(branch_id: str, world: World) -> bool:
    if world.databases.branch(branch_id) is None:
        return False
    endpoints = world.databases.endpoints(branch_id)
    if not endpoints:
        return False
    world.databases.delete_endpoint(endpoints[0].id)
    return True


def _note_leftovers(rollback: Rollback, account: DataLossAnalysis, why: str, now: datetime) -> Rollback:
    assert rollback.database is not None  # noqa: S101 - it has an account
    child = f"branch {comparison_branch_name(rollback.id)}" if account.child_requested_at is not None else ""
    computes = f"the compute of {', '.join(account.computes)}" if account.computes else ""
    what = " and ".join(part for part in (child, computes) if part)
    note = f"Delete {what} in Neon's console, if it is there: it could not be deleted: {why}"
    progress = rollback.database.add_note(note) if what else rollback.database
    return rollback.evolve(
        database=progress.evolve(account=account.evolve(cleaned_up_at=now, left=what)), wait_seconds=0
    )


def _send_data_loss_report(rollback: Rollback, world: World) -> None:
    """Nobody is woken up for it: the page of a rollback that failed was sent before."""
    attributes = {
        "report_id": report_id(rollback),
        "outcome": str(rollback.outcome),
        "environment": rollback.environment,
        "severity": "info",
    }
    service = world.settings.service(rollback.service_name)
    about = "lost writes" if rollback.database is not None and rollback.database.backup_id is not None else "left over"
    world.notifications.publish(f"{subject(rollback)}: {about}"[:100], message(rollback, service), attributes)
