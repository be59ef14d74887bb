"""The whole workflow on one page: the step that comes next. Pure: the document alone decides.

    Admit → Plan → [Approve → Plan] → Database → Service → Reconnect → Verify → Conclude → done
      └───────┴───────┴──────────┴──────────┴─────────┴───→ Conclude (suppressed · refused · planned · failed)
    Emergency → Service ⇄ Verify → …  (admitted, planned and acted upon in one invocation)
    Conclude → Data Loss → Conclude → done  (only with a backup: the rows that the restore removed are counted)

- Verify leads back to Service for the next escalation level (`domain.escalation`).
- Service leads straight to Verify if no data changed. Otherwise Reconnect gives every other service of the branch new
  connections first.
- Plan waits while CloudFormation rolls the service back by itself.
- A service rollback skips Database. A database rollback passes Service, which starts the tasks that the fence stopped.
- Emergency leads to Plan if the schema forbids the emergency and the environment escalates it to a full rollback.
- Plan leads to Approve if the plan needs an approval. The rollback waits there without any lease. After the approval it
  takes the lease again, and Plan runs again: another plan than the approved one is refused.
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
    APPROVE = "approve"
    DATABASE = "database"
    SERVICE = "service"
    RECONNECT = "reconnect"
    VERIFY = "verify"
    CONCLUDE = "conclude"
    DATA_LOSS = "data_loss"
    DONE = "done"


# Steps at which an execution may begin; `entrance` chooses.
ENTRANCES = (Step.ADMIT, Step.EMERGENCY)
# Steps that may follow each step: the state machine has these edges, and `next_step` keeps to them. Done may follow any
# step, since the janitor, or an operator's abort, may have concluded the rollback.
EDGES: dict[Step, frozenset[Step]] = {
    Step.ADMIT: frozenset({Step.PLAN, Step.CONCLUDE, Step.DONE}),
    Step.EMERGENCY: frozenset({Step.PLAN, Step.SERVICE, Step.VERIFY, Step.CONCLUDE, Step.DONE}),
    Step.PLAN: frozenset({Step.PLAN, Step.APPROVE, Step.DATABASE, Step.SERVICE, Step.CONCLUDE, Step.DONE}),
    Step.APPROVE: frozenset({Step.APPROVE, Step.PLAN, Step.CONCLUDE, Step.DONE}),
    Step.DATABASE: frozenset({Step.DATABASE, Step.SERVICE, Step.CONCLUDE, Step.DONE}),
    Step.SERVICE: frozenset({Step.SERVICE, Step.RECONNECT, Step.VERIFY, Step.CONCLUDE, Step.DONE}),
    Step.RECONNECT: frozenset({Step.RECONNECT, Step.VERIFY, Step.CONCLUDE, Step.DONE}),
    Step.VERIFY: frozenset({Step.VERIFY, Step.SERVICE, Step.CONCLUDE, Step.DONE}),
    Step.CONCLUDE: frozenset({Step.CONCLUDE, Step.DATA_LOSS, Step.DONE}),
    Step.DATA_LOSS: frozenset({Step.DATA_LOSS, Step.CONCLUDE, Step.DONE}),
    Step.DONE: frozenset(),
}


def entrance(execution_input: object) -> Step:
    """First step of an execution: Emergency for an operator's emergency or the event of an `outage` alarm, else Admit.

    It reads only the two fields that the state machine's first Choice reads. Admit parses and judges the input.
    """
    if not isinstance(execution_input, Mapping):
        return Step.ADMIT
    detail = execution_input.get("detail")
    alarm = detail.get("alarmName") if isinstance(detail, Mapping) else None
    is_outage = isinstance(alarm, str) and alarm.endswith(OUTAGE_SUFFIX)
    return Step.EMERGENCY if is_outage or execution_input.get("type") == RollbackType.EMERGENCY.value else Step.ADMIT


def next_step(rollback: Rollback) -> Step:
    """The step that is due, decided by the document."""
    if rollback.concluded_at is not None:
        return _next_step_after_conclusion(rollback)
    if rollback.outcome is not None:
        return Step.CONCLUDE
    if rollback.request.type is RollbackType.EMERGENCY and (rollback.admitted_at is None or rollback.plan is None):
        return Step.EMERGENCY
    if rollback.admitted_at is None:
        return Step.ADMIT
    if rollback.plan is None:
        return Step.PLAN
    if rollback.approval is not None and rollback.approval.is_open:
        return Step.APPROVE
    if rollback.approval is not None and rollback.approval.is_replan_due:
        return Step.PLAN
    if rollback.plan.database is not None and (rollback.database is None or not rollback.database.is_over):
        return Step.DATABASE
    if rollback.service is None or rollback.service.done_at is None:
        return Step.SERVICE
    return Step.RECONNECT if rollback.is_reconnection_due else Step.VERIFY


def _next_step_after_conclusion(rollback: Rollback) -> Step:
    analysis = rollback.database.data_loss_analysis if rollback.database is not None else None
    if analysis is None or analysis.reported_at is not None:
        return Step.DONE
    return Step.DATA_LOSS if analysis.ended_at is None else Step.CONCLUDE
