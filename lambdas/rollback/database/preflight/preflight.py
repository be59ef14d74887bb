"""Before anything is changed: can this branch be brought there, with this key, and does it answer SQL? All only look.

Raises:
    RetryLater, ExternalServiceError: Neon could not be asked; nothing is known, ask again.
"""

from collections.abc import Callable
from datetime import datetime, timedelta

from rollback.check import Check, Verdict
from rollback.database.preflight.branch_history_rules import judge_timeline
from rollback.database.preflight.context import RestoreContext
from rollback.database.preflight.own_operations import changes_data
from rollback.database.preflight.removal_rules import judge_recreate
from rollback.database.preflight.rules import judge_reset, judge_restore, unknown_branch_check
from rollback.domain.database.progress import RestorePoint
from rollback.domain.settings.database import DatabaseSettings
from rollback.errors import CallRefused
from rollback.resources.database.background_work import judge_background_work
from rollback.resources.database.neon import Branch, Endpoint, Project

_STILL_RUNNING = timedelta(minutes=30)  # an operation that began longer ago is not what we would wait for

Judge = Callable[[Project, tuple[Branch, ...], tuple[Endpoint, ...]], tuple[Check, ...]]


def preflight_of_restore(point: RestorePoint, restoring: RestoreContext, now: datetime) -> tuple[Check, ...]:
    """Checks for the plan of a restore to a point in the branch's own past."""

    def judge(project: Project, branches: tuple[Branch, ...], endpoints: tuple[Endpoint, ...]) -> tuple[Check, ...]:
        checks = judge_restore(project, branches, endpoints, point, restoring.target, now)
        branch = next((one for one in branches if one.id == restoring.target.branch_id), None)
        return (
            checks
            if branch is None or not endpoints
            else (*checks, _check_timeline(point, branch, branches, restoring))
        )

    return _run_preflight(restoring, judge)


def _check_timeline(
    point: RestorePoint, branch: Branch, branches: tuple[Branch, ...], restoring: RestoreContext
) -> Check:
    """Compared live: the last look may have been before a restore by somebody else."""
    live = None
    if point.timeline is not None:  # else there is nothing to compare: a compute that sleeps is not woken
        live = restoring.sql.head(restoring.address(branch.id)).timeline
    return judge_timeline(point.timeline, live, branch, branches)


def preflight_of_reset(
    source_branch_id: str, restoring: RestoreContext, now: datetime, *, is_undo: bool = False
) -> tuple[Check, ...]:
    """Checks for the plan of a reset to another branch's head; or to a backup's, to undo a rollback."""

    def judge(project: Project, branches: tuple[Branch, ...], endpoints: tuple[Endpoint, ...]) -> tuple[Check, ...]:
        recent = restoring.databases.operations_since(now - _STILL_RUNNING)
        busy = tuple(o for o in recent if o.branch_id == source_branch_id and changes_data(o) and not o.is_over(now))
        return judge_reset(project, branches, endpoints, source_branch_id, busy, restoring.target, is_undo=is_undo)

    return _run_preflight(restoring, judge)


def preflight_of_recreate(
    source_branch_id: str | None, settings: DatabaseSettings, restoring: RestoreContext, now: datetime
) -> tuple[Check, ...]:
    """Checks before a branch is replaced by a copy of another one's head."""

    def judge(project: Project, branches: tuple[Branch, ...], endpoints: tuple[Endpoint, ...]) -> tuple[Check, ...]:
        branch = next((one for one in branches if one.id == restoring.target.branch_id), None)
        if branch is None:
            return (unknown_branch_check("branch-exists", restoring.target.branch_id, project, branches),)
        recent = restoring.databases.operations_since(now - _STILL_RUNNING)
        busy = tuple(o for o in recent if o.branch_id == source_branch_id and changes_data(o) and not o.is_over(now))
        return judge_recreate(branches, branch, endpoints, source_branch_id, busy, settings)

    return _run_preflight(restoring, judge)


def _run_preflight(restoring: RestoreContext, judge: Judge) -> tuple[Check, ...]:
    databases, target = restoring.databases, restoring.target
    try:
        project, branches = databases.project(), tuple(databases.branches())
        there = any(branch.id == target.branch_id for branch in branches)
        endpoints = databases.endpoints(target.branch_id) if there else ()
    except CallRefused as refused:
        return (Check.failed("database-access", str(refused)),)
    access = Check.passed("database-access", f"the key opens project {project.name}")
    checks = (access, *judge(project, branches, endpoints))
    if not endpoints or is_refused_despite_force(checks):  # a compute that sleeps is not woken for a refusal
        return checks
    return (*checks, *check_background_work(restoring, replaces_data=True))


def is_refused_despite_force(checks: tuple[Check, ...]) -> bool:
    """Whether even a person's force goes no further."""
    return any(check.verdict is Verdict.FAIL and not check.forceable for check in checks)


def check_background_work(restoring: RestoreContext, *, replaces_data: bool) -> tuple[Check, ...]:
    """SQL answers by the role and the database of the settings; and what it tells of work that no fence stops.

    Asked before services are stopped: a wrong password, a missing database or an address that Neon does not let in is
    refused for good, and would else be found while they stand at zero.
    """
    try:
        address = restoring.address(restoring.target.branch_id)
        work = restoring.sql.background_work(address)
        sessions = restoring.sql.client_sessions(address)
    except CallRefused as refused:
        return (Check.failed("database-answers", str(refused)),)
    answers = Check.passed("database-answers", f"{restoring.target.role} can connect")
    workers = [session for session in sessions if not session.is_client]
    return (answers, *judge_background_work(work, workers, replaces_data=replaces_data))
