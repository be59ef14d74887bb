"""Ask Neon and Postgres, before anything is changed, for the facts that the rules judge. Nothing is changed here.

The questions: does the key open the project, does the branch pass the rules of its strategy, does Postgres answer?

Raises:
    RetryLater, ExternalServiceError: Neon or Postgres did not answer; nothing is known, ask again.
"""

from collections.abc import Callable
from datetime import datetime, timedelta

from rollback.check import Check, Verdict
from rollback.database.preflight.branch_context import BranchContext
from rollback.database.preflight.branch_rules import branch_exists, find_branch
from rollback.database.preflight.own_operations import changes_data
from rollback.database.preflight.rules_by_strategy import judge_recreate, judge_reset, judge_restore
from rollback.database.preflight.timeline import judge_timeline
from rollback.domain.database.progress import RestorePoint
from rollback.domain.settings.database import DatabaseSettings
from rollback.errors import CallRefused
from rollback.resources.database.background_work import judge_background_work
from rollback.resources.database.neon import Branch, Endpoint, Operation, Project

_MAX_OPERATION_AGE = timedelta(minutes=30)  # an older operation is not worth waiting for

Judge = Callable[[Project, tuple[Branch, ...], tuple[Endpoint, ...]], tuple[Check, ...]]


def preflight_of_restore(point: RestorePoint, context: BranchContext, now: datetime) -> tuple[Check, ...]:
    """Check a restore to a point in the branch's own past."""

    def judge(project: Project, branches: tuple[Branch, ...], endpoints: tuple[Endpoint, ...]) -> tuple[Check, ...]:
        checks = judge_restore(project, branches, endpoints, point, context.settings, now)
        branch = find_branch(branches, context.settings.branch_id)
        if branch is None or not endpoints:
            return checks
        return (*checks, _check_timeline(point, branch, branches, context))

    return _run_preflight(context, judge)


def preflight_of_reset(
    source_branch_id: str, context: BranchContext, now: datetime, *, is_undo: bool = False
) -> tuple[Check, ...]:
    """Check a reset to another branch's head, or to a backup's head in order to undo a rollback."""

    def judge(project: Project, branches: tuple[Branch, ...], endpoints: tuple[Endpoint, ...]) -> tuple[Check, ...]:
        busy = _operations_changing(source_branch_id, context, now)
        return judge_reset(project, branches, endpoints, source_branch_id, busy, context.settings, is_undo=is_undo)

    return _run_preflight(context, judge)


def preflight_of_recreate(
    source_branch_id: str | None, settings: DatabaseSettings, context: BranchContext, now: datetime
) -> tuple[Check, ...]:
    """Check the replacement of a branch by a copy of another branch's head."""

    def judge(project: Project, branches: tuple[Branch, ...], endpoints: tuple[Endpoint, ...]) -> tuple[Check, ...]:
        branch = find_branch(branches, context.settings.branch_id)
        if branch is None:
            return (branch_exists(context.settings.branch_id, project, branches),)
        busy = _operations_changing(source_branch_id, context, now)
        return judge_recreate(project, branches, branch, endpoints, source_branch_id, busy, settings)

    return _run_preflight(context, judge)


def is_refused_despite_force(checks: tuple[Check, ...]) -> bool:
    """Whether a check failed that not even an operator's `force` overrides."""
    return any(check.verdict is Verdict.FAIL and not check.is_forceable for check in checks)


def check_background_work(context: BranchContext, *, replaces_data: bool) -> tuple[Check, ...]:
    """Check that Postgres answers, and name work on the branch that no fence stops.

    Asked before services are stopped. A wrong password, a missing database or an address that Neon does not let in
    would otherwise be found while the services stand at zero tasks.
    """
    try:
        address = context.address(context.settings.branch_id)
        work = context.sql.background_work(address)
        sessions = context.sql.client_sessions(address)
    except CallRefused as refused:
        return (Check.failed("database-answers", str(refused)),)
    answers = Check.passed("database-answers", f"{context.settings.role} can connect")
    workers = [session for session in sessions if not session.is_client]
    return (answers, *judge_background_work(work, workers, replaces_data=replaces_data))


def _run_preflight(context: BranchContext, judge: Judge) -> tuple[Check, ...]:
    neon, branch_settings = context.neon, context.settings
    try:
        project, branches = neon.project(), tuple(neon.branches())
        has_branch = find_branch(branches, branch_settings.branch_id) is not None
        endpoints = neon.endpoints(branch_settings.branch_id) if has_branch else ()
    except CallRefused as refused:
        return (Check.failed("database-is-accessible", str(refused)),)
    access = Check.passed("database-is-accessible", f"the key opens project {project.name}")
    checks = (access, *judge(project, branches, endpoints))
    if not endpoints or is_refused_despite_force(checks):  # no sleeping compute is woken for a refusal
        return checks
    return (*checks, *check_background_work(context, replaces_data=True))


def _operations_changing(branch_id: str | None, context: BranchContext, now: datetime) -> tuple[Operation, ...]:
    operations = context.neon.operations_since(now - _MAX_OPERATION_AGE)
    return tuple(o for o in operations if o.branch_id == branch_id and changes_data(o) and not o.is_over(now))


def _check_timeline(point: RestorePoint, branch: Branch, branches: tuple[Branch, ...], context: BranchContext) -> Check:
    """Compare with the live timeline, because an operator may have restored the branch since the last observation.

    Without a timeline in the restore point, there is nothing to compare, and no sleeping compute is woken.
    """
    live = None
    if point.timeline is not None:
        live = context.sql.head(context.address(branch.id)).timeline
    return judge_timeline(point.timeline, live, branch, branches)
