from builders import NOW, release, rollback

from rollback.domain.plan import Plan
from rollback.domain.rollback import Outcome, ServiceProgress
from rollback.workflow.route import EDGES, Step, next_step

PLAN = Plan(running=release("v2"), target=release("v1"), checks=())
SETTLED = ServiceProgress(started_at=NOW, escalation_level_since=NOW, done_at=NOW)
STAGES: dict[Step, dict[str, object]] = {
    Step.ADMIT: {},
    Step.PLAN: {"admitted_at": NOW},
    Step.SERVICE: {"admitted_at": NOW, "plan": PLAN},
    Step.VERIFY: {"admitted_at": NOW, "plan": PLAN, "service": SETTLED},
}


def test_every_stage_of_the_document_leads_to_its_step() -> None:
    assert {step: next_step(rollback(**facts)) for step, facts in STAGES.items()} == {step: step for step in STAGES}


def test_an_outcome_at_any_stage_leads_to_conclude_along_a_drawn_edge() -> None:
    for step, facts in STAGES.items():
        assert next_step(rollback(**facts, outcome=Outcome.FAILED)) is Step.CONCLUDE
        assert Step.CONCLUDE in EDGES[step]


def test_a_concluded_rollback_is_done_whatever_its_other_fields_say() -> None:
    for facts in STAGES.values():
        assert next_step(rollback(**facts, outcome=Outcome.FAILED, concluded_at=NOW)) is Step.DONE


def test_every_step_reaches_done_and_done_leads_nowhere() -> None:
    for start in EDGES:
        reached, frontier = set(), {start}
        while frontier:
            reached |= frontier
            frontier = {after for step in frontier for after in EDGES[step]} - reached
        assert Step.DONE in reached
    assert EDGES[Step.DONE] == frozenset()


def test_obligations_are_discharged_in_reverse() -> None:
    changed = rollback(
        obligations=(
            {"kind": "deployment_configuration", "before": {}},
            {"kind": "scaling", "before": {}, "discharged_at": NOW},
            {"kind": "fence", "before": {}},
        )
    )
    assert [o.kind for o in changed.open_obligations()] == ["fence", "deployment_configuration"]
