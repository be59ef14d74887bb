"""The decision that a plan's checks lead to: go on, or end with an outcome and a reason."""

from datetime import datetime

from rollback.check import Check, Verdict
from rollback.domain.plan import Plan
from rollback.domain.rollback import Outcome, Rollback
from rollback.names import DESIRED_COUNT_CHECK
from rollback.planning.ports import DecisionPorts
from rollback.ports.holders import HasClock


def decide(rollback: Rollback, plan: Plan, world: DecisionPorts, *, resumed: Rollback | None) -> Rollback:
    """Return the rollback with its plan; ended if the plan refuses, or if nothing may be done (dry run, observe).

    Args:
        rollback: the rollback.
        plan: its plan with all checks.
        world: the ports.
        resumed: the rollback that this one continues; a `--force` given there still holds.
    """
    rollback = rollback.evolve(plan=plan, wait_seconds=0)
    at_zero = next((c for c in plan.checks if c.name == DESIRED_COUNT_CHECK and c.verdict is Verdict.FAIL), None)
    if at_zero is not None:
        return _suppress_at_zero_tasks(rollback, at_zero, world)
    forced = rollback.request.force or (resumed is not None and resumed.request.force)
    refusals = plan.refusals(forced=forced)
    if refusals:
        suppressing = [check for check in refusals if check.suppresses]
        outcome = Outcome.SUPPRESSED if suppressing else Outcome.REFUSED
        reason = "; ".join(check.reason for check in (suppressing or refusals))
        return rollback.evolve(outcome=outcome, reason=reason, recheck_at=_recheck_at(rollback, suppressing))
    why_not_acted = "dry run" if rollback.request.dry_run else "the environment only observes"
    if rollback.request.dry_run or world.settings.policy.mode == "observe":
        return rollback.evolve(outcome=Outcome.PLANNED, reason=f"{why_not_acted}: {plan.summary}")
    return rollback.evolve(reason=plan.summary)


def _suppress_at_zero_tasks(rollback: Rollback, check: Check, world: HasClock) -> Rollback:
    """End the rollback whatever the other checks say: the count is 0, or the tasks have had no time to start."""
    is_zero_wanted = check.evidence["desired_count"] == 0
    return rollback.evolve(
        outcome=Outcome.SUPPRESSED,
        reason=check.reason,
        recheck_at=_recheck_at(rollback, [check]),
        zero_desired_seen_at=world.clock.now() if is_zero_wanted else None,
    )


def _recheck_at(rollback: Rollback, suppressing: list[Check]) -> datetime | None:
    """When the last of the reasons may be over; None: one of them is final, or no event triggered the rollback."""
    due = [check.recheck_due_at for check in suppressing]
    times = [at for at in due if at is not None]
    return max(times) if rollback.event is not None and times and len(times) == len(due) else None
