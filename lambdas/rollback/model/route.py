"""The whole workflow on one page: which step comes next. Pure: what is known decides, not how one got here.

    Admit → Plan → Service → Verify → Conclude → done
      └───────┴───────┴──────────────→ Conclude (suppressed · refused · planned · failed)

Approve, Database and the emergency mode have no place yet: a request for them is refused by Plan as not available.
"""

from enum import StrEnum

from rollback.model.rollback import Rollback


class Step(StrEnum):
    """One stop of a rollback."""

    ADMIT = "admit"
    PLAN = "plan"
    SERVICE = "service"
    VERIFY = "verify"
    CONCLUDE = "conclude"
    DONE = "done"


# What may follow each step: drawn as the state machine, and never left by `next_step`.
EDGES: dict[Step, frozenset[Step]] = {
    Step.ADMIT: frozenset({Step.PLAN, Step.CONCLUDE}),
    Step.PLAN: frozenset({Step.SERVICE, Step.CONCLUDE}),
    Step.SERVICE: frozenset({Step.SERVICE, Step.VERIFY, Step.CONCLUDE}),
    Step.VERIFY: frozenset({Step.VERIFY, Step.CONCLUDE}),
    Step.CONCLUDE: frozenset({Step.CONCLUDE, Step.DONE}),
    Step.DONE: frozenset(),
}


def next_step(rollback: Rollback) -> Step:
    """Where the document says to go on."""
    if rollback.concluded_at is not None:
        return Step.DONE
    if rollback.outcome is not None:
        return Step.CONCLUDE
    if rollback.admitted_at is None:
        return Step.ADMIT
    if rollback.plan is None:
        return Step.PLAN
    if rollback.service is None or rollback.service.done_at is None:
        return Step.SERVICE
    return Step.VERIFY
