"""A person's word about a release: never again without force, or a candidate like any other."""

import shlex

from rollback.conclusion.release_state import judge
from rollback.domain.operator import Operator
from rollback.domain.releases.release import Release, ReleaseState
from rollback.domain.releases.release_names import name_of
from rollback.errors import Conflict, InvalidRequest, RollbackError
from rollback.identity.named_release import release_named
from rollback.identity.task_definition import standing_plan
from rollback.operations.pause_abort_unlock import TRIES, write_down
from rollback.ports.world import World
from rollback.promotion.readiness import prepare

LEFT = frozenset({ReleaseState.SUSPECT, ReleaseState.QUARANTINED})
_NOT_QUARANTINED = frozenset(ReleaseState) - {ReleaseState.QUARANTINED}


def quarantine(service_name: str, name: str, operator: Operator, world: World) -> str:
    """No target without force, and out of the standing plan at once; pulled again it finishes what was interrupted.

    Raises:
        InvalidRequest: the ledger has no such release.
    """
    release = release_named(service_name, name, world, _NOT_QUARANTINED)
    write_down("quarantine", service_name, operator, world, name)
    _quarantine(release, f"by {operator}", world)
    return f"{_in_words(release)} quarantined; {_new_standing_plan(service_name, world)}"


def unquarantine(service_name: str, name: str, operator: Operator, world: World) -> str:
    """Back to candidate, from quarantined or suspect: it may be named as a target, and be promoted.

    Raises:
        InvalidRequest: the ledger has no such release, or nothing was said against it.
        Conflict: it was judged again meanwhile.
    """
    release = release_named(service_name, name, world, LEFT)
    if release.state not in LEFT:
        raise InvalidRequest(
            f"{release.version} is {release.state}, neither quarantined nor suspect; nothing was changed"
        )
    write_down("unquarantine", service_name, operator, world, name)
    judge(release, ReleaseState.CANDIDATE, f"cleared by {operator}", world.clock.now(), world)
    now = _as_it_stands(release, world)
    if now.state is not ReleaseState.CANDIDATE:
        raise Conflict(f"{now.version} was judged meanwhile: {now.state}, {now.state_reason}; look, and call again")
    version = name_of(release, world.ledger.releases(service_name))
    promote = f"{shlex.join(('rollback', 'promote', world.settings.environment))} --version {version}"
    return f"{_in_words(release)} candidate again; `{promote}` makes it the last known good"


def _quarantine(release: Release, reason: str, world: World) -> None:
    """Until it is seen to be so: a promotion or a look at the readiness may come in between."""
    for _ in range(TRIES):
        now = _as_it_stands(release, world)
        standing = standing_plan(release.service, world)
        is_planned = standing is not None and standing.definition_of(release.fingerprint) is not None
        if now.state is ReleaseState.QUARANTINED and not is_planned:
            return
        judge(now, ReleaseState.QUARANTINED, reason, world.clock.now(), world)
    raise Conflict(f"{release.version} was judged {TRIES} times meanwhile; look, and call it again")


def _as_it_stands(release: Release, world: World) -> Release:
    return world.ledger.release(release.service, release.fingerprint) or release


def _in_words(release: Release) -> str:
    return f"{release.version} ({release.fingerprint[:12]}) is"


def _new_standing_plan(service_name: str, world: World) -> str:
    """The next good one takes its place, also under the name that ECS knows the last known good by (decision 2)."""
    try:
        plan = prepare(service_name, world)
    except (RollbackError, KeyError) as failure:
        return f"the standing plan is without it, and could not be computed anew ({failure}): it is within the hour"
    if not plan.targets:
        return "NO WAY BACK is left: no other release was promoted"
    return f"the last known good is {plan.targets[0].release.version}"
