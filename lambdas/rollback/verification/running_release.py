"""Check the running release once, for `rollback verify`: the same list as Verify's, and read-only."""

from datetime import datetime

from rollback.check import Check
from rollback.domain.database.database_question import DatabaseQuestion
from rollback.domain.settings.environment import ServiceSettings
from rollback.errors import CallRefused, ExternalServiceError
from rollback.identity.identify import identify_release
from rollback.resources.aws.ecs_service import ENDED_ELSEWHERE, ROLLING_BACK, ServiceView
from rollback.verification.check_list import CheckOptions, run_checks
from rollback.verification.checks.alarms import AlarmHandling
from rollback.verification.checks.database import skip_database
from rollback.verification.checks.evidence_keys import REFUSED, UNANSWERED
from rollback.verification.checks.task_rules import WATCH, window_of
from rollback.verification.ports import HealthCheckPorts
from rollback.verification.verdict_rules import as_seen_by_caller

SETTLED_CHECK = "deployment-is-settled"


def check_running_release(
    service: ServiceSettings, view: ServiceView, alone_since: datetime, ports: HealthCheckPorts
) -> tuple[Check, ...]:
    """Run the checks once. A check that the caller may not make is not looked at.

    Args:
        service: the service.
        view: ECS's description of the service.
        alone_since: time since which PRIMARY runs alone, as far as the caller knows.
        ports: access with the caller's credentials.
    """
    if view.desired_count == 0:
        return (Check.failed("ecs-steady-state", "the desired count is 0: no task runs that could be checked"),)
    try:
        release = identify_release(view.primary.deployed, view, service, ports).release
    except ExternalServiceError as failure:
        refused = {REFUSED: failure.action} if isinstance(failure, CallRefused) else {}
        evidence = {**refused, UNANSWERED: "release"}
        unknown = Check.failed("ecs-steady-state", f"not checked: {failure}", evidence=evidence)
        return (as_seen_by_caller(unknown),)
    database = ports.settings.database
    question: DatabaseQuestion | None = None
    skipped: tuple[Check, ...] = ()
    if database is not None and database.branch_id is not None:
        question = DatabaseQuestion(service=service.name, fingerprint=release.fingerprint, branch_id=database.branch_id)
    elif database is not None:
        skipped = (skip_database("each pull request has its own branch"),)
    tasks = window_of(view, ports.clock.now(), alone_since + WATCH)
    options = CheckOptions(alarms=AlarmHandling.COUNT, tasks=tasks, database=question, logs_since=alone_since)
    checks = (*run_checks(service.name, release, view, ports, options), *skipped)
    return tuple(map(as_seen_by_caller, checks))


def judge_settling(view: ServiceView, waited_minutes: float, limit_minutes: float) -> Check | None:
    """Judge the newest deployment; None: it is still under way, and there is time left."""
    newest = view.newest
    if newest is not None and newest.status in ROLLING_BACK | ENDED_ELSEWHERE:
        return Check.failed(
            SETTLED_CHECK, f"the deployment is {newest.status}: ECS keeps or restores the former release"
        )
    if view.primary.rollout_state == "FAILED":
        return Check.failed(SETTLED_CHECK, f"deployment {view.primary.id} is FAILED")
    if not view.why_not_stable:
        return Check.passed(SETTLED_CHECK, f"{view.primary.id} runs alone on {view.running_count} tasks")
    if waited_minutes < limit_minutes:
        return None
    reason = f"not settled after {limit_minutes:g} minutes: {', '.join(view.why_not_stable)}"
    return Check.failed(SETTLED_CHECK, reason)
