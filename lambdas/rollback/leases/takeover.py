"""Who may take a lease over that another rollback holds (rule 1)."""

from rollback.domain.request import OPERATOR_TRIGGERS, RollbackType, Trigger
from rollback.domain.rollback import Rollback


def find_takeover_objection(newcomer: Rollback, holder: Rollback) -> str | None:
    """None: it may. Only emergencies take over by themselves, and only from a plain rollback; a person may with force.

    An outage alarm during our own fence, or during a restart from zero, is our own doing. A rollback that has its
    outcome only has to put back what it owes: the newcomer does that with its own.
    """
    forced = newcomer.trigger is Trigger.MANUAL and newcomer.request.force
    if forced or holder.never_acts:
        return None
    if holder.is_fenced:
        return f"{holder.id} has fenced the service: the outage is its doing"
    if holder.holds_database_lease and (holder.outcome is None or holder.has_changed_data):
        return f"{holder.id} is changing the database"
    if holder.outcome is not None:
        return None
    if holder.is_emergency:
        return f"{holder.id} is an emergency rollback already"
    if newcomer.trigger not in OPERATOR_TRIGGERS and holder.trigger in OPERATOR_TRIGGERS and holder.plan is None:
        return f"{holder.id} was only just started by a person, and has no plan to go on with yet"
    if newcomer.request.type is not RollbackType.EMERGENCY:
        return f"{holder.id} is rolling {holder.service_name} back already"
    return None


def describe_takeover_state(holder: Rollback) -> str:
    """What a person is told before they take a rollback over by force."""
    said = [f"{holder.id} ({holder.request.type}, {holder.trigger}) holds the lease"]
    said.append("it has fenced the service: desired count 0" if holder.is_fenced else "the service is not fenced")
    said.append(
        "it may be changing the database" if holder.holds_database_lease else "the database has not been touched by it"
    )
    if holder.database is not None and holder.database.has_unanswered_change:
        said.append("it has sent a change of the database: nothing is planned before Neon has told what became of that")
    for owed in holder.open_obligations():
        of = f" of {owed.service}" if owed.service is not None else ""
        said.append(f"it still owes: {owed.kind}{of}, was {owed.before}")
    return "; ".join(said)
