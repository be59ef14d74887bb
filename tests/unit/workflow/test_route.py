"""Route of a rollback: each step as the origin, each result that a step may have, and any sequence of results."""

from collections.abc import Callable
from datetime import timedelta
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st
from support.builders import NOW, SERVICE, release, rollback

from rollback.domain.approval.gate import Approval, ApprovedFacts, Decision, DecisionKind
from rollback.domain.database.data_loss_analysis import DataLossAnalysis
from rollback.domain.database.plan import DatabasePlan
from rollback.domain.database.progress import DatabaseOutcome, OriginalBranch, RestorePoint, RestoreProgress
from rollback.domain.database.reconnection import Reconnection
from rollback.domain.plan import Plan
from rollback.domain.request import Request, RollbackType
from rollback.domain.rollback import Outcome, Rollback
from rollback.domain.service_progress import ServiceProgress
from rollback.domain.settings.database import Strategy
from rollback.workflow.route import EDGES, ENTRANCES, Step, next_step

Result = Callable[[Rollback], Rollback]

PLAN = Plan(running=release("v2"), target=release("v1"), checks=())
DATABASE_PLAN = PLAN.model_copy(
    update={
        "database": DatabasePlan(
            strategy=Strategy.RESTORE, branch="br-main-1", reconnecting_services=(SERVICE, "worker")
        )
    }
)
SERVICE_PROGRESS = ServiceProgress(started_at=NOW, escalation_level_since=NOW)
SERVICE_SETTLED = SERVICE_PROGRESS.evolve(done_at=NOW)
DATABASE_PROGRESS = RestoreProgress(
    started_at=NOW,
    before=OriginalBranch(id="br-main-1", name="main", protected=True),
    point=RestorePoint(at=NOW),
)
DATABASE_RESTORED = DATABASE_PROGRESS.evolve(data_change_announced_at=NOW, backup_id="br-backup-1").ended(
    DatabaseOutcome.RESTORED, NOW
)
DATABASE_UNCHANGED = DATABASE_PROGRESS.ended(DatabaseOutcome.REFUSED, NOW)
RECONNECTION = Reconnection(started_at=NOW, services=())
GATE = Approval(
    requested_at=NOW,
    expires_at=NOW + timedelta(hours=1),
    reasons=("full",),
    nonce="1",
    approved_facts=ApprovedFacts(type="full", running="2"),
)
APPROVED = GATE.model_copy(update={"decision": Decision(kind=DecisionKind.APPROVED, by="ada", at=NOW)})
REJECTED = GATE.model_copy(update={"decision": Decision(kind=DecisionKind.REJECTED, by="ada", at=NOW)})
PASSED = APPROVED.model_copy(update={"replanned_at": NOW})
COMPARISON_IN_PROGRESS = DataLossAnalysis(began_at=NOW, seen_at=NOW)


def document(**changes: object) -> Rollback:
    return rollback(**changes)


def planned_document(**changes: object) -> Rollback:
    return document(admitted_at=NOW, plan=PLAN, **changes)


def restored_document(**changes: object) -> Rollback:
    return document(admitted_at=NOW, plan=DATABASE_PLAN, database=DATABASE_RESTORED, **changes)


def document_with_comparison(comparison: DataLossAnalysis) -> Rollback:
    return restored_document(
        service=SERVICE_SETTLED,
        reconnection=RECONNECTION.ended(NOW),
        outcome=Outcome.SUCCEEDED,
        concluded_at=NOW,
    ).evolve(database=DATABASE_RESTORED.evolve(data_loss_analysis=comparison))


def finish_plan(predecessor: Rollback) -> Rollback:
    """Plan; after an approval the plan is the approved one."""
    approval = PASSED if predecessor.approval is not None else None
    return predecessor.evolve(plan=DATABASE_PLAN, approval=approval)


# A document at each step. `Step.DONE` is the end: nothing comes after it.
DOCUMENT_AT_STEP: dict[Step, Rollback] = {
    Step.ADMIT: document(),
    Step.EMERGENCY: document(request=Request(service=SERVICE, type=RollbackType.EMERGENCY)),
    Step.PLAN: document(admitted_at=NOW),
    Step.APPROVE: document(admitted_at=NOW, plan=DATABASE_PLAN, approval=GATE),
    Step.DATABASE: document(admitted_at=NOW, plan=DATABASE_PLAN),
    Step.SERVICE: planned_document(),
    Step.RECONNECT: restored_document(service=SERVICE_SETTLED),
    Step.VERIFY: planned_document(service=SERVICE_SETTLED),
    Step.CONCLUDE: planned_document(service=SERVICE_SETTLED, outcome=Outcome.SUCCEEDED),
    Step.DATA_LOSS: document_with_comparison(COMPARISON_IN_PROGRESS),
    Step.DONE: planned_document(service=SERVICE_SETTLED, outcome=Outcome.SUCCEEDED, concluded_at=NOW),
}


