"""A person's word about a release: never again without force, or a candidate like any other."""

import difflib

from rollback.model.errors import Conflict, InvalidRequest, RollbackError
from rollback.model.operators import Operator
from rollback.model.release import Release, ReleaseState
from rollback.steps.candidates import newest
from rollback.steps.definition import standing_plan
from rollback.steps.judgement import judge
from rollback.steps.levers import TRIES, write_down
from rollback.steps.ports import World
from rollback.steps.readiness import prepare

LEFT = frozenset({ReleaseState.SUSPECT, ReleaseState.QUARANTINED})
_LEAST_DIGITS = 8  # of a fingerprint, to be no version by accident


def quarantine(service_name: str, name: str, operator: Operator, world: World) -> str:
    """No target without force, and out of the standing plan at once; pulled again it finishes what was interrupted.

    Raises:
        InvalidRequest: the ledger has no such release.
    """
    releases = named(service_name, name, world)
    write_down("quarantine", service_name, operator, world, name)
    for release in releases:
        _quarantine(release, f"by {operator}", world)
    return f"{_in_words(releases)} quarantined; {_new_standing_plan(service_name, world)}"


def unquarantine(service_name: str, name: str, operator: Operator, world: World) -> str:
    """Back to candidate, from quarantined or suspect: it may be named as a target, and be promoted.

    Raises:
        InvalidRequest: the ledger has no such release, or nothing was said against it.
        Conflict: it was judged again meanwhile.
    """
    releases = named(service_name, name, world)
    cleared = [release for release in releases if release.state in LEFT]
    if not cleared:
        state = releases[0].state
        raise InvalidRequest(f"{releases[0].version} is {state}, neither quarantined nor suspect; nothing was changed")
    write_down("unquarantine", service_name, operator, world, name)
    for release in cleared:
        judge(release, ReleaseState.CANDIDATE, f"cleared by {operator}", world.clock.now(), world)
        now = _as_it_stands(release, world)
        if now.state is not ReleaseState.CANDIDATE:
            raise Conflict(f"{now.version} was judged meanwhile: {now.state}, {now.state_reason}; look, and call again")
    promote = f"rollback promote {world.settings.environment} --version {cleared[0].version}"
    return f"{_in_words(cleared)} candidate again; `{promote}` makes it the last known good"


def named(service_name: str, name: str, world: World) -> tuple[Release, ...]:
    """Every release of a version, newest first; or the one whose fingerprint begins so.

    Raises:
        InvalidRequest: none, or several fingerprints begin so; names the known versions.
    """
    releases = world.ledger.find(service_name, name)
    of_version = tuple(release for release in releases if release.version == name)
    if of_version:
        return of_version
    if len(name) >= _LEAST_DIGITS:
        by_fingerprint = tuple(release for release in releases if release.fingerprint.startswith(name))
        if len(by_fingerprint) == 1:
            return by_fingerprint
    known = sorted({release.version for release in newest(service_name, world)})
    close = difflib.get_close_matches(name, known, n=1)
    hint = f" (did you mean {close[0]!r}?)" if close else ""
    listed = ", ".join(known) or "none"
    raise InvalidRequest(
        f"release {name!r} of {service_name} is not in the ledger{hint}; known versions: {listed}; nothing was changed"
    )


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


def _in_words(releases: tuple[Release, ...] | list[Release]) -> str:
    mark = ", ".join(release.fingerprint[:12] for release in releases)
    return f"{releases[0].version} ({mark}) is" if len(releases) == 1 else f"{releases[0].version} ({mark}) are"


def _new_standing_plan(service_name: str, world: World) -> str:
    """The next good one takes its place, also under the name that ECS knows the last known good by (decision 2)."""
    try:
        plan = prepare(service_name, world)
    except (RollbackError, KeyError) as failure:
        return f"the standing plan is without it, and could not be computed anew ({failure}): it is within the hour"
    if not plan.targets:
        return "NO WAY BACK is left: no other release was promoted"
    return f"the last known good is {plan.targets[0].release.version}"
