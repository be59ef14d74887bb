from typing import Any

import pytest
from simulations.fake_ports import DEGRADED
from simulations.service import PROMOTED, QUARANTINED, Simulation, deployment_event, start_simulation
from support.builders import SERVICE, image, release

from rollback.domain.approval.policy import ApprovalPolicy, ApprovalReason
from rollback.domain.settings.policy import Policy
from rollback.errors import InvalidRequest
from rollback.promotion.promote import (
    NextState,
    PromotionCursor,
    adopt_running_releases,
    judge_bake,
    promote_by_operator,
    record_deployment,
)

COMPLETED = deployment_event("SERVICE_DEPLOYMENT_COMPLETED")


def simulation_with_new_release(**parts: Any) -> tuple[Simulation, PromotionCursor]:
    """Return a simulation in which v2 was just recorded, its alarms are OK and v2 serves requests."""
    simulation = start_simulation(**parts)
    simulation.alarms.recover(DEGRADED)
    return simulation, record_deployment(COMPLETED, simulation.ports)


def serve(simulation: Simulation, count: float = 1000) -> None:
    simulation.alarms.serve(simulation.services.target_groups[0], count, simulation.clock.now())


def test_a_release_that_baked_with_traffic_and_without_alarms_is_promoted_and_stored() -> None:
    simulation, cursor = simulation_with_new_release()
    assert (cursor.next, cursor.wait_seconds) == (NextState.WAIT, 15 * 60)
    serve(simulation)
    simulation.pass_time(minutes=15)
    assert judge_bake(cursor, simulation.ports).next is NextState.DONE
    assert simulation.state_of("v2") == PROMOTED
    plan = simulation.ledger.standing_plan(SERVICE)
    assert plan is not None
    assert (
        plan.targets[0].release.version,
        simulation.images.tags[f"{image('v2').partition('@')[0]}:last-known-good-production-{image('v2')[-64:][:12]}"],
    ) == (
        "v2",
        image("v2"),
    )


def test_a_release_is_not_promoted_while_a_rollback_waits_for_an_approval() -> None:
    simulation, cursor = simulation_with_new_release()
    approval = ApprovalPolicy(required_for=(ApprovalReason.FORCED,))
    simulation.replace(settings=simulation.ports.settings.model_copy(update={"approval": approval}))
    waiting = simulation.admit({"force": True, "reason": "try", "requested_by": "ada"})
    while not (simulation.read(waiting).is_at_gate and simulation.ledger.lease(SERVICE) is None):
        simulation.run_due_step(waiting)
    serve(simulation)
    simulation.pass_time(minutes=15)
    judged = judge_bake(cursor, simulation.ports)
    assert (judged.next, simulation.state_of("v2")) == (NextState.WAIT, "candidate")
    assert judged.summary == f"{waiting.id} waits for an approval"


def test_a_release_is_not_promoted_before_the_bake_is_over() -> None:
    simulation, cursor = simulation_with_new_release()
    serve(simulation)
    simulation.pass_time(minutes=14)
    assert judge_bake(cursor, simulation.ports).wait_seconds == 60
    assert simulation.state_of("v2") == "candidate"


def test_a_bake_without_enough_requests_continues_until_its_timeout() -> None:
    simulation, cursor = simulation_with_new_release()
    serve(simulation, 99)
    simulation.pass_time(minutes=15)
    assert "99 requests" in judge_bake(cursor, simulation.ports).summary
    assert judge_bake(cursor, simulation.ports).next is NextState.WAIT
    simulation.pass_time(hours=24)
    assert judge_bake(cursor, simulation.ports).next is NextState.DONE
    assert simulation.state_of("v2") == "candidate"


def test_a_recovered_alarm_of_the_bake_prevents_promotion() -> None:
    simulation, cursor = simulation_with_new_release()
    serve(simulation)
    simulation.pass_time(minutes=1)
    simulation.alarms.fire(DEGRADED, simulation.clock.now())
    simulation.alarms.recover(DEGRADED)
    simulation.pass_time(minutes=14)
    assert DEGRADED in judge_bake(cursor, simulation.ports).summary
    assert simulation.state_of("v2") == "candidate"