def set_fields(**changes: object) -> Result:
    return lambda before: before.evolve(**changes)


def wait(predecessor: Rollback) -> Rollback:
    return predecessor.evolve(wait_seconds=5)


def set_comparison(**changes: object) -> Result:
    def changed(predecessor: Rollback) -> Rollback:
        database = predecessor.database or DATABASE_RESTORED
        comparison = database.data_loss_analysis or COMPARISON_IN_PROGRESS
        return predecessor.evolve(database=database.evolve(data_loss_analysis=comparison.evolve(**changes)))

    return changed


def escalate_to_full(predecessor: Rollback) -> Rollback:
    """Turn an emergency that the schema forbids into a full rollback, which Plan plans."""
    full = predecessor.request.model_copy(update={"type": RollbackType.FULL})
    return predecessor.evolve(admitted_at=NOW, request=full, escalated_from_type=RollbackType.EMERGENCY)


def conclude(predecessor: Rollback) -> Rollback:
    """Conclude, and report the data loss if the branches were compared."""
    concluded = predecessor.evolve(outcome=predecessor.outcome or Outcome.ABORTED, concluded_at=NOW)
    is_compared = predecessor.database is not None and predecessor.database.data_loss_analysis is not None
    return set_comparison(reported_at=NOW)(concluded) if is_compared else concluded


def conclude_and_compare(predecessor: Rollback) -> Rollback:
    """Conclude a rollback that has a backup: Account compares the backup with the branch afterwards."""
    return set_comparison()(predecessor.evolve(outcome=predecessor.outcome or Outcome.SUCCEEDED, concluded_at=NOW))


END = {
    "the outcome is known": (set_fields(outcome=Outcome.FAILED), Step.CONCLUDE),
    "the janitor or an operator concluded it": (conclude, Step.DONE),
}
# Results of each step: the document afterwards, and the step that is next.
RESULTS: dict[Step, dict[str, tuple[Result, Step]]] = {
    Step.ADMIT: {"it is admitted": (set_fields(admitted_at=NOW), Step.PLAN), **END},
    Step.EMERGENCY: {
        "it is planned": (set_fields(admitted_at=NOW, plan=PLAN), Step.SERVICE),
        "the service settled at once": (
            set_fields(admitted_at=NOW, plan=PLAN, service=SERVICE_SETTLED),
            Step.VERIFY,
        ),
        "the schema forbids it": (escalate_to_full, Step.PLAN),
        **END,
    },
    Step.PLAN: {
        "CloudFormation still rolls the service back": (wait, Step.PLAN),
        "the service alone goes back": (set_fields(plan=PLAN), Step.SERVICE),
        "the database goes back too": (set_fields(plan=DATABASE_PLAN), Step.DATABASE),
        "a person has to approve it": (set_fields(plan=DATABASE_PLAN, approval=GATE), Step.APPROVE),
        "it is the plan that a person approved": (set_fields(plan=DATABASE_PLAN, approval=PASSED), Step.DATABASE),
        **END,
    },
    Step.APPROVE: {
        "it still waits for a decision": (wait, Step.APPROVE),
        "a person approved it": (set_fields(approval=APPROVED), Step.PLAN),
        "a person rejected it": (set_fields(approval=REJECTED, outcome=Outcome.REJECTED), Step.CONCLUDE),
        **END,
    },
    Step.DATABASE: {
        "it has begun": (set_fields(database=DATABASE_PROGRESS), Step.DATABASE),
        "the data changed": (set_fields(database=DATABASE_RESTORED), Step.SERVICE),
        "the data did not change": (set_fields(database=DATABASE_UNCHANGED), Step.SERVICE),
        **END,
    },
    Step.SERVICE: {
        "ECS is still deploying": (set_fields(service=SERVICE_PROGRESS), Step.SERVICE),
        "it settled": (set_fields(service=SERVICE_SETTLED), Step.VERIFY),
        "it settled on data that changed": (
            set_fields(plan=DATABASE_PLAN, database=DATABASE_RESTORED, service=SERVICE_SETTLED, reconnection=None),
            Step.RECONNECT,
        ),
        **END,
    },
    Step.RECONNECT: {
        "a service still has its turn": (set_fields(reconnection=RECONNECTION), Step.RECONNECT),
        "every service had its turn": (set_fields(reconnection=RECONNECTION.ended(NOW)), Step.VERIFY),
        **END,
    },
    Step.VERIFY: {
        "it needs another round": (wait, Step.VERIFY),
        "it escalates": (set_fields(service=SERVICE_PROGRESS), Step.SERVICE),
        **END,
    },
    Step.CONCLUDE: {
        "an obligation is still open": (wait, Step.CONCLUDE),
        "it is concluded": (conclude, Step.DONE),
        "it is concluded and has a backup": (conclude_and_compare, Step.DATA_LOSS),
    },
    Step.DATA_LOSS: {
        "tables are still to be compared": (wait, Step.DATA_LOSS),
        "the comparison ended": (set_comparison(ended_at=NOW), Step.CONCLUDE),
        "the janitor reported it": (set_comparison(ended_at=NOW, reported_at=NOW), Step.DONE),
    },
    Step.DONE: {},
}
CASES = [
    pytest.param(step, result, after, id=f"{step}: {what}")
    for step, results in RESULTS.items()
    for what, (result, after) in results.items()
]
# The result with which a step has done its work.
FINISHED: dict[Step, Result] = {
    Step.ADMIT: set_fields(admitted_at=NOW),
    Step.EMERGENCY: set_fields(admitted_at=NOW, plan=PLAN),
    Step.PLAN: finish_plan,
    Step.APPROVE: set_fields(approval=APPROVED),
    Step.DATABASE: set_fields(database=DATABASE_RESTORED),
    Step.SERVICE: set_fields(service=SERVICE_SETTLED),
    Step.RECONNECT: set_fields(reconnection=RECONNECTION.ended(NOW)),
    Step.VERIFY: set_fields(outcome=Outcome.SUCCEEDED),
    Step.CONCLUDE: conclude,
    Step.DATA_LOSS: set_comparison(ended_at=NOW),
}


