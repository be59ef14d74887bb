"""The report's condition of a database that was not rolled back as planned."""

from support.builders import NOW, release, rollback

from rollback.domain.database.plan import DatabasePlan
from rollback.domain.database.progress import DatabaseOutcome, OriginalBranch, RestorePoint, RestoreProgress
from rollback.domain.obligation import OPERATOR, Obligation, ObligationKind
from rollback.domain.plan import Plan
from rollback.domain.rollback import Outcome
from rollback.domain.settings.database import Strategy
from rollback.reports.condition import describe_condition, protect_branches


def test_the_report_names_the_branch_that_the_operator_has_to_protect_again() -> None:
    v2 = release("v2")
    database_plan = DatabasePlan(strategy=Strategy.RESTORE, branch="br-1")
    progress = RestoreProgress(
        point=RestorePoint(at=NOW),
        started_at=NOW,
        before=OriginalBranch(name="main", protected=True),
        backup_id="br-9",
        database_outcome=DatabaseOutcome.FAILED,
    )
    obligation = Obligation(kind=ObligationKind.BRANCH_PROTECTION, before={"branch_id": "br-1"}, handed_to=OPERATOR)
    plan = Plan(running=v2, target=release("v1"), database=database_plan, checks=())
    document = rollback(plan=plan, database=progress, obligations=(obligation,), outcome=Outcome.FAILED)

    (condition,) = describe_condition(document)
    (protect,) = protect_branches(document)
    assert condition == (
        "Condition: v2 is the release that the service would start; the data may be overwritten "
        "or partly changed; backup branch br-9"
    )
    unfence = f"rollback unfence {document.environment} --service {document.service_name} --reason '…'"
    assert protect == f"Protect branch br-1 again in Neon's console, or by `{unfence}`"
