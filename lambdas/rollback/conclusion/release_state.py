"""Mark the release that a rollback left as suspect or quarantined, and take it out of the standing plan."""

from datetime import datetime

from rollback.canonical_json import sha256_of
from rollback.conclusion.ports import PreviousReleasePorts, ReleaseStatePorts
from rollback.domain.releases.release import Release, ReleaseState, normalised_definition
from rollback.domain.request import RollbackType, Trigger
from rollback.domain.rollback import Outcome, Rollback
from rollback.errors import Conflict, UnreadableItem
from rollback.identity.task_definition import read_standing_plan
from rollback.ports.holders import HasLedger


def mark_previous_release(rollback: Rollback, now: datetime, ports: PreviousReleasePorts) -> None:
    """Mark the previous release as suspect, or as quarantined if verification passed without it. Safe to repeat.

    The release keeps its state where the rollback proves nothing about it:
    - The rollback went forward to a newer release.
    - The previous release was promoted before the trigger, and an operator chose to leave it or the rollback failed.
    - Another rollback took over, and marks the release itself.
    - Only the database went back, or only a fence was set up.
    - The rollback is a drill, which proves nothing about a release.
    """
    plan = rollback.plan
    if plan is None or plan.target is None or not (rollback.has_moved_service or rollback.has_changed_data):
        return
    if rollback.is_drill or rollback.request.type is RollbackType.DATABASE or rollback.taken_over_by is not None:
        return
    has_succeeded = rollback.outcome is Outcome.SUCCEEDED
    target = _find_in_ledger(plan.target, ports)
    previous = _find_in_ledger(plan.running, ports) or _record_release(plan.running, ports)
    if has_succeeded and target is not None and target.state in (ReleaseState.SUSPECT, ReleaseState.QUARANTINED):
        reason = f"{rollback.id} rolled back to this release and verified the release"
        set_release_state(target, ReleaseState.CANDIDATE, reason, now, ports)
    if previous is None or previous.fingerprint == plan.target.fingerprint:
        return
    if plan.target.first_deployed_at > previous.first_deployed_at:
        return
    triggered_at = rollback.event.at if rollback.event is not None else None
    was_proven = previous.state is ReleaseState.PROMOTED and not previous.is_promoted_after(triggered_at)
    if was_proven and (rollback.trigger is Trigger.MANUAL or not has_succeeded):
        return
    state = ReleaseState.QUARANTINED if has_succeeded else ReleaseState.SUSPECT
    if previous.state not in (state, ReleaseState.QUARANTINED):
        set_release_state(previous, state, f"left by {rollback.id}", now, ports)


def set_release_state(
    release: Release, state: ReleaseState, reason: str, now: datetime, ports: ReleaseStatePorts
) -> None:
    """Set the state of a release. A release that loses its promotion leaves the standing plan first.

    A crash between the two changes then leaves a standing plan without a good release, never one with a bad release.
    """
    if state is not ReleaseState.PROMOTED:
        _remove_from_standing_plan(release, now, ports)
    try:
        ports.ledger.set_release_state(release, state, now, reason)
    except Conflict:
        return  # another writer has just set a state, and the later verdict counts
    except UnreadableItem as unreadable:  # an unreadable release is never a target, so its state may stay unset
        ports.ledger.record_unreadable(unreadable, now)


def _remove_from_standing_plan(release: Release, now: datetime, ports: ReleaseStatePorts) -> None:
    standing_plan = read_standing_plan(release.service, ports)
    if standing_plan is not None and standing_plan.definition_of(release.fingerprint) is not None:
        at = max(now, standing_plan.computed_at)  # the ledger refuses an older plan, and clocks of two functions differ
        ports.ledger.put_standing_plan(
            standing_plan.without_target(release.fingerprint).model_copy(update={"computed_at": at})
        )


def _find_in_ledger(release: Release, ports: HasLedger) -> Release | None:
    return ports.ledger.release(release.service, release.fingerprint)


def _record_release(release: Release, ports: PreviousReleasePorts) -> Release | None:
    """Record the release that an emergency left without recording it. None: ECS no longer has its task definition."""
    raw = ports.services.definition(release.definition_arn)
    if raw is None:
        return None
    definition = normalised_definition(raw, release.images)
    recorded_release = release.model_copy(update={"definition_sha256": sha256_of(definition)})
    ports.ledger.record(recorded_release, definition)
    return recorded_release
