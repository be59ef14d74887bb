"""The checks of a running release: one list for Verify, for promotion, and for `rollback verify`."""

import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import datetime
from functools import partial

from rollback.check import Check
from rollback.domain.database.database_question import DatabaseQuestion
from rollback.domain.releases.release import Release
from rollback.errors import CallRefused, ExternalServiceError
from rollback.resources.aws.ecs_service import ServiceView
from rollback.verification.checks.alarms import ALARM_CHECK, AlarmHandling, check_alarms
from rollback.verification.checks.database import check_database
from rollback.verification.checks.endpoints import check_endpoint, endpoint_check_name
from rollback.verification.checks.error_log_rules import CHECK_NAME as ERROR_LOG_CHECK
from rollback.verification.checks.error_logs import check_error_logs
from rollback.verification.checks.evidence_keys import REFUSED, UNANSWERED
from rollback.verification.checks.ports import ReleaseCheckPorts
from rollback.verification.checks.service_state import check_steady_state, check_target_health
from rollback.verification.checks.sql_rules import VERSION_CHECK, unanswered
from rollback.verification.checks.task_rules import CHECK_NAME as TASK_CHECK
from rollback.verification.checks.task_rules import TaskWindow
from rollback.verification.checks.tasks import check_tasks

_OPTIONAL = frozenset({ERROR_LOG_CHECK, VERSION_CHECK})  # without an answer these are not checked, and no failure


@dataclass(frozen=True)
class CheckOptions:
    """Options for the checks besides ECS, the load balancer and the endpoints.

    Attributes:
        alarms: treatment of alarms in ALARM.
        tasks: time in which the tasks of a service without a load balancer are judged; None: they are not judged.
        database: the question about the database; None: it is not asked.
        logs_since: since when the release runs alone; None: the log is not read.
        logs_wait_until: until then, too few minutes of the log are a warning that may still change.
    """

    alarms: AlarmHandling
    tasks: TaskWindow | None = None
    database: DatabaseQuestion | None = None
    logs_since: datetime | None = None
    logs_wait_until: datetime | None = None


def run_checks(
    service_name: str, release: Release, view: ServiceView, ports: ReleaseCheckPorts, options: CheckOptions
) -> tuple[Check, ...]:
    """Run all checks of one release concurrently, in a fixed order. A question without an answer is a failed check."""
    service = ports.settings.service(service_name)
    questions: list[tuple[str, Callable[[], tuple[Check, ...]]]] = [
        ("ecs-steady-state", lambda: (check_steady_state(view, release, ports),)),
        ("target-health", lambda: (check_target_health(view, ports),)),
        (ALARM_CHECK, lambda: (check_alarms(service, view, ports, options.alarms),)),
    ]
    if options.tasks is not None and not view.target_groups:
        questions.append((TASK_CHECK, _each(partial(check_tasks, service, view, options.tasks, ports))))
    for endpoint in service.endpoints:
        questions.append((endpoint_check_name(endpoint), _each(partial(check_endpoint, service, endpoint, ports))))
    logs_since, database = options.logs_since, options.database
    if logs_since is not None:
        read = partial(check_error_logs, release, view, logs_since, ports, waits_until=options.logs_wait_until)
        questions.append((ERROR_LOG_CHECK, _each(read)))
    if database is not None:
        questions.append((VERSION_CHECK, lambda: check_database(database, ports)))
    with ThreadPoolExecutor(max_workers=len(questions)) as pool:
        answers = tuple(pool.map(lambda named: _run_timed(*named), questions))
    return tuple(check for checks in answers for check in checks)


def _each(question: Callable[[], Check]) -> Callable[[], tuple[Check, ...]]:
    return lambda: (question(),)


def _run_timed(name: str, question: Callable[[], tuple[Check, ...]]) -> tuple[Check, ...]:
    started_at = time.perf_counter()
    try:
        checks = question()
    except ExternalServiceError as failure:
        checks = (_without_answer(name, failure),)
    seconds = round(time.perf_counter() - started_at, 3)
    return tuple(check if check.seconds else check.model_copy(update={"seconds": seconds}) for check in checks)


def _without_answer(name: str, failure: ExternalServiceError) -> Check:
    if name in _OPTIONAL:
        return unanswered(name, str(failure))
    refused = {REFUSED: failure.action} if isinstance(failure, CallRefused) else {}
    return Check.failed(name, f"not checked: {failure}", evidence={**refused, UNANSWERED: name})
