"""Decide whether a fence may be lifted: a release must never meet data that it was not meant for."""

from rollback.conclusion.ports import StayFencedPorts
from rollback.domain.obligation import Obligation, ObligationKind
from rollback.domain.rollback import Outcome, Rollback
from rollback.identity.identify import identify_running
from rollback.leases.holder import find_rollback
from rollback.leases.ports import LeaseReadPorts
from rollback.resources.aws.ecs_service import ServiceView


def has_to_stay_fenced(rollback: Rollback, obligation: Obligation, view: ServiceView, ports: StayFencedPorts) -> bool:
    """Whether a service at zero tasks has to stay there, with its scaling suspended.

    - Rule 3: after an operator's abort while fenced, the service stays fenced. The operator knows the reason.
    - After changed data, the service starts only if the data is as planned and PRIMARY runs the planned target.
    - A rollback without an outcome may start other writers in order to verify them (`reconnect`). Otherwise such
      a rollback could never succeed.
    """
    if obligation.kind not in (ObligationKind.FENCE, ObligationKind.SCALING) or view.desired_count > 0:
        return False
    if rollback.is_aborted_by_operator:
        return True
    if rollback.outcome is Outcome.SUCCEEDED:
        return False
    if rollback.outcome is not None and _inherits_fence_of_operator(rollback, ports):
        return True
    if not rollback.has_changed_data:
        return rollback.inherits_fence_of is not None or _took_over_changed_data(rollback, ports)
    return not (_has_data_as_planned(rollback) and _runs_planned_release(rollback, obligation, view, ports))


def _inherits_fence_of_operator(rollback: Rollback, ports: LeaseReadPorts) -> bool:
    """Whether an operator ended a rollback behind the fence that this one inherited: only success lifts that fence."""
    if rollback.inherits_fence_of is None:
        return False
    predecessor = find_rollback(rollback.inherits_fence_of, ports)
    return predecessor is None or predecessor.is_aborted_by_operator or _inherits_fence_of_operator(predecessor, ports)


def _took_over_changed_data(rollback: Rollback, ports: LeaseReadPorts) -> bool:
    """Whether this rollback took over one that had modified the database. An unreadable record counts as modified.

    Until this rollback succeeds, it is unknown whether the running release fits the data.
    """
    if rollback.continues_rollback_id is None:
        return False
    predecessor = find_rollback(rollback.continues_rollback_id, ports)
    return predecessor is None or predecessor.has_changed_data


def _has_data_as_planned(rollback: Rollback) -> bool:
    return rollback.database is not None and rollback.database.has_succeeded


def _runs_planned_release(
    rollback: Rollback, obligation: Obligation, view: ServiceView, ports: StayFencedPorts
) -> bool:
    """Whether PRIMARY is the target. Another writer keeps its release, which is always the planned one."""
    target = rollback.plan.target if rollback.plan is not None else None
    if target is None or rollback.service_of_obligation(obligation) != rollback.service_name:
        return True
    return identify_running(view, ports.settings.service(target.service), ports).is_release(target)
