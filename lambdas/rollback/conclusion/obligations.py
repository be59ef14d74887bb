"""Discharging obligations: what a rollback changed around its target is put back, under the lease, and seen to be so.

What can't be put back in time is handed to an operator by name. Aborted by an operator while fenced, the service stays
fenced and its scaling suspended (rule 3): they know more than we do. A crash knows nothing (decision 18).
"""

from datetime import datetime, timedelta

from rollback.domain.rollback import OPERATOR, Obligation, ObligationKind, Outcome, Rollback
from rollback.domain.settings.environment import ServiceSettings
from rollback.errors import CallRefused, ExternalServiceError, InvalidRequest, LeaseLost, UnsupportedService
from rollback.identity.identify import identify_running
from rollback.intents.caused import record_caused_deployment
from rollback.intents.waiting import is_conclusion_overdue
from rollback.leases.holder import find_rollback
from rollback.leases.stopped_services import renew_leases_of_stopped_services
from rollback.ports.neon import Databases
from rollback.ports.world import World
from rollback.resources.aws.ecs_service import ScalableTarget, ServiceView
from rollback.service.drain_status import record_service_running


def discharge_obligation(rollback: Rollback, owed: Obligation, now: datetime, world: World) -> Rollback:
    """One round on one obligation: look, change if it is safe, say so only when it is seen."""
    policy = world.settings.policy
    until = now + timedelta(minutes=policy.lease_minutes)
    lease = world.ledger.acquire(rollback.service_name, rollback.id, now, until)
    if lease is None:
        return _hand_to_holder(rollback, owed, now, world)
    if lease.counter != rollback.lease_counter:
        return rollback.evolve(lease_counter=lease.counter, wait_seconds=0)
    try:
        world.ledger.renew(lease, now, until)  # rule 9: one that was held already may end any moment
        in_other_hands = renew_leases_of_stopped_services(rollback, world)
    except LeaseLost:
        return rollback.evolve(wait_seconds=policy.poll_seconds)
    if owed.kind is ObligationKind.BRANCH_PROTECTION:
        return _protect_branch_again(rollback, owed, now, world)
    if owed.service in in_other_hands:
        if is_conclusion_overdue(rollback, now, world):
            return _hand_to_operator(rollback, owed)
        return rollback.evolve(wait_seconds=policy.poll_seconds)
    service = world.settings.service(rollback.service_of_obligation(owed))
    try:
        view = world.services.describe(service)
        rollback = record_service_running(rollback, service.name, view, now)
        if has_to_stay_fenced(rollback, owed, view, world):
            return _hand_to_operator(rollback, owed)
        if restore_setting(owed, service, view, world):
            return _release_service_lease(rollback.discharge(owed, now), owed, world)
    except (CallRefused, UnsupportedService):
        return _hand_to_operator(rollback, owed)
    except ExternalServiceError:
        pass  # looked at again below, until the time is over
    if is_conclusion_overdue(rollback, now, world):
        return _hand_to_operator(rollback, owed)
    return rollback.evolve(wait_seconds=policy.poll_seconds)


def _protect_branch_again(rollback: Rollback, owed: Obligation, now: datetime, world: World) -> Rollback:
    """Seen to be so, else asked for; what may still be under way is waited for, since it needs the branch as it is."""
    try:
        if ensure_branch_protected(owed, world.databases):
            return rollback.discharge(owed, now)
    except CallRefused:
        return _hand_to_operator(rollback, owed)
    except (ExternalServiceError, InvalidRequest):  # no database is set any more
        pass
    if is_conclusion_overdue(rollback, now, world):
        return _hand_to_operator(rollback, owed)
    return rollback.evolve(wait_seconds=world.settings.policy.poll_seconds)


def ensure_branch_protected(owed: Obligation, databases: Databases) -> bool:
    """Discharge what an un-protection left, where the restore itself can't any more: seen to be so, else asked for."""
    branch_id = str(owed.before["branch_id"])
    branch = databases.branch(branch_id)
    if branch is None or branch.protected:
        return True
    databases.update_branch(branch_id, protected=True)
    return False


def has_to_stay_fenced(rollback: Rollback, owed: Obligation, view: ServiceView, world: World) -> bool:
    """Rule 3; and a release never meets data that it was not meant for: not the bad one, and not what may be half done.

    Where the data is as planned, and the service runs what was planned, a fence has no purpose any more. A rollback
    without an outcome starts other writers to verify them (`reconnect`): without that it could never succeed.
    """
    if owed.kind not in (ObligationKind.FENCE, ObligationKind.SCALING) or view.desired_count > 0:
        return False
    if rollback.is_aborted_by_operator:
        return True
    if rollback.outcome is Outcome.SUCCEEDED:
        return False
    if rollback.outcome is not None and _inherits_fence_of_person(rollback, world):
        return True
    if not rollback.has_changed_data:
        return rollback.inherits_fence_of is not None or _took_over_changed_data(rollback, world)
    return not (_has_data_as_planned(rollback) and _is_target(rollback, owed, view, world))


