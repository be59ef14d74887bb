"""Decide whether a rollback takes over the lease of another.

Rule 1: an automatic trigger never takes over a rollback that is fenced, holds a database lease, or is itself an
emergency. An operator with `--force` may.
"""

from rollback.domain.approval.commands import decision_commands
from rollback.domain.request import OPERATOR_TRIGGERS, RollbackType
from rollback.domain.rollback import Rollback


def find_takeover_objection(newcomer: Rollback, holder: Rollback) -> str | None:
    """Reason why a rollback may not take over the lease of another; None: it may.

    Without force only an emergency takes over, and only from a plain rollback. A fence or a restart from zero causes an
    outage alarm itself. A holder with an outcome has only obligations left, which the newcomer discharges with its own.
    """
    if newcomer.is_forced_by_operator or holder.never_acts:
        return None
    if holder.is_at_gate:  # it is about to give its lease back, and has changed nothing
        return find_gate_objection(newcomer, holder)
    if holder.is_fenced:
        return f"{holder.id} has fenced the service, which causes the outage"
    if holder.holds_database_lease and (holder.outcome is None or holder.has_changed_data):
        return f"{holder.id} is changing the database"
    if holder.outcome is not None:
        return None
    if holder.is_emergency:
        return f"{holder.id} is an emergency rollback already"
    if newcomer.trigger not in OPERATOR_TRIGGERS and holder.trigger in OPERATOR_TRIGGERS and holder.plan is None:
        return f"{holder.id} was started by an operator a moment ago, and has no plan yet that could be continued"
    if newcomer.request.type is not RollbackType.EMERGENCY:
        return f"{holder.id} is rolling {holder.service_name} back already"
    return None


def find_gate_objection(newcomer: Rollback, waiting: Rollback) -> str | None:
    """Reason why a rollback does not begin while another one of the service waits for an approval; None: it does.

    An alarm, an event and an emergency don't wait for a person. An operator decides about the waiting rollback first.
    """
    is_operators = newcomer.trigger in OPERATOR_TRIGGERS and newcomer.request.type is not RollbackType.EMERGENCY
    if not is_operators or newcomer.is_forced_by_operator:
        return None
    until = f"{waiting.approval.expires_at:%H:%M:%S} UTC" if waiting.approval is not None else "its end"
    approve, reject = decision_commands(waiting.environment, waiting.id)
    return (
        f"{waiting.id} waits for an approval until {until}; decide it with `{approve}` or `{reject}`, or begin with "
        "--force, which ends it"
    )


def describe_takeover_state(holder: Rollback) -> str:
    """The state of a rollback, for an operator who is about to take it over by force."""
    parts = [f"{holder.id} ({holder.request.type}, {holder.trigger}) holds the lease"]
    parts.append("it has fenced the service: desired count 0" if holder.is_fenced else "the service is not fenced")
    parts.append(
        "it may be changing the database" if holder.holds_database_lease else "it has not touched the database"
    )
    if holder.database is not None and holder.database.has_unconfirmed_change:
        parts.append("it has sent a change of the database: nothing is planned before Neon reports its outcome")
    for obligation in holder.open_obligations():
        service = f" of {obligation.service}" if obligation.service is not None else ""
        parts.append(f"not put back yet: {obligation.kind.replace('_', ' ')}{service}, was {obligation.before}")
    return "; ".join(parts)
