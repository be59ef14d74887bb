"""Evidence of a bake: alarms, checks of the running release, and its requests; its tasks where none are counted."""

from dataclasses import dataclass
from datetime import datetime

from rollback.check import Verdict
from rollback.domain.database.database_question import DatabaseQuestion
from rollback.domain.releases.release import Release
from rollback.identity.target_groups import read_group_health
from rollback.names import degraded_alarm, outage_alarm
from rollback.ports.holders import HasSettings
from rollback.promotion.ports import AlarmReadinessPorts
from rollback.resources.aws.ecs_service import ServiceView
from rollback.resources.aws.target_group_health import conclusive_groups
from rollback.verification.check_list import CheckOptions, run_checks
from rollback.verification.checks.alarms import AlarmHandling
from rollback.verification.checks.evidence_keys import TARGET_GROUP_GONE
from rollback.verification.checks.ports import ReleaseCheckPorts
from rollback.verification.checks.task_rules import TaskWindow
from rollback.verification.checks.tasks import check_tasks


@dataclass(frozen=True)
class BakeVerdict:
    """Verdict on a bake.

    Attributes:
        objection: first objection against the promotion; None: the evidence suffices.
        restarts_bake: an alarm or a failed task, after which the bake starts again.
        note: evidence that the record of the promotion names, besides the time; may be empty.
    """

    objection: str | None = None
    restarts_bake: bool = False
    note: str = ""


def judge_bake_evidence(release: Release, since: datetime, ports: ReleaseCheckPorts) -> BakeVerdict:
    """Judge a release after its bake.

    `bake_minimum_requests` does not apply where no requests are counted: without a load balancer, and behind a network
    load balancer. There no task may have failed during the bake.

    Raises:
        ExternalServiceError: ELB, CloudWatch or ECS do not answer.
    """
    alarms = _find_alarms(release.service, since, ports)
    if alarms is not None:
        return BakeVerdict(alarms, restarts_bake=True)
    view = ports.services.describe(ports.settings.service(release.service))
    objection = _find_failed_checks(release, view, ports)
    if objection is not None:
        return BakeVerdict(objection)
    request_count = _count_requests(view, since, ports)
    if request_count is None:
        return _judge_tasks(release.service, view, since, ports)
    required_requests = ports.settings.policy.bake_minimum_requests
    if request_count < required_requests:
        return BakeVerdict(f"{request_count:.0f} requests during the bake, fewer than the required {required_requests}")
    return BakeVerdict()


def _find_alarms(service_name: str, since: datetime, ports: AlarmReadinessPorts) -> str | None:
    prefix, evidence_alarms = ports.settings.prefix, ports.settings.service(service_name).evidence_alarms
    names = (degraded_alarm(prefix, service_name), outage_alarm(prefix, service_name), *evidence_alarms)
    in_alarm = [name for name, state in ports.alarms.states(names).items() if state == "ALARM"]
    alarms = in_alarm or ports.alarms.fired_since(names, since)
    return f"alarms during the bake: {', '.join(sorted(alarms))}" if alarms else None


def _find_failed_checks(release: Release, view: ServiceView, ports: ReleaseCheckPorts) -> str | None:
    if view.desired_count == 0:
        return "the desired count is 0: there is no running task to judge"
    options = CheckOptions(alarms=AlarmHandling.IGNORE, database=_database_question(release, ports))
    checks = run_checks(release.service, release, view, ports, options)
    failed_checks = [c for c in checks if c.verdict is Verdict.FAIL and TARGET_GROUP_GONE not in c.evidence]
    return "; ".join(f"{c.name}: {c.reason}" for c in failed_checks) or None


def _count_requests(view: ServiceView, since: datetime, ports: ReleaseCheckPorts) -> float | None:
    """Count the requests of the bake; None: no load balancer counts them. Unused target groups have none."""
    if not view.target_groups:
        return None
    target_groups = tuple(group.arn for group in conclusive_groups(read_group_health(view, ports)))
    return ports.alarms.requests_since(target_groups, since) if target_groups else 0.0


def _judge_tasks(service_name: str, view: ServiceView, since: datetime, ports: ReleaseCheckPorts) -> BakeVerdict:
    check = check_tasks(ports.settings.service(service_name), view, TaskWindow(since), ports)
    if check.verdict is Verdict.FAIL:
        return BakeVerdict(f"{check.name}: {check.reason}", restarts_bake=True)
    uncounted = view.why_not_counted or "network load balancer: no requests were counted"
    return BakeVerdict(note=f"; {uncounted}; {check.reason}")


def _database_question(release: Release, ports: HasSettings) -> DatabaseQuestion | None:
    """Make the question about the standing branch; None: the environment has none."""
    database = ports.settings.database
    if database is None or database.branch_id is None:
        return None
    return DatabaseQuestion(service=release.service, fingerprint=release.fingerprint, branch_id=database.branch_id)
