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


def three_good() -> Simulation:
    """v1, v2 and v3 are promoted, v3 runs; v3 and v2 are in the standing plan."""
    simulation = Simulation()
    for version, hours in (("v1", 72), ("v2", 48), ("v3", 24)):
        simulation.ship(version, PROMOTED, hours_ago=hours)
        prepare_standing_plan(SERVICE, simulation.ports)
    return simulation


def standing(simulation: Simulation) -> list[str]:
    plan = simulation.ledger.standing_plan(SERVICE)
    assert plan is not None
    return [target.release.version for target in plan.targets]


def last_known_good_by_name(simulation: Simulation) -> str:
    """Image that `aws ecs update-service --task-definition <family>-last-known-good-…` would deploy."""
    found = simulation.services.definition(last_known_good_family(FAMILY, "production", SERVICE))
    assert found is not None
    return next(v for v in ("v1", "v2", "v3") if found["containerDefinitions"][0]["image"] == image(v))


def test_a_quarantined_release_leaves_the_standing_plan_and_the_next_takes_its_place_and_name() -> None:
    simulation = three_good()
    assert last_known_good_by_name(simulation) == "v3"
    said = quarantine(SERVICE, "v3", ANN, simulation.ports)
    assert said.endswith("the last known good is v2")
    assert simulation.state_of("v3") is QUARANTINED
    assert standing(simulation) == ["v2", "v1"]
    assert last_known_good_by_name(simulation) == "v2"
    assert [(a.verb, a.subject, a.reason) for a in simulation.ledger.actions(SERVICE)] == [
        ("quarantine", "v3", "it loses orders")
    ]


def test_a_quarantined_release_is_no_target_without_force() -> None:
    simulation = three_good()
    quarantine(SERVICE, "v2", ANN, simulation.ports)
    refused = simulation.run({"target_version": "v2"})
    assert refused.outcome is Outcome.REFUSED
    assert "v2 is quarantined: by ann@desk: it loses orders" in refused.reason
    simulation.healthy_versions.add("v2")
    assert simulation.run({"target_version": "v2", "force": True}, "execution-2").outcome is Outcome.SUCCEEDED


def test_quarantining_the_last_promoted_release_says_that_no_target_is_left() -> None:
    simulation = Simulation()
    simulation.ship("v1", PROMOTED)
    assert "NO ROLLBACK TARGET" in quarantine(SERVICE, "v1", ANN, simulation.ports)


def test_a_version_means_each_of_its_releases_and_a_fingerprint_means_one() -> None:
    simulation = three_good()
    twin = definition("v3", cpu="512")
    stored = release("v3", hours_ago=1, definition_sha256="0" * 64, fingerprint="a" * 64)
    simulation.ledger._definitions["0" * 64] = twin
    simulation.ledger._releases[SERVICE, "a" * 64] = stored
    assert "v3 (aaaaaaaaaaaa) is quarantined" in quarantine(SERVICE, "aaaaaaaa", ANN, simulation.ports)
    assert [r.state for r in simulation.ledger.releases(SERVICE) if r.version == "v3"] == [QUARANTINED, PROMOTED]
    quarantine(SERVICE, "v3", ANN, simulation.ports)
    assert [r.state for r in simulation.ledger.releases(SERVICE) if r.version == "v3"] == [QUARANTINED, QUARANTINED]


@pytest.mark.parametrize("lever", [quarantine, unquarantine])
def test_an_unknown_release_is_refused_with_a_list_of_known_ones(lever: Any) -> None:
    simulation = three_good()
    with pytest.raises(InvalidRequest, match=r"'v33' .*did you mean 'v3'.*known versions: v1, v2, v3; nothing was"):
        lever(SERVICE, "v33", ANN, simulation.ports)
    assert list(simulation.ledger.actions(SERVICE)) == []


def test_quarantining_twice_keeps_the_first_reason() -> None:
    simulation = three_good()
    quarantine(SERVICE, "v3", ANN, simulation.ports)
    quarantine(SERVICE, "v3", Operator(name="bob", reason="so I hear"), simulation.ports)
    (v3,) = (r for r in simulation.ledger.releases(SERVICE) if r.version == "v3")
    assert v3.state_reason == f"by {ANN}"


