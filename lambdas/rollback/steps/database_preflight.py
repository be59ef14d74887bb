"""Before anything is changed: can this branch be restored to that point, with this key?"""

from datetime import datetime

from rollback.model.database_checks import judge_restore
from rollback.model.database_errors import AccessRefused, NotThere
from rollback.model.database_progress import RestorePoint
from rollback.model.plan import Check, Verdict
from rollback.steps.restoring import Restoring


def preflight(point: RestorePoint, restoring: Restoring, now: datetime) -> tuple[Check, ...]:
    """Checks for the plan. Only looks.

    Raises:
        ComeBackLater, OutsideFailure: Neon could not be asked; nothing is known, ask again.
    """
    databases, target = restoring.databases, restoring.target
    try:
        project, branches = databases.project(), tuple(databases.branches())
        there = any(branch.id == target.branch_id for branch in branches)
        endpoints = databases.endpoints(target.branch_id) if there else ()
        if endpoints:
            restoring.address(target.branch_id)
    except (AccessRefused, NotThere) as refused:
        return (Check(name="database-access", verdict=Verdict.FAIL, reason=str(refused)),)
    access = Check(name="database-access", verdict=Verdict.PASS, reason=f"the key opens project {project.name}")
    return (access, *judge_restore(project, branches, endpoints, point, target, now))