def test_rule_5_deployments_of_a_rollback_are_not_recorded() -> None:
    simulation = start_simulation()
    simulation.run()
    releases = list(simulation.ledger.releases(SERVICE))
    assert record_deployment(COMPLETED, simulation.ports).next is NextState.DONE
    assert list(simulation.ledger.releases(SERVICE)) == releases
    simulation.ledger.acquire(SERVICE, "r", simulation.clock.now(), simulation.clock.now().replace(hour=23))
    assert "a rollback is in progress" in record_deployment(COMPLETED, simulation.ports).summary


def test_a_deployment_that_ecs_rolled_back_is_never_promoted() -> None:
    simulation = start_simulation(policy=Policy(bake_minimum_requests=0))
    simulation.alarms.recover(DEGRADED)
    simulation.begin_deployment("v3", "crashing")
    cursor = record_deployment(deployment_event("SERVICE_DEPLOYMENT_IN_PROGRESS"), simulation.ports)
    for _ in range(6):
        simulation.pass_time(minutes=5)
    assert simulation.running() == image("v2")
    assert cursor.next is NextState.DONE
    assert "v3" not in adopt_running_releases(simulation.ports)[0].summary
    v3 = release("v3").fingerprint
    assert [r.state for r in simulation.ledger.releases(SERVICE) if r.fingerprint == v3] == ["candidate"]


def test_a_service_that_ran_before_the_rollback_stack_is_adopted() -> None:
    simulation = start_simulation(policy=Policy(bake_minimum_requests=0))
    simulation.alarms.recover(DEGRADED)
    simulation.services.run(
        simulation.services.register_release({"containerDefinitions": [{"name": "api", "image": image("v9")}]}, "f")
    )
    assert adopt_running_releases(simulation.ports)[0].next is NextState.WAIT
    simulation.pass_time(minutes=15)
    assert "is promoted" in adopt_running_releases(simulation.ports)[0].summary


def test_a_run_of_the_schedule_ends_in_time_and_the_next_runs_go_on_with_the_other_services(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The function has 60 s, and a database that does not answer takes 38 s of each service."""
    names = ("api", "jobs", "mail", "web")
    simulation = start_simulation()
    services = tuple(simulation.service_settings.model_copy(update={"name": name}) for name in names)
    simulation.replace(settings=simulation.ports.settings.model_copy(update={"services": services}))
    looked_at: list[str] = []

    def take_long(service_name: str, _: object) -> PromotionCursor:
        looked_at.append(service_name)
        simulation.pass_time(seconds=38)
        at = simulation.clock.now()
        return PromotionCursor(next=NextState.DONE, service=service_name, recorded_at=at, summary="looked at")

    monkeypatch.setattr("rollback.promotion.promote.record_running", take_long)
    monkeypatch.setattr("rollback.promotion.promote.prepare_standing_plan_if_due", lambda *_: None)
    for run in range(1, 40):
        cursors = adopt_running_releases(simulation.ports)
        assert {cursor.service for cursor in cursors} == set(names)
        left = [c.service for c in cursors if c.summary == f"{c.service} is left to the next run"]
        assert (len(left), len(looked_at)) == (3, run)
        simulation.pass_time(minutes=5)
    assert set(looked_at) == set(names)


def test_an_operator_promotes_a_candidate_and_no_quarantined_release() -> None:
    simulation = start_simulation()
    simulation.ship("v3", QUARANTINED)
    with pytest.raises(InvalidRequest, match="quarantined"):
        promote_by_operator(SERVICE, "v3", "ana", simulation.ports)
    assert simulation.state_of("v3") == QUARANTINED
    assert promote_by_operator(SERVICE, "v2", "ana", simulation.ports).state == PROMOTED
