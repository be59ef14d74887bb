"""What a rollback proves: the release that was left is suspect, or quarantined; the standing plan follows."""

from datetime import datetime

from rollback.canonical_json import sha256_of
from rollback.domain.releases.release import Release, ReleaseState, normalised_definition
from rollback.domain.request import RollbackType, Trigger
from rollback.domain.rollback import Outcome, Rollback
from rollback.errors import Conflict, UnreadableItem
from rollback.identity.task_definition import standing_plan
from rollback.ports.world import World


def mark_previous_release(rollback: Rollback, now: datetime, world: World) -> None:
    """Suspect once we acted, quarantined once things were verified better without it. Retried, it finds it done.

    A step forward is no evidence against what was left; neither is a person's choice to leave a promoted release, nor
    a rollback that failed, or that gave way to a newer release before it was verified. One that was taken over leaves
    the judgement to who took it; one of the database alone leaves no release.
    """
    has_left = rollback.has_moved_service or rollback.has_changed_data  # a fence alone leaves no release
    if not has_left or rollback.request.type is RollbackType.DATABASE or rollback.superseded_by is not None:
        return
    plan, planned_target = rollback.plan, rollback.plan.target if rollback.plan is not None else None
    if plan is None or planned_target is None:
        return
    succeeded = rollback.outcome is Outcome.SUCCEEDED
    target = _find_in_ledger(planned_target, world)
    left = _find_in_ledger(plan.running, world) or _record_release(plan.running, world)
    if succeeded and target is not None and target.state in (ReleaseState.SUSPECT, ReleaseState.QUARANTINED):
        set_release_state(target, ReleaseState.CANDIDATE, f"went back to by {rollback.id}, and verified", now, world)
    if left is None or left.fingerprint == planned_target.fingerprint:
        return
    if planned_target.first_deployed_at > left.first_deployed_at:
        return
    if left.state is ReleaseState.PROMOTED and (rollback.trigger is Trigger.MANUAL or not succeeded):
        return
    state = ReleaseState.QUARANTINED if succeeded else ReleaseState.SUSPECT
    if left.state not in (state, ReleaseState.QUARANTINED):
        set_release_state(left, state, f"left by {rollback.id}", now, world)


def set_release_state(release: Release, state: ReleaseState, reason: str, now: datetime, world: World) -> None:
    """Move a release to a state; one that is no longer promoted is out of the standing plan first.

    In this order, so that a crash in between leaves a plan without a good release, never one with a bad.
    """
    if state is not ReleaseState.PROMOTED:
        _remove_from_standing_plan(release, now, world)
    try:
        world.ledger.set_release_state(release, state, now, reason)
    except Conflict:
        return  # judged by somebody else meanwhile: a later verdict than ours
    except UnreadableItem as unreadable:  # an item that can't be read is no target: nothing of it is lost
        world.ledger.record_unreadable(unreadable, now)


def _remove_from_standing_plan(release: Release, now: datetime, world: World) -> None:
    standing = standing_plan(release.service, world)
    if standing is not None and standing.definition_of(release.fingerprint) is not None:
        at = max(now, standing.computed_at)  # another machine's clock: an older plan would not be put
        world.ledger.put_standing_plan(standing.without(release.fingerprint).model_copy(update={"computed_at": at}))


def _find_in_ledger(release: Release, world: World) -> Release | None:
    return world.ledger.release(release.service, release.fingerprint)


def _record_release(release: Release, world: World) -> Release | None:
    """An emergency had no time to record what it left; None: ECS no longer describes it."""
    raw = world.services.definition(release.definition_arn)
    if raw is None:
        return None
    definition = normalised_definition(raw, release.images)
    recorded = release.model_copy(update={"definition_sha256": sha256_of(definition)})
    world.ledger.record(recorded, definition)
    return recorded
