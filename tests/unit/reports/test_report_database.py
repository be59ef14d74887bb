"""What people are told about a database that did not go back as planned."""

from builders import NOW, release, rollback

from rollback.domain.database.plan import DatabasePlan
from rollback.domain.database.progress import DatabaseOutcome, OriginalBranch, RestorePoint, RestoreProgress
from rollback.domain.plan import Plan
from rollback.domain.rollback import OPERATOR, Obligation, ObligationKind, Outcome
from rollback.domain.settings.database import Strategy
from rollback.reports.database import safe_condition


def test_a_branch_that_could_not_be_protected_again_is_left_to_a_person_by_name() -> None:
    v2 = release("v2")
    planned = DatabasePlan(strategy=Strategy.RESTORE, branch="br-1")
    progress = RestoreProgress(
        point=RestorePoint(at=NOW),
        started_at=NOW,
        before=OriginalBranch(name="main", protected=True),
        backup_id="br-9",
        database_outcome=DatabaseOutcome.FAILED,
    )
    owed = Obligation(kind=ObligationKind.BRANCH_PROTECTION, before={"branch_id": "br-1"}, handed_to=OPERATOR)
    plan = Plan(running=v2, target=release("v1"), database=planned, checks=())
    ended = rollback(plan=plan, database=progress, obligations=(owed,), outcome=Outcome.FAILED)

    condition, protect = safe_condition(ended)
    assert condition == (
        "Condition: v2 is what the service would run; the data may be overwritten, or half changed; backup branch br-9"
    )
    assert protect == "Protect branch br-1 again, in Neon's console or by `rollback unfence`"