def test_a_simultaneous_promotion_does_not_undo_a_quarantine() -> None:
    simulation = three_good()
    simulation.ship("v4", CANDIDATE, hours_ago=0.1)
    set_release_state = simulation.ledger.set_release_state
    promoted: list[Release] = []

    def promoted_first(given: Any, *verdict: Any) -> Any:
        if not promoted:
            promoted.append(set_release_state(given, PROMOTED, simulation.clock.now(), "baked"))
            prepare_standing_plan(SERVICE, simulation.ports)
        return set_release_state(given, *verdict)

    simulation.ledger.set_release_state = promoted_first  # type: ignore[method-assign, assignment]
    quarantine(SERVICE, "v4", ANN, simulation.ports)
    assert simulation.state_of("v4") is QUARANTINED
    assert "v4" not in standing(simulation)


def test_a_standing_plan_from_a_clock_ahead_of_ours_loses_the_quarantined_release() -> None:
    simulation = three_good()
    plan = simulation.ledger.standing_plan(SERVICE)
    assert plan is not None
    ahead = simulation.clock.now() + timedelta(minutes=2)
    simulation.ledger.put_standing_plan(plan.model_copy(update={"computed_at": ahead}))
    quarantine(SERVICE, "v3", ANN, simulation.ports)
    assert standing(simulation) == ["v2"]


def test_a_release_is_quarantined_though_ecs_does_not_answer() -> None:
    simulation = three_good()

    def no_answer(service: Any) -> Any:
        raise ExternalServiceError("ECS does not answer")

    simulation.services.describe = no_answer  # type: ignore[method-assign]
    assert "could not be computed again (ECS does not answer)" in quarantine(SERVICE, "v3", ANN, simulation.ports)
    assert simulation.state_of("v3") is QUARANTINED
    assert standing(simulation) == ["v2"]


def calls_of_a_quarantine() -> int:
    simulation, outside = three_good(), FaultInjector()
    simulation.replace(ledger=CrashingProxy(simulation.ledger, outside))
    quarantine(SERVICE, "v3", ANN, simulation.ports)
    return outside.calls


@pytest.mark.parametrize("kill_at", range(1, calls_of_a_quarantine() + 1))
@pytest.mark.parametrize("after", [False, True], ids=["before", "after"])
def test_a_quarantine_interrupted_at_any_call_leaves_no_bad_plan_and_a_second_call_completes_it(
    kill_at: int, after: bool
) -> None:
    simulation, outside = three_good(), FaultInjector(kill_at, after=after)
    simulation.replace(ledger=CrashingProxy(simulation.ledger, outside))
    with pytest.raises(ProcessKilled):
        quarantine(SERVICE, "v3", ANN, simulation.ports)
    outside.restart_process()
    if simulation.state_of("v3") is QUARANTINED:
        assert "v3" not in standing(simulation)
        assert list(simulation.ledger.actions(SERVICE))
    quarantine(SERVICE, "v3", ANN, simulation.ports)
    assert simulation.state_of("v3") is QUARANTINED
    assert standing(simulation) == ["v2", "v1"]
    assert last_known_good_by_name(simulation) == "v2"


@pytest.mark.parametrize("state", [SUSPECT, QUARANTINED])
def test_a_cleared_release_is_a_candidate_that_can_be_named_and_promoted(state: Any) -> None:
    simulation = three_good()
    stored = release("v0", state=state, hours_ago=96, definition_arn=simulation.arns["v1"])
    simulation.ledger.record(stored, normalised_definition(definition("v0"), {}))
    said = unquarantine(SERVICE, "v0", ANN, simulation.ports)
    assert "rollback promote production --service express-api --version v0" in said
    assert simulation.state_of("v0") is CANDIDATE
    assert next(simulation.ledger.actions(SERVICE)).verb == "unquarantine"


def test_a_release_that_is_neither_suspect_nor_quarantined_can_not_be_cleared() -> None:
    simulation = three_good()
    with pytest.raises(InvalidRequest, match="v3 is promoted, neither quarantined nor suspect"):
        unquarantine(SERVICE, "v3", ANN, simulation.ports)


def test_a_verdict_that_arrives_meanwhile_is_not_cleared_with_the_old_one() -> None:
    simulation = three_good()
    stored = release("v0", state=SUSPECT, hours_ago=96)
    simulation.ledger.record(stored, normalised_definition(definition("v0"), {}))
    set_release_state = simulation.ledger.set_release_state

    def quarantined_first(given: Any, *verdict: Any) -> Any:
        set_release_state(stored, QUARANTINED, simulation.clock.now(), "left by another rollback")
        return set_release_state(given, *verdict)

    simulation.ledger.set_release_state = quarantined_first  # type: ignore[method-assign, assignment]
    with pytest.raises(Conflict, match=r"became quarantined during this command \(left by another rollback\)"):
        unquarantine(SERVICE, "v0", ANN, simulation.ports)
    assert simulation.state_of("v0") is QUARANTINED
