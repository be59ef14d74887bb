"""Judge the database's part of a standing plan: can each target work with the live schema, or is a restore possible?

Everything comes from the ledger; neither Neon nor Postgres is asked. Each observation of the database judges again.
"""

import contextlib

from rollback.database.observation.ports import DatabaseReadinessPorts, SchemaRecordPorts
from rollback.database.observation.readiness_rules import CHECK_NAME, check_restore_available, unchecked_restore_point
from rollback.domain.releases.release import Release
from rollback.domain.standing_plan import StandingPlan, StandingTarget
from rollback.errors import Conflict
from rollback.identity.identify import find_or_build_release
from rollback.identity.task_definition import read_standing_plan
from rollback.resources.aws.ecs_service import ServiceView
from rollback.schema.verdict_from_ledger import schema_verdict

_TRIES = 5


def judge_standing_plan(service_name: str, ports: DatabaseReadinessPorts) -> None:
    """Replace the schema verdicts of the standing plan by those against the last observation; keep all else.

    Raises:
        Conflict: another writer replaced the standing plan during each attempt.
        ExternalServiceError: ECS or the ledger did not answer.
    """
    view = ports.services.describe(ports.settings.service(service_name))
    for _ in range(_TRIES):
        standing_plan = read_standing_plan(service_name, ports)
        if standing_plan is None:
            return
        # Replaces this version only: a newer version may lack a target that was judged bad since.
        with contextlib.suppress(Conflict):
            ports.ledger.replace_standing_plan(standing_plan, judge_database(standing_plan, view, ports))
            return
    raise Conflict(
        f"another writer replaced the standing plan of {service_name} {_TRIES} times: its verdicts are outdated"
    )


def judge_database(plan: StandingPlan, view: ServiceView, ports: DatabaseReadinessPorts) -> StandingPlan:
    """Add a schema verdict for each target, and the check of the restore point.

    Raises:
        ExternalServiceError: ECS no longer describes the running task definition.
    """
    others = tuple(check for check in plan.readiness if check.name != CHECK_NAME)
    database = ports.settings.database
    if database is None or not ports.settings.writes_to_observed_branch(plan.service):
        targets = tuple(target.model_copy(update={"schema_verdict": None}) for target in plan.targets)
        check = unchecked_restore_point(
            "no database is set that the service writes to, or each pull request has its own branch"
        )
        return plan.model_copy(update={"targets": targets, "readiness": (*others, check), "database_seen_at": None})
    running_release = find_or_build_release(view.primary.deployed, view, ports.settings.service(plan.service), ports)
    observation = ports.ledger.observation(
        database.branch_key(None)
    )  # read before the verdicts, which so rest on this or a newer one
    recorded_releases = (ports.ledger.release(plan.service, target.release.fingerprint) for target in plan.targets)
    releases_by_fingerprint = {release.fingerprint: release for release in recorded_releases if release is not None}
    targets = tuple(_judge_target(target, releases_by_fingerprint, running_release, ports) for target in plan.targets)
    next_target = next((t for t in targets if t.release.fingerprint != running_release.fingerprint), None)
    verdict = next_target.schema_verdict if next_target is not None else None
    check = check_restore_available(observation, plan.service, verdict, database.observe_minutes, ports.clock.now())
    observed_at = observation.observed_at if observation is not None else None
    return plan.model_copy(update={"targets": targets, "readiness": (*others, check), "database_seen_at": observed_at})


def _judge_target(
    target: StandingTarget, releases_by_fingerprint: dict[str, Release], running: Release, ports: SchemaRecordPorts
) -> StandingTarget:
    """Add the verdict of one target. Its schema may have been recorded after the plan was computed."""
    schema_sha256 = (
        releases_by_fingerprint.get(target.release.fingerprint, target.release).schema_sha256
        or target.release.schema_sha256
    )
    release = target.release.model_copy(update={"schema_sha256": schema_sha256})
    verdict = schema_verdict(release, ports, running)
    return target.model_copy(update={"release": release, "schema_verdict": verdict.in_brief if verdict else None})
