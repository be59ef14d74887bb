"""The whole workflow on one page: which step comes next. Pure: what is known decides, not how one got here.

    Admit → Plan → Database → Service → Reconnect → Verify → Conclude → done
      └───────┴───────┴──────────┴──────────┴─────────┴───→ Conclude (suppressed · refused · planned · failed)
    Emergency → Service ⇄ Verify → …  (admitted, planned and acted upon in one invocation)
    Conclude → Data Loss → Conclude → done  (only with a backup: the rows that the restore took out are counted then)

Verify leads back to Service when the next rung of the ladder is tried (`escalation`). Service leads straight to Verify
where no data changed; else every other service of the branch gets new connections first (`reconnect`). Plan waits
while CloudFormation puts the service back by itself. A rollback of the service alone passes Database by; one of the
database alone still passes Service, which starts again what the fence stopped. Emergency leads to Plan where the schema
forbids it and the environment turns it into a full rollback. Approve has no place yet: Plan refuses what needs an
approval.
"""

from collections.abc import Mapping
from enum import StrEnum

from rollback.domain.request import RollbackType
from rollback.domain.rollback import Rollback
from rollback.names import OUTAGE_SUFFIX


class Step(StrEnum):
    """One stop of a rollback."""

    ADMIT = "admit"
    EMERGENCY = "emergency"
    PLAN = "plan"
    DATABASE = "database"
    SERVICE = "service"
    RECONNECT = "reconnect"
    VERIFY = "verify"
    CONCLUDE = "conclude"
    DATA_LOSS = "data_loss"
    DONE = "done"


# Where an execution begins; `entrance` tells which.
ENTRANCES = (Step.ADMIT, Step.EMERGENCY)
# What may follow each step: drawn as the state machine, and never left by `next_step`. Done may follow any: somebody
# else (the janitor, an operator's abort) may have concluded the rollback meanwhile.
EDGES: dict[Step, frozenset[Step]] = {
    Step.ADMIT: frozenset({Step.PLAN, Step.CONCLUDE, Step.DONE}),
    Step.EMERGENCY: frozenset({Step.PLAN, Step.SERVICE, Step.VERIFY, Step.CONCLUDE, Step.DONE}),
    Step.PLAN: frozenset({Step.PLAN, Step.DATABASE, Step.SERVICE, Step.CONCLUDE, Step.DONE}),
    Step.DATABASE: frozenset({Step.DATABASE, Step.SERVICE, Step.CONCLUDE, Step.DONE}),
    Step.SERVICE: frozenset({Step.SERVICE, Step.RECONNECT, Step.VERIFY, Step.CONCLUDE, Step.DONE}),
    Step.RECONNECT: frozenset({Step.RECONNECT, Step.VERIFY, Step.CONCLUDE, Step.DONE}),
    Step.VERIFY: frozenset({Step.VERIFY, Step.SERVICE, Step.CONCLUDE, Step.DONE}),
    Step.CONCLUDE: frozenset({Step.CONCLUDE, Step.DATA_LOSS, Step.DONE}),
    Step.DATA_LOSS: frozenset({Step.DATA_LOSS, Step.CONCLUDE, Step.DONE}),
    Step.DONE: frozenset(),
}


def entrance(given: object) -> Step:
    """Where an execution's input goes in: a person's emergency, or the event of an `outage` alarm, straight to ECS.

    Only the two words that the state machine's first Choice looks at; Admit is who reads and judges the input.
    """
    if not isinstance(given, Mapping):
        return Step.ADMIT
    detail = given.get("detail")
    alarm = detail.get("alarmName") if isinstance(detail, Mapping) else None
    outage = isinstance(alarm, str) and alarm.endswith(OUTAGE_SUFFIX)
    return Step.EMERGENCY if outage or given.get("type") == RollbackType.EMERGENCY.value else Step.ADMIT


def next_step(rollback: Rollback) -> Step:
    """Where the document says to go on."""
    if rollback.concluded_at is not None:
        return _after_the_conclusion(rollback)
    if rollback.outcome is not None:
        return Step.CONCLUDE
    if rollback.request.type is RollbackType.EMERGENCY and (rollback.admitted_at is None or rollback.plan is None):
        return Step.EMERGENCY
    if rollback.admitted_at is None:
        return Step.ADMIT
    if rollback.plan is None:
        return Step.PLAN
    if rollback.plan.database is not None and (rollback.database is None or not rollback.database.is_over):
        return Step.DATABASE
    if rollback.service is None or rollback.service.done_at is None:
        return Step.SERVICE
    return Step.RECONNECT if rollback.is_reconnection_due else Step.VERIFY


def _after_the_conclusion(rollback: Rollback) -> Step:
    account = rollback.database.account if rollback.database is not None else None
    if account is None or account.reported_at is not None:
        return Step.DONE
    return Step.DATA_LOSS if account.ended_at is None else Step.CONCLUDE
