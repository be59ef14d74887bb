"""Discharge obligations: restore every setting that a rollback changed around its target, under the lease.

An obligation counts as discharged only once AWS or Neon shows the recorded value. An obligation that can't be
discharged in time is handed to an operator. A rollback that crashed is discharged like any other (decision 18).
"""

from datetime import datetime, timedelta

from rollback.conclusion.obligation_kinds import (
    BranchDischarge,
    ServiceDischarge,
    discharge_of,
    restore_branch_setting,
    restore_setting,
)
from rollback.conclusion.ports import DischargePorts
from rollback.conclusion.stay_fenced import has_to_stay_fenced
from rollback.domain.obligation import OPERATOR, Obligation, ObligationKind
from rollback.domain.rollback import Rollback
from rollback.errors import CallRefused, ExternalServiceError, InvalidRequest, LeaseLost, UnsupportedService
from rollback.intents.announce import is_conclusion_overdue
from rollback.leases.hold import renew_leases_of_stopped_services
from rollback.leases.holder import find_rollback
from rollback.leases.ports import LeasePorts
from rollback.ports.holders import HasLedger, HasSettings
from rollback.service.zero_task_periods import record_service_running


def discharge_obligation(rollback: Rollback, obligation: Obligation, now: datetime, ports: DischargePorts) -> Rollback:
    """One round on one obligation: hold the leases, observe, and make at most one change."""
    if obligation.kind is ObligationKind.PREVIEW_BRANCH:  # named after this rollback: no other rollback uses it
        return _discharge_for_branch(rollback, obligation, now, ports)
    policy = ports.settings.policy
    until = now + timedelta(minutes=policy.lease_minutes)
    lease = ports.ledger.acquire(rollback.service_name, rollback.id, now, until)
    if lease is None:
        return _hand_to_lease_holder(rollback, obligation, now, ports)
    if lease.counter != rollback.lease_counter:
        return rollback.evolve(lease_counter=lease.counter, wait_seconds=0)
    try:
        ports.ledger.renew(lease, now, until)  # a lease that the rollback held already may end at any moment
        held_by_others = renew_leases_of_stopped_services(rollback, ports)
    except LeaseLost:
        return rollback.evolve(wait_seconds=policy.poll_seconds)
    if obligation.service in held_by_others:
        return _wait_or_hand_to_operator(rollback, obligation, now, ports)
    match discharge_of(obligation.kind):
        case ServiceDischarge():
            return _discharge_for_service(rollback, obligation, now, ports)
        case BranchDischarge():
            return _discharge_for_branch(rollback, obligation, now, ports)


def _discharge_for_service(
    rollback: Rollback, obligation: Obligation, now: datetime, ports: DischargePorts
) -> Rollback:
    service = ports.settings.service(rollback.service_of_obligation(obligation))
    try:
        view = ports.services.describe(service)
        rollback = record_service_running(rollback, service.name, view, now)
        if has_to_stay_fenced(rollback, obligation, view, ports):
            return _hand_to_operator(rollback, obligation)
        if restore_setting(obligation, service, view, ports):
            return _release_service_lease(rollback.discharge(obligation, now), obligation, ports)
    except (CallRefused, UnsupportedService):
        return _hand_to_operator(rollback, obligation)
    except ExternalServiceError:
        pass  # the next round observes again
    return _wait_or_hand_to_operator(rollback, obligation, now, ports)


def _discharge_for_branch(rollback: Rollback, obligation: Obligation, now: datetime, ports: DischargePorts) -> Rollback:
    try:
        if restore_branch_setting(obligation, ports.neon):
            return rollback.discharge(obligation, now)
    except CallRefused:
        return _hand_to_operator(rollback, obligation)
    except (ExternalServiceError, InvalidRequest):
        pass  # Neon does not answer, or the settings have no database any more
    return _wait_or_hand_to_operator(rollback, obligation, now, ports)


def _wait_or_hand_to_operator(
    rollback: Rollback, obligation: Obligation, now: datetime, ports: HasSettings
) -> Rollback:
    if is_conclusion_overdue(rollback, now, ports):
        return _hand_to_operator(rollback, obligation)
    return rollback.evolve(wait_seconds=ports.settings.policy.poll_seconds)


def _hand_to_lease_holder(rollback: Rollback, obligation: Obligation, now: datetime, ports: LeasePorts) -> Rollback:
    """Hand the obligation to the rollback that took the expired lease over, once its record has the obligation too."""
    lease = ports.ledger.lease(rollback.service_name)
    if lease is not None:
        successor = find_rollback(lease.holder, ports)
        if successor is not None and successor.has_obligation_like(obligation, rollback):
            return rollback.hand_over(obligation, successor.id)
    return _wait_or_hand_to_operator(rollback, obligation, now, ports)


def _release_service_lease(rollback: Rollback, obligation: Obligation, ports: HasLedger) -> Rollback:
    """Release another service's lease with its last obligation. The rollback's own lease is released at the end."""
    if obligation.service is not None and all(
        other.service != obligation.service for other in rollback.open_obligations()
    ):
        ports.ledger.release_lease(obligation.service, rollback.id)
    return rollback


def _hand_to_operator(rollback: Rollback, obligation: Obligation) -> Rollback:
    """Leave the obligation to an operator, and report again: an earlier report did not name it."""
    return rollback.hand_over(obligation, OPERATOR).evolve(is_reported=False)
