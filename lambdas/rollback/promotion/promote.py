"""Promotion: from a completed deployment to evidence that its release is good.

A release is recorded when its deployment starts and completes, and judged after the bake. Every part can be repeated:
the release's state is set last, so that after a crash the rest is done again.
"""

from collections.abc import Iterable, Mapping
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Any

from pydantic import AwareDatetime, BaseModel, ConfigDict

from rollback.canonical_json import sha256_of
from rollback.database.observation.ports import SchemaRecordPorts
from rollback.database.observation.record_schema import record_schema
from rollback.domain.event import find_service_of_event
from rollback.domain.releases.release import Release, ReleaseState
from rollback.domain.standing_plan import Bake
from rollback.errors import InvalidRequest, LeaseTaken, RollbackError, UnsupportedKind
from rollback.identity.candidates import release_named
from rollback.identity.identify import find_known_release, identify_release, is_registered_by_rollback, why_unresolved
from rollback.leases.holder import find_live_lease, find_rollback_at_gate
from rollback.names import family_of
from rollback.promotion.bake_evidence import judge_bake_evidence
from rollback.promotion.image_protection import protect_images
from rollback.promotion.ports import (
    BaselinePorts,
    PreparationPorts,
    PromotionPorts,
    RecordRunningPorts,
)
from rollback.promotion.readiness import prepare_standing_plan, prepare_standing_plan_if_due
from rollback.verification.checks.error_logs import read_baseline

# The function has 60 s. One service takes up to 38 s for the database, beside its probes, and seconds for the rest.
_LAST_START = timedelta(seconds=15)


class NextState(StrEnum):
    """The next state of the promotion's state machine."""

    WAIT = "wait"
    DONE = "done"


class PromotionCursor(BaseModel):
    """The state that travels through the promotion's state machine."""

    model_config = ConfigDict(frozen=True, extra="ignore")

    next: NextState
    wait_seconds: int = 0
    service: str
    fingerprint: str = ""
    deployment_id: str = ""
    recorded_at: AwareDatetime
    summary: str = ""


def record_deployment(event: Mapping[str, Any], ports: PreparationPorts) -> PromotionCursor:
    """Record the release of a deployment (SERVICE_DEPLOYMENT_IN_PROGRESS, …_COMPLETED), and begin its bake.

    Raises:
        InvalidRequest: the event is about a service of another environment, account or region.
    """
    service_name = find_service_of_event(event, ports.settings, ports.account_and_region)
    cursor = record_running(service_name, ports)
    prepare_standing_plan(service_name, ports)  # another release runs: check that a rollback is still available
    return cursor


def record_running(service_name: str, ports: RecordRunningPorts) -> PromotionCursor:
    """Record PRIMARY's release, unless a rollback deployed it."""
    now = ports.clock.now()
    service = ports.settings.service(service_name)
    if find_live_lease(service_name, ports) is not None:
        return _finish(service_name, now, "a rollback is in progress: its deployments are not releases")
    try:
        view = ports.services.describe(service)
    except UnsupportedKind as unsupported:  # the readiness check says so, and what to do
        return _finish(service_name, now, str(unsupported))
    primary = view.primary
    if is_registered_by_rollback(primary.definition_arn, ports):
        return _finish(service_name, now, f"{family_of(primary.definition_arn)} was registered by a rollback")
    identified_release = identify_release(primary.deployed, view, service, ports)
    release = identified_release.release
    if not release.is_resolved:
        return _finish(service_name, now, f"{release.version} is not recorded: {why_unresolved(release)}")
    note = _note_unpinned_images(release)
    health_checks = ports.target_groups.health_checks(view.target_groups)
    ports.ledger.record(release.model_copy(update={"health_checks": health_checks}), identified_release.definition)
    if release.state is not ReleaseState.CANDIDATE:
        return _finish(service_name, now, f"{release.version} is {release.state} already")
    if view.why_not_stable:  # COMPLETED alone is not enough: see `ServiceView.other_deployments`
        reasons = ", ".join(view.why_not_stable)
        return _finish(
            service_name,
            now,
            f"{release.version} is recorded; its bake begins once the deployment is stable ({reasons}){note}",
        )
    bake = ports.ledger.bake(service_name)
    if bake is None or bake.deployment_id != primary.id:
        bake = Bake(service=service_name, deployment_id=primary.id, since=now)
        ports.ledger.put_bake(bake)
    cursor = PromotionCursor(
        next=NextState.WAIT,
        service=service_name,
        fingerprint=release.fingerprint,
        deployment_id=primary.id,
        recorded_at=now,
        summary=f"{release.version} is recorded and bakes{note}",
    )
    remaining_bake = bake.since + timedelta(minutes=ports.settings.policy.bake_minutes) - now
    return _bake_on(cursor, remaining_bake, cursor.summary)


