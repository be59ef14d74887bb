"""An operator's verdict about a release: quarantine, unquarantine."""

from datetime import timedelta
from typing import Any

import pytest
from faults.scenarios.crash import CrashingProxy, FaultInjector, ProcessKilled
from simulations.service import CANDIDATE, FAMILY, PROMOTED, QUARANTINED, SUSPECT, Simulation
from support.builders import SERVICE, definition, image, release

from rollback.domain.operator import Operator
from rollback.domain.releases.release import Release, normalised_definition
from rollback.domain.rollback import Outcome
from rollback.errors import Conflict, ExternalServiceError, InvalidRequest
from rollback.names import last_known_good_family
from rollback.operations.quarantine import quarantine, unquarantine
from rollback.promotion.readiness import prepare_standing_plan

ANN = Operator(name="ann@desk", reason="it loses orders")


def simulation_with_three_releases() -> Simulation:
    """Build a simulation: v1, v2 and v3 are promoted, v3 runs, and the standing plan has v3 and v2."""
    simulation = Simulation()
    for version, hours in (("v1", 72), ("v2", 48), ("v3", 24)):
        simulation.ship(version, PROMOTED, hours_ago=hours)
        prepare_standing_plan(SERVICE, simulation.ports)
    return simulation


def standing_versions(simulation: Simulation) -> list[str]:
    plan = simulation.ledger.standing_plan(SERVICE)
    assert plan is not None
    return [target.release.version for target in plan.targets]


def last_known_good_by_name(simulation: Simulation) -> str:
    """Return the version that `aws ecs update-service --task-definition <family>-last-known-good-…` would deploy."""
    task_definition = simulation.services.definition(last_known_good_family(FAMILY, "production", SERVICE))
    assert task_definition is not None
    return next(v for v in ("v1", "v2", "v3") if task_definition["containerDefinitions"][0]["image"] == image(v))


def test_the_next_release_replaces_a_quarantined_release_in_the_standing_plan_and_as_last_known_good() -> None:
    simulation = simulation_with_three_releases()
    assert last_known_good_by_name(simulation) == "v3"
    output = quarantine(SERVICE, "v3", ANN, simulation.ports)
    assert output.endswith("the last known good is v2")
    assert simulation.state_of("v3") is QUARANTINED
    assert standing_versions(simulation) == ["v2", "v1"]
    assert last_known_good_by_name(simulation) == "v2"
    assert [(a.verb, a.subject, a.reason) for a in simulation.ledger.actions(SERVICE)] == [
        ("quarantine", "v3", "it loses orders")
    ]


def test_a_quarantined_release_is_no_target_without_force() -> None:
    simulation = simulation_with_three_releases()
    quarantine(SERVICE, "v2", ANN, simulation.ports)
    rollback = simulation.run({"target_version": "v2"})
    assert rollback.outcome is Outcome.REFUSED
    assert "v2 is quarantined: by ann@desk: it loses orders" in rollback.reason
    simulation.healthy_versions.add("v2")
    assert simulation.run({"target_version": "v2", "force": True}, "execution-2").outcome is Outcome.SUCCEEDED


def test_a_quarantine_of_the_last_promoted_release_reports_that_no_target_remains() -> None:
    simulation = Simulation()
    simulation.ship("v1", PROMOTED)
    assert "NO ROLLBACK TARGET" in quarantine(SERVICE, "v1", ANN, simulation.ports)


def test_a_version_means_each_of_its_releases_and_a_fingerprint_means_one_release() -> None:
    simulation = simulation_with_three_releases()
    twin = definition("v3", cpu="512")
    stored_release = release("v3", hours_ago=1, definition_sha256="0" * 64, fingerprint="a" * 64)
    simulation.ledger._definitions["0" * 64] = twin
    simulation.ledger._releases[SERVICE, "a" * 64] = stored_release
    assert "v3 (aaaaaaaaaaaa) is quarantined" in quarantine(SERVICE, "aaaaaaaa", ANN, simulation.ports)
    assert [r.state for r in simulation.ledger.releases(SERVICE) if r.version == "v3"] == [QUARANTINED, PROMOTED]
    quarantine(SERVICE, "v3", ANN, simulation.ports)
    assert [r.state for r in simulation.ledger.releases(SERVICE) if r.version == "v3"] == [QUARANTINED, QUARANTINED]


@pytest.mark.parametrize("operation", [quarantine, unquarantine])
def test_an_unknown_release_is_refused_with_a_list_of_known_releases(operation: Any) -> None:
    simulation = simulation_with_three_releases()
    with pytest.raises(InvalidRequest, match=r"'v33' .*did you mean 'v3'.*known versions: v1, v2, v3; nothing was"):
        operation(SERVICE, "v33", ANN, simulation.ports)
    assert list(simulation.ledger.actions(SERVICE)) == []


def test_a_second_quarantine_keeps_the_first_reason() -> None:
    simulation = simulation_with_three_releases()
    quarantine(SERVICE, "v3", ANN, simulation.ports)
    quarantine(SERVICE, "v3", Operator(name="bob", reason="so I hear"), simulation.ports)
    (v3,) = (r for r in simulation.ledger.releases(SERVICE) if r.version == "v3")
    assert v3.state_reason == f"by {ANN}"


