"""Quarantine and unquarantine: an operator's decision about a release."""

from rollback.conclusion.release_state import set_release_state
from rollback.domain.operator import Operator
from rollback.domain.releases.release import Release, ReleaseState
from rollback.domain.releases.release_names import release_label
from rollback.errors import Conflict, InvalidRequest, RollbackError
from rollback.identity.candidates import release_named
from rollback.identity.task_definition import read_standing_plan
from rollback.leases.ports import LeasePorts
from rollback.operations.pause_abort_unlock import TRIES, record_operator_action
from rollback.ports.holders import HasLedger
from rollback.promotion.ports import PreparationPorts
from rollback.promotion.readiness import prepare_standing_plan

ROLLED_BACK_STATES = frozenset({ReleaseState.SUSPECT, ReleaseState.QUARANTINED})
_NOT_QUARANTINED = frozenset(ReleaseState) - {ReleaseState.QUARANTINED}


def quarantine(service_name: str, name: str, operator: Operator, ports: PreparationPorts) -> str:
    """Quarantine a release: no target without `--force`, and out of the standing plan at once.

    An interrupted call may be repeated.

    Raises:
        InvalidRequest: the ledger has no such release.
    """
    release = release_named(service_name, name, ports, _NOT_QUARANTINED)
    record_operator_action("quarantine", service_name, operator, ports, name)
    _quarantine(release, f"by {operator}", ports)
    return f"{_describe_release(release)} is quarantined; {_new_standing_plan(service_name, ports)}"


def unquarantine(service_name: str, name: str, operator: Operator, ports: LeasePorts) -> str:
    """Make a quarantined or suspect release a candidate again: it may be named as a target, and be promoted.

    Raises:
        InvalidRequest: the ledger has no such release, or the release is neither quarantined nor suspect.
        Conflict: the release's state was changed during the call.
    """
    release = release_named(service_name, name, ports, ROLLED_BACK_STATES)
    if release.state not in ROLLED_BACK_STATES:
        raise InvalidRequest(
            f"{release.version} is {release.state}, neither quarantined nor suspect; nothing was changed"
        )
    record_operator_action("unquarantine", service_name, operator, ports, name)
    set_release_state(release, ReleaseState.CANDIDATE, f"cleared by {operator}", ports.clock.now(), ports)
    current_release = _reread_release(release, ports)
    if current_release.state is not ReleaseState.CANDIDATE:
        raise Conflict(
            f"{current_release.version} became {current_release.state} during this command "
            f"({current_release.state_reason}); the release was not changed. Run "
            f"`rollback versions {ports.settings.environment}`, then repeat the command"
        )
    version = release_label(release, ports.ledger.releases(service_name))
    command = f"rollback promote {ports.settings.environment} --service {service_name} --version {version}"
    return f"{_describe_release(release)} is a candidate again; `{command}` makes that release the last known good"


def _quarantine(release: Release, reason: str, ports: PreparationPorts) -> None:
    """Set the state, and repeat if a promotion or a readiness check interferes."""
    for _ in range(TRIES):
        current_release = _reread_release(release, ports)
        standing_plan = read_standing_plan(release.service, ports)
        is_planned = standing_plan is not None and standing_plan.definition_of(release.fingerprint) is not None
        if current_release.state is ReleaseState.QUARANTINED and not is_planned:
            return
        set_release_state(current_release, ReleaseState.QUARANTINED, reason, ports.clock.now(), ports)
    raise Conflict(
        f"the state of {release.version} was changed {TRIES} times during this command. Run "
        f"`rollback versions {ports.settings.environment}`, then repeat the command"
    )


def _reread_release(release: Release, ports: HasLedger) -> Release:
    return ports.ledger.release(release.service, release.fingerprint) or release


def _describe_release(release: Release) -> str:
    return f"{release.version} ({release.fingerprint[:12]})"


def _new_standing_plan(service_name: str, ports: PreparationPorts) -> str:
    """Compute the standing plan again, so that the next promoted release comes first, in ECS too (decision 2)."""
    try:
        plan = prepare_standing_plan(service_name, ports)
    except (RollbackError, KeyError) as failure:
        return (
            f"the standing plan has lost that target, and could not be computed again ({failure}): the next readiness "
            "check computes the plan within the hour"
        )
    if not plan.targets:
        return "NO ROLLBACK TARGET is left: no other release is promoted"
    return f"the last known good is {plan.targets[0].release.version}"