def judge_bake(cursor: PromotionCursor, ports: PromotionPorts) -> PromotionCursor:
    """Promote a release whose bake is over without objections; else extend the bake, or give up after its timeout."""
    now, policy = ports.clock.now(), ports.settings.policy
    lease_counter = ports.ledger.lease_counter(cursor.service)  # before the lease: a rollback may begin from here on
    bake, duration = ports.ledger.bake(cursor.service), timedelta(minutes=policy.bake_minutes)
    if bake is None or bake.deployment_id != cursor.deployment_id:
        return _finish(cursor.service, now, "another deployment has begun to bake since")
    if now < bake.since + duration:
        return _bake_on(cursor, bake.since + duration - now, "the bake is not over")
    release = ports.ledger.release(cursor.service, cursor.fingerprint)
    if release is None or release.state is not ReleaseState.CANDIDATE:
        return _finish(
            cursor.service,
            now,
            f"{release.version} is {release.state}" if release else "the release is not in the ledger",
        )
    if find_live_lease(cursor.service, ports) is not None:
        return _bake_on(cursor, duration, "a rollback is in progress")
    waiting = find_rollback_at_gate(cursor.service, ports)
    if waiting is not None:  # it may be about this very release, which is no evidence yet that the release is good
        return _bake_on(cursor, duration, f"{waiting.id} waits for an approval")
    verdict = judge_bake_evidence(release, bake.since, ports)
    if verdict.restarts_bake:
        ports.ledger.put_bake(bake.model_copy(update={"since": now}))
    if verdict.objection is not None:
        if now - cursor.recorded_at > timedelta(minutes=policy.bake_timeout_minutes):
            return _finish(cursor.service, now, f"{release.version} is not promoted: {verdict.objection}")
        return _bake_on(cursor, duration, verdict.objection)
    release = _record_baseline(release, bake.since, ports)
    try:
        reason = f"baked since {bake.since:%Y-%m-%d %H:%M:%S} UTC{verdict.note}"
        promote(release, reason, ports, lease_counter=lease_counter)
    except LeaseTaken as taken:  # the release may be the cause: its bake is judged again after the rollback
        prepare_standing_plan(cursor.service, ports)  # without the release, which is no target yet
        return _bake_on(cursor, duration, str(taken))
    return _finish(cursor.service, now, f"{release.version} is promoted")


def adopt_running_releases(ports: PromotionPorts) -> list[PromotionCursor]:
    """Record running releases without a promotion, and judge each once it has baked.

    This adopts services that ran before the rollback stack was deployed, and releases whose event was lost. A later run
    goes on with services for which the time of this one is too short.

    Raises:
        RollbackError: one service failed; the others were done, or left to the next run.
    """
    cursors: list[PromotionCursor] = []
    failures: list[RollbackError] = []
    began_at = ports.clock.now()
    for service_name in _order_of_run(ports.settings.service_names, began_at):
        if ports.clock.now() - began_at > _LAST_START:
            cursors.append(_finish(service_name, ports.clock.now(), f"{service_name} is left to the next run"))
            continue
        try:
            cursor = record_running(service_name, ports)
            cursors.append(judge_bake(cursor, ports) if cursor.next is NextState.WAIT else cursor)
            prepare_standing_plan_if_due(service_name, ports)
        except RollbackError as failure:
            failures.append(failure)
    if failures:
        raise failures[0]
    return cursors


def _order_of_run(service_names: Iterable[str], at: datetime) -> list[str]:
    """Order the services differently in each run, so that none is always the last."""
    return sorted(service_names, key=lambda name: sha256_of({"service": name, "at": at.isoformat()}))