def _inherits_fence_of_person(rollback: Rollback, world: World) -> bool:
    """True if a person ended a rollback behind the fence that this one inherited: only success lifts that fence."""
    if rollback.inherits_fence_of is None:
        return False
    before = find_rollback(rollback.inherits_fence_of, world)
    return before is None or before.is_aborted_by_operator or _inherits_fence_of_person(before, world)


def _took_over_changed_data(rollback: Rollback, world: World) -> bool:
    """True if this rollback took over one that had modified the database, or may have: its record can't be read.

    Until this rollback succeeds, nobody knows whether what runs fits the data.
    """
    if rollback.supersedes is None:
        return False
    before = find_rollback(rollback.supersedes, world)
    return before is None or before.has_changed_data


def _has_data_as_planned(rollback: Rollback) -> bool:
    return rollback.database is not None and rollback.database.has_succeeded


def _is_target(rollback: Rollback, owed: Obligation, view: ServiceView, world: World) -> bool:
    """Another writer's release was never the trouble: it is the one to run."""
    target = rollback.plan.target if rollback.plan is not None else None
    if target is None or rollback.service_of_obligation(owed) != rollback.service_name:
        return True
    return identify_running(view, world.settings.service(target.service), world).is_release(target)


def restore_setting(owed: Obligation, service: ServiceSettings, view: ServiceView, world: World) -> bool:
    """Whether it is seen to be put back; if it is not, and it is safe, the change that puts it back is made."""
    match owed.kind:
        case ObligationKind.DEPLOYMENT_CONFIGURATION:
            return _restore_deployment_configuration(owed, service, view, world)
        case ObligationKind.FENCE:
            return _restore_desired_count(owed, service, view, world)
        case ObligationKind.SCALING:
            return _restore_scaling(owed, service, view, world)
        case ObligationKind.BRANCH_PROTECTION:
            return False  # not a service's: `_protect_branch_again`


def _restore_deployment_configuration(
    owed: Obligation, service: ServiceSettings, view: ServiceView, world: World
) -> bool:
    """Rule 5: the recorded parts, once PRIMARY is COMPLETED. What others changed of it meanwhile stays.

    COMPLETED is enough here, though tasks of the former revision may run on: ECS goes back from it no more (ECS API
    reference, DeploymentEarlySuccessCriteria).
    """
    current = view.deployment_configuration
    if all(current.get(part) == was for part, was in owed.before.items()):
        return True
    if view.primary.rollout_state == "COMPLETED":
        world.services.update(service, deployment_configuration=owed.before)
    return False


def _restore_desired_count(owed: Obligation, service: ServiceSettings, view: ServiceView, world: World) -> bool:
    """Tasks as many as before at least; what PRIMARY is by now is what is started.

    ECS starts no more tasks for a deployment that it has given up: that one is begun anew.
    """
    before = int(owed.before["desired_count"])
    if view.desired_count >= before:
        return True
    given_up = view.primary.rollout_state == "FAILED"
    if given_up:
        record_caused_deployment(service.name, view, world.clock.now(), world)
    world.services.update(service, desired_count=before, force_new_deployment=given_up)
    return False


def _restore_scaling(owed: Obligation, service: ServiceSettings, view: ServiceView, world: World) -> bool:
    """Rule 2: exactly as it was, and only once the service runs on as many tasks as its minimum."""
    before = ScalableTarget.model_validate(owed.before)
    if world.scaling.describe(service) == before:
        return True
    if min(view.running_count, view.desired_count) >= before.min_capacity:
        world.scaling.put(service, before)
    return False


def _hand_to_holder(rollback: Rollback, owed: Obligation, now: datetime, world: World) -> Rollback:
    """Whoever took an expired lease over has inherited the obligation, once its document says so."""
    held = world.ledger.lease(rollback.service_name)
    if held is not None:
        heir = find_rollback(held.holder, world)
        if heir is not None and heir.has_obligation_like(owed, rollback):
            return rollback.hand_over(owed, heir.id)
    if is_conclusion_overdue(rollback, now, world):
        return _hand_to_operator(rollback, owed)
    return rollback.evolve(wait_seconds=world.settings.policy.poll_seconds)


def _release_service_lease(rollback: Rollback, owed: Obligation, world: World) -> Rollback:
    """Another service is free for others once nothing of it is owed any more; our own at the very end."""
    if owed.service is not None and all(o.service != owed.service for o in rollback.open_obligations()):
        world.ledger.release_lease(owed.service, rollback.id)
    return rollback


def _hand_to_operator(rollback: Rollback, owed: Obligation) -> Rollback:
    """A person has to do it: a report that said otherwise is followed by another."""
    return rollback.hand_over(owed, OPERATOR).evolve(reported=False)