def test_a_simultaneous_promotion_does_not_undo_a_quarantine() -> None:
    simulation = simulation_with_three_releases()
    simulation.ship("v4", CANDIDATE, hours_ago=0.1)
    set_release_state = simulation.ledger.set_release_state
    promotions: list[Release] = []

    def set_after_promotion(stored_release: Any, *verdict: Any) -> Any:
        if not promotions:
            promotions.append(set_release_state(stored_release, PROMOTED, simulation.clock.now(), "baked"))
            prepare_standing_plan(SERVICE, simulation.ports)
        return set_release_state(stored_release, *verdict)

    simulation.ledger.set_release_state = set_after_promotion  # type: ignore[method-assign, assignment]
    quarantine(SERVICE, "v4", ANN, simulation.ports)
    assert simulation.state_of("v4") is QUARANTINED
    assert "v4" not in standing_versions(simulation)


def test_a_standing_plan_with_a_later_time_loses_the_quarantined_release() -> None:
    simulation = simulation_with_three_releases()
    plan = simulation.ledger.standing_plan(SERVICE)
    assert plan is not None
    later_time = simulation.clock.now() + timedelta(minutes=2)
    simulation.ledger.put_standing_plan(plan.model_copy(update={"computed_at": later_time}))
    quarantine(SERVICE, "v3", ANN, simulation.ports)
    assert standing_versions(simulation) == ["v2"]


def test_a_release_is_quarantined_even_if_ecs_does_not_answer() -> None:
    simulation = simulation_with_three_releases()

    def no_answer(service: Any) -> Any:
        raise ExternalServiceError("ECS does not answer")

    simulation.services.describe = no_answer  # type: ignore[method-assign]
    assert "could not be computed again (ECS does not answer)" in quarantine(SERVICE, "v3", ANN, simulation.ports)
    assert simulation.state_of("v3") is QUARANTINED
    assert standing_versions(simulation) == ["v2"]


def calls_of_a_quarantine() -> int:
    simulation, injector = simulation_with_three_releases(), FaultInjector()
    simulation.replace(ledger=CrashingProxy(simulation.ledger, injector))
    quarantine(SERVICE, "v3", ANN, simulation.ports)
    return injector.calls


@pytest.mark.parametrize("kill_at", range(1, calls_of_a_quarantine() + 1))
@pytest.mark.parametrize("after", [False, True], ids=["before", "after"])
def test_a_quarantine_interrupted_at_any_call_leaves_no_bad_plan_and_is_completed_by_a_second_call(
    kill_at: int, after: bool
) -> None:
    simulation, injector = simulation_with_three_releases(), FaultInjector(kill_at, after=after)
    simulation.replace(ledger=CrashingProxy(simulation.ledger, injector))
    with pytest.raises(ProcessKilled):
        quarantine(SERVICE, "v3", ANN, simulation.ports)
    injector.restart_process()
    if simulation.state_of("v3") is QUARANTINED:
        assert "v3" not in standing_versions(simulation)
        assert list(simulation.ledger.actions(SERVICE))
    quarantine(SERVICE, "v3", ANN, simulation.ports)
    assert simulation.state_of("v3") is QUARANTINED
    assert standing_versions(simulation) == ["v2", "v1"]
    assert last_known_good_by_name(simulation) == "v2"


@pytest.mark.parametrize("state", [SUSPECT, QUARANTINED])
def test_a_cleared_release_is_a_candidate_that_can_be_named_and_promoted(state: Any) -> None:
    simulation = simulation_with_three_releases()
    stored_release = release("v0", state=state, hours_ago=96, definition_arn=simulation.arns["v1"])
    simulation.ledger.record(stored_release, normalised_definition(definition("v0"), {}))
    output = unquarantine(SERVICE, "v0", ANN, simulation.ports)
    assert "rollback promote production --service express-api --version v0" in output
    assert simulation.state_of("v0") is CANDIDATE
    assert next(simulation.ledger.actions(SERVICE)).verb == "unquarantine"


def test_a_release_that_is_neither_suspect_nor_quarantined_can_not_be_cleared() -> None:
    simulation = simulation_with_three_releases()
    with pytest.raises(InvalidRequest, match="v3 is promoted, neither quarantined nor suspect"):
        unquarantine(SERVICE, "v3", ANN, simulation.ports)


def test_a_verdict_that_arrives_during_a_clearance_is_not_cleared() -> None:
    simulation = simulation_with_three_releases()
    stored_release = release("v0", state=SUSPECT, hours_ago=96)
    simulation.ledger.record(stored_release, normalised_definition(definition("v0"), {}))
    set_release_state = simulation.ledger.set_release_state

    def set_after_quarantine(cleared_release: Any, *verdict: Any) -> Any:
        set_release_state(stored_release, QUARANTINED, simulation.clock.now(), "left by another rollback")
        return set_release_state(cleared_release, *verdict)

    simulation.ledger.set_release_state = set_after_quarantine  # type: ignore[method-assign, assignment]
    with pytest.raises(Conflict, match=r"became quarantined during this command \(left by another rollback\)"):
        unquarantine(SERVICE, "v0", ANN, simulation.ports)
    assert simulation.state_of("v0") is QUARANTINED