def promote(release: Release, reason: str, ports: PreparationPorts, *, lease_counter: int | None = None) -> None:
    """Make a release the last known good: tag its images, compute the standing plan with it, set its state last.

    Args:
        release: the release.
        reason: the evidence, for the record.
        ports: access to AWS, Neon and the ledger.
        lease_counter: counter of the service's lease before the release was judged; None: an operator judged it.

    Raises:
        LeaseTaken: a rollback took the lease since; the standing plan names the release, and has to be computed again.
    """
    protect_images(release, ports)
    schema = _schema_of_running(release, ports)
    changes = {**schema, "state": ReleaseState.PROMOTED, "state_since": ports.clock.now(), "state_reason": reason}
    prepare_standing_plan(release.service, ports, about_to_be_promoted=release.model_copy(update=changes))
    if lease_counter is None:
        ports.ledger.set_release_state(release, ReleaseState.PROMOTED, ports.clock.now(), reason)
    else:
        ports.ledger.promote_release(release, ports.clock.now(), reason, lease_counter)


def _schema_of_running(release: Release, ports: SchemaRecordPorts) -> dict[str, str | None]:
    """Record the live schema with the release. Without an answer a later observation of the database adds it."""
    try:
        return {"schema_sha256": record_schema(release, ports).schema_sha256}
    except RollbackError:
        return {}


def promote_by_operator(service_name: str, version: str | None, operator_name: str, ports: PreparationPorts) -> Release:
    """Promote the named or the running release at an operator's request (`rollback promote`).

    Args:
        service_name: name of the service.
        version: the release; None: the running one.
        operator_name: the operator, for the record.
        ports: access to AWS, Neon and the ledger.

    Raises:
        InvalidRequest: the ledger has no such release, it is quarantined, or its images are not known by digest.
    """
    record_running(service_name, ports)
    service = ports.settings.service(service_name)
    view = ports.services.describe(service)
    if version is not None:
        # The operator decides which of several releases is good: none is preferred.
        release = release_named(service_name, version, ports, prefer=())
    else:
        identified = identify_release(view.primary.deployed, view, service, ports)
        running, ledger_release = identified.release, find_known_release(service_name, identified.identity, ports)
        if ledger_release is None:
            raise InvalidRequest(f"the running release {running.version} is not in the ledger; nothing was changed")
        release = ledger_release
    if release.state is ReleaseState.QUARANTINED:
        raise InvalidRequest(f"{release.version} is quarantined ({release.state_reason}); nothing was changed")
    if not release.is_resolved:
        raise InvalidRequest(f"{release.version} can't be promoted: {why_unresolved(release)}; nothing was changed")
    if release.state is ReleaseState.PROMOTED:
        protect_images(release, ports)  # a tag may be missing, or a repository new in the settings
    else:
        promote(release, f"requested by {operator_name}", ports)
    return ports.ledger.release(service_name, release.fingerprint) or release


def _note_unpinned_images(release: Release) -> str:
    """Name containers that are recorded without a digest; they prevent neither recording nor promotion."""
    names = ", ".join(release.pinned_by_reference)
    return f"; the digest of {names} is not known, so new tasks run the image that the tag names" if names else ""


def _record_baseline(release: Release, since: datetime, ports: BaselinePorts) -> Release:
    """Record the error lines of the bake, the measure of later verifications. Without an answer there is no measure."""
    try:
        view = ports.services.describe(ports.settings.service(release.service))
        baseline = read_baseline(release, view, since, ports)
        return ports.ledger.set_log_baseline(release, baseline) if baseline is not None else release
    except RollbackError:
        return release


def _bake_on(cursor: PromotionCursor, wait: timedelta, reason: str) -> PromotionCursor:
    seconds = max(1, round(wait.total_seconds()))
    return cursor.model_copy(update={"next": NextState.WAIT, "wait_seconds": seconds, "summary": reason[:500]})


def _finish(service: str, now: datetime, reason: str) -> PromotionCursor:
    return PromotionCursor(next=NextState.DONE, service=service, recorded_at=now, summary=reason[:500])