@st.composite
def rollbacks_under_way(draw: st.DrawFn) -> list[Rollback]:
    """Documents of one rollback, from its entrance on, as the results of its steps follow one another."""
    documents = [DOCUMENT_AT_STEP[draw(st.sampled_from(ENTRANCES))]]
    for _ in range(draw(st.integers(0, 30))):
        results = RESULTS[next_step(documents[-1])]
        if not results:
            break
        result, _ = results[draw(st.sampled_from(sorted(results)))]
        documents.append(result(documents[-1]))
    return documents


@pytest.mark.parametrize("step", Step)
def test_a_document_at_a_step_is_routed_to_that_step(step: Step) -> None:
    assert next_step(DOCUMENT_AT_STEP[step]) is step


@pytest.mark.parametrize(("step", "result", "successor"), CASES)
def test_the_result_of_a_step_decides_which_step_is_next(step: Step, result: Result, successor: Step) -> None:
    assert next_step(result(DOCUMENT_AT_STEP[step])) is successor


def test_the_results_of_steps_cover_exactly_the_edges_of_the_route() -> None:
    edges = {step: frozenset(successor for _, successor in results.values()) for step, results in RESULTS.items()}
    assert edges == EDGES


@pytest.mark.parametrize("outcome", Outcome)
@pytest.mark.parametrize("step", sorted(set(Step) - {Step.DATA_LOSS, Step.DONE}))
def test_every_outcome_at_every_step_leads_to_conclude(step: Step, outcome: Outcome) -> None:
    assert next_step(DOCUMENT_AT_STEP[step].evolve(outcome=outcome)) is Step.CONCLUDE


@pytest.mark.parametrize("step", sorted(set(Step) - {Step.DATA_LOSS}))
def test_a_concluded_rollback_is_done_for_every_other_field_of_its_document(step: Step) -> None:
    assert next_step(conclude(DOCUMENT_AT_STEP[step])) is Step.DONE


@given(rollbacks_under_way())
def test_every_sequence_of_results_follows_the_edges_of_the_route(documents: list[Rollback]) -> None:
    for step, successor in pairwise(next_step(document) for document in documents):
        assert successor in EDGES[step]


@given(rollbacks_under_way())
def test_every_rollback_reaches_conclude_and_then_done_once_its_steps_finish(documents: list[Rollback]) -> None:
    current, steps = documents[-1], [next_step(document) for document in documents]
    while steps[-1] is not Step.DONE:
        assert len(steps) < len(documents) + 2 * len(Step), f"no end: {steps}"
        current = FINISHED[steps[-1]](current)
        steps.append(next_step(current))
    is_concluded_by_another = documents[-1].concluded_at is not None  # the janitor or an operator
    assert Step.CONCLUDE in steps or is_concluded_by_another


@given(rollbacks_under_way())
def test_a_failure_leads_to_conclude_from_anywhere_before_the_conclusion(documents: list[Rollback]) -> None:
    for document in documents:
        if document.concluded_at is None:
            assert next_step(document.evolve(outcome=Outcome.FAILED)) is Step.CONCLUDE


def test_obligations_are_discharged_in_reverse() -> None:
    document = rollback(
        obligations=(
            {"kind": "deployment_configuration", "before": {}},
            {"kind": "scaling", "before": {}, "discharged_at": NOW},
            {"kind": "fence", "before": {}},
        )
    )
    assert [o.kind for o in document.open_obligations()] == ["fence", "deployment_configuration"]
