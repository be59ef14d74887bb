from typing import Any

import pytest
from simulations.service import PROMOTED, QUARANTINED, Simulation, deployment_event, start_simulation
from simulations.worlds import DEGRADED
from support.builders import SERVICE, image, release

from rollback.domain.settings.policy import Policy
from rollback.errors import InvalidRequest
from rollback.promotion.promote import (
    NextState,
    PromotionCursor,
    adopt_running_releases,
    judge_bake,
    promote_by_hand,
    record_deployment,
)

COMPLETED = deployment_event("SERVICE_DEPLOYMENT_COMPLETED")


def fresh(**parts: Any) -> tuple[Simulation, PromotionCursor]:
    """v2 has just been recorded; its alarms are OK, and it serves requests."""
    stage = start_simulation(**parts)
    stage.alarms.recover(DEGRADED)
    return stage, record_deployment(COMPLETED, stage.world)


def serve(stage: Simulation, count: float = 1000) -> None:
    stage.alarms.serve(stage.services.target_groups[0], count, stage.clock.now())


def test_a_release_that_baked_with_traffic_and_without_alarms_is_promoted_and_kept() -> None:
    stage, cursor = fresh()
    assert (cursor.next, cursor.wait_seconds) == (NextState.WAIT, 15 * 60)
    serve(stage)
    stage.pass_time(minutes=15)
    assert judge_bake(cursor, stage.world).next is NextState.DONE
    assert stage.state_of("v2") == PROMOTED
    plan = stage.ledger.standing_plan(SERVICE)
    assert plan is not None
    assert (
        plan.targets[0].release.version,
        stage.images.tags[f"{image('v2').partition('@')[0]}:last-known-good-production-{image('v2')[-64:][:12]}"],
    ) == (
        "v2",
        image("v2"),
    )


def test_a_release_is_not_promoted_before_the_bake_is_over() -> None:
    stage, cursor = fresh()
    serve(stage)
    stage.pass_time(minutes=14)
    assert judge_bake(cursor, stage.world).wait_seconds == 60
    assert stage.state_of("v2") == "candidate"


def test_a_bake_without_enough_requests_continues_and_gives_up_after_its_timeout() -> None:
    stage, cursor = fresh()
    serve(stage, 99)
    stage.pass_time(minutes=15)
    assert "99 requests" in judge_bake(cursor, stage.world).summary
    assert judge_bake(cursor, stage.world).next is NextState.WAIT
    stage.pass_time(hours=24)
    assert judge_bake(cursor, stage.world).next is NextState.DONE
    assert stage.state_of("v2") == "candidate"


def test_an_alarm_during_the_bake_prevents_promotion_though_it_has_recovered() -> None:
    stage, cursor = fresh()
    serve(stage)
    stage.pass_time(minutes=1)
    stage.alarms.fire(DEGRADED, stage.clock.now())
    stage.alarms.recover(DEGRADED)
    stage.pass_time(minutes=14)
    assert DEGRADED in judge_bake(cursor, stage.world).summary
    assert stage.state_of("v2") == "candidate"


def test_rule_5_deployments_of_a_rollback_are_not_recorded() -> None:
    stage = start_simulation()
    stage.run()
    known = list(stage.ledger.releases(SERVICE))
    assert record_deployment(COMPLETED, stage.world).next is NextState.DONE
    assert list(stage.ledger.releases(SERVICE)) == known
    stage.ledger.acquire(SERVICE, "r", stage.clock.now(), stage.clock.now().replace(hour=23))
    assert "a rollback is in progress" in record_deployment(COMPLETED, stage.world).summary


def test_a_deployment_that_ecs_rolled_back_is_never_promoted() -> None:
    stage = start_simulation(policy=Policy(bake_minimum_requests=0))
    stage.alarms.recover(DEGRADED)
    stage.begin_deployment("v3", "crashing")
    cursor = record_deployment(deployment_event("SERVICE_DEPLOYMENT_IN_PROGRESS"), stage.world)
    for _ in range(6):
        stage.pass_time(minutes=5)
    assert stage.running() == image("v2")
    assert cursor.next is NextState.DONE
    assert "v3" not in adopt_running_releases(stage.world)[0].summary
    v3 = release("v3").fingerprint
    assert [r.state for r in stage.ledger.releases(SERVICE) if r.fingerprint == v3] == ["candidate"]


def test_a_service_that_ran_before_the_rollback_stack_is_adopted() -> None:
    stage = start_simulation(policy=Policy(bake_minimum_requests=0))
    stage.alarms.recover(DEGRADED)
    stage.services.run(
        stage.services.register_release({"containerDefinitions": [{"name": "api", "image": image("v9")}]}, "f")
    )
    assert adopt_running_releases(stage.world)[0].next is NextState.WAIT
    stage.pass_time(minutes=15)
    assert "is promoted" in adopt_running_releases(stage.world)[0].summary


def test_a_quarantined_release_is_not_promoted_by_hand_and_a_candidate_is() -> None:
    stage = start_simulation()
    stage.ship("v3", QUARANTINED)
    with pytest.raises(InvalidRequest, match="quarantined"):
        promote_by_hand(SERVICE, "v3", "ana", stage.world)
    assert stage.state_of("v3") == QUARANTINED
    assert promote_by_hand(SERVICE, "v2", "ana", stage.world).state == PROMOTED
