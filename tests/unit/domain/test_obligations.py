"""Obligations of a rollback, and the typed views of a rollback that has come far enough."""

import pytest
from support.builders import NOW, SERVICE, release, rollback

from rollback.domain.database.plan import DatabasePlan
from rollback.domain.database.progress import OriginalBranch, RefusedProgress
from rollback.domain.obligation import OPERATOR, Obligation, ObligationKind
from rollback.domain.plan import Plan
from rollback.domain.releases.release import ReleaseState
from rollback.domain.service_progress import ServiceProgress
from rollback.domain.settings.database import Strategy
from rollback.errors import StageNotReached

V1, V2 = release("v1", state=ReleaseState.PROMOTED, hours_ago=20), release("v2")
CONFIGURATION = Obligation(kind=ObligationKind.DEPLOYMENT_CONFIGURATION, before={"maximumPercent": 150})
FENCE = Obligation(kind=ObligationKind.FENCE, before={"desired_count": 4})
FENCE_OF_WORKER = Obligation(kind=ObligationKind.FENCE, before={"desired_count": 2}, service="worker")


def test_open_obligations_are_listed_in_reverse_without_settled_obligations() -> None:
    debtor = rollback(obligations=(CONFIGURATION, FENCE, FENCE_OF_WORKER))
    assert debtor.open_obligations() == (FENCE_OF_WORKER, FENCE, CONFIGURATION)
    settled_rollback = debtor.discharge(FENCE_OF_WORKER, NOW).hand_over(FENCE, OPERATOR)
    assert settled_rollback.open_obligations() == (CONFIGURATION,)
    assert [obligation.kind for obligation in settled_rollback.left_to_operator()] == [ObligationKind.FENCE]


def test_an_obligation_handed_to_another_rollback_is_left_to_no_operator() -> None:
    settled_rollback = rollback(obligations=(FENCE,)).hand_over(FENCE, "express-api-20260301T030000000Z-22222222")
    assert settled_rollback.open_obligations() == settled_rollback.left_to_operator() == ()


def test_the_last_of_equal_obligations_is_discharged() -> None:
    first, last = rollback(obligations=(FENCE, FENCE)).discharge(FENCE, NOW).obligations
    assert (first.discharged_at, last.discharged_at) == (None, NOW)


def test_only_the_original_value_of_a_setting_is_recorded() -> None:
    debtor = rollback(obligations=(CONFIGURATION, FENCE))
    later_value = CONFIGURATION.model_copy(update={"before": {"maximumPercent": 200, "minimumHealthyPercent": 50}})
    (obligation,) = debtor.keep_unrecorded((later_value, FENCE))
    assert obligation.before == {"minimumHealthyPercent": 50}
    assert debtor.keep_unrecorded((FENCE_OF_WORKER,)) == (FENCE_OF_WORKER,), "another service has settings of its own"
    assert debtor.discharge(FENCE, NOW).keep_unrecorded((FENCE,)) == (FENCE,), "a discharged one records no value"


def test_an_inherited_obligation_is_recognised_by_kind_and_service() -> None:
    debtor = rollback(obligations=(FENCE,))
    assert rollback(obligations=(FENCE.model_copy(update={"service": SERVICE}),)).has_obligation_like(FENCE, debtor)
    assert not rollback(obligations=(FENCE_OF_WORKER, CONFIGURATION)).has_obligation_like(FENCE, debtor)


def test_a_planned_rollback_has_a_plan_with_a_target() -> None:
    plan = Plan(running=V2, target=V1, checks=())
    planned = rollback(plan=plan).planned()
    assert (planned.plan, planned.target) == (plan, V1)
    for unplanned in (rollback(), rollback(plan=Plan(running=V2, target=None, checks=()))):
        with pytest.raises(StageNotReached, match="has no plan with a target"):
            unplanned.planned()


def test_a_deploying_rollback_has_progress_of_its_service_too() -> None:
    plan = Plan(running=V2, target=V1, checks=())
    progress = ServiceProgress(started_at=NOW, escalation_level_since=NOW)
    deploying = rollback(plan=plan, service=progress).deploying()
    assert (deploying.target, deploying.progress) == (V1, progress)
    assert rollback(plan=plan).deploying(new_progress=progress).progress == progress, "the step begins now"
    with pytest.raises(StageNotReached, match="service step has not begun"):
        rollback(plan=plan).deploying()
    with pytest.raises(StageNotReached, match="has no plan with a target"):
        rollback(service=progress).deploying()


def test_a_database_step_needs_a_plan_for_the_database() -> None:
    database_plan = DatabasePlan(strategy=Strategy.RESTORE, branch="br-main")
    plan = Plan(running=V2, target=V1, checks=())
    assert rollback(plan=plan.model_copy(update={"database": database_plan})).planned_database() == database_plan
    for unplanned in (rollback(), rollback(plan=plan)):
        with pytest.raises(StageNotReached, match="has no plan for the database"):
            unplanned.planned_database()


def test_a_step_after_the_database_step_needs_its_progress() -> None:
    progress = RefusedProgress(started_at=NOW, before=OriginalBranch(name="main", protected=False))
    assert rollback(database=progress).begun_database() == progress
    with pytest.raises(StageNotReached, match="database step has not begun"):
        rollback().begun_database()
