"""Names of releases in requests: a rollback, an operation or a promotion refuses an ambiguous name."""

from datetime import timedelta
from typing import Any

import pytest
from simulations.database import DatabaseSimulation
from simulations.service import CANDIDATE, FAMILY, PROMOTED, QUARANTINED, Simulation
from simulations.terminal import At
from support.builders import NOW, SERVICE, definition, release

from rollback.canonical_json import sha256_of
from rollback.check import Verdict
from rollback.domain.operator import Operator
from rollback.domain.releases.release import Release, fingerprint, normalised_definition
from rollback.domain.releases.release_names import describe_release, find_release, release_label
from rollback.domain.rollback import Outcome
from rollback.errors import InvalidRequest
from rollback.operations.quarantine import quarantine, unquarantine
from rollback.promotion.promote import promote_by_hand

ANN = Operator(name="ann@desk", reason="it loses orders")


def twice(kind_of_the_older: Any = PROMOTED) -> Simulation:
    """A version v1 that was deployed again with a bad setting: two releases, of which the bad one runs."""
    simulation = Simulation()
    simulation.ship("v0", PROMOTED, hours_ago=72)
    simulation.ship("v1", kind_of_the_older, hours_ago=48)
    bad = definition("v1")
    bad["containerDefinitions"][0]["environment"] = [{"name": "DB", "value": "wrong"}]
    arn, normalised = simulation.services.register_release(bad, FAMILY), normalised_definition(bad, {})
    again = release(
        "v1",
        state=CANDIDATE,
        hours_ago=0.2,
        definition_arn=arn,
        fingerprint=fingerprint(bad, {}),
        definition_sha256=sha256_of(normalised),
    )
    simulation.ledger.record(again, normalised)
    simulation.services.run(arn, created_at=NOW - timedelta(minutes=12))
    simulation.services.calls.clear()
    return simulation


def of(simulation: Simulation, state: Any) -> Release:
    return next(r for r in simulation.ledger.releases(SERVICE) if r.version == "v1" and r.state is state)


@pytest.mark.parametrize("kind", ["service", "emergency"])
def test_a_version_that_was_deployed_again_with_a_bad_setting_means_the_promoted_release(kind: str) -> None:
    simulation = twice()
    good = of(simulation, PROMOTED)
    rollback = simulation.read(simulation.run({"type": kind, "target_version": "v1"}))
    assert rollback.outcome is Outcome.SUCCEEDED
    assert rollback.plan is not None
    assert rollback.plan.target is not None
    assert rollback.plan.target.fingerprint == good.fingerprint


@pytest.mark.parametrize("kind", ["service", "emergency"])
def test_an_ambiguous_version_is_refused_with_the_names_to_paste_and_those_work(kind: str) -> None:
    simulation = twice(CANDIDATE)
    refused = simulation.read(simulation.run({"type": kind, "target_version": "v1"}))
    assert refused.outcome is Outcome.REFUSED
    assert simulation.check(refused, "target-is-identified").verdict is Verdict.FAIL
    assert "runs already" not in refused.reason
    older = min(list(simulation.ledger.releases(SERVICE))[:3], key=lambda r: (r.version != "v1", r.first_deployed_at))
    name = release_label(older, simulation.ledger.releases(SERVICE))
    assert name in refused.reason
    again = simulation.read(simulation.run({"type": kind, "target_version": name}, "execution-2"))
    assert again.outcome is Outcome.SUCCEEDED


def test_a_version_with_another_release_is_not_refused_as_already_running() -> None:
    simulation = twice()
    running, good = of(simulation, CANDIDATE), of(simulation, PROMOTED)
    known = list(simulation.ledger.releases(SERVICE))
    refused = simulation.read(simulation.run({"target_version": release_label(running, known)}))
    assert refused.outcome is Outcome.REFUSED
    assert f"{describe_release(running, known)} runs already" in refused.reason
    assert release_label(good, known) in refused.reason


def test_a_database_rollback_refuses_an_ambiguous_name() -> None:
    simulation = DatabaseSimulation()
    for mark in ("a", "b"):
        twin = release("v7", fingerprint=mark * 64, state=CANDIDATE)
        simulation.ledger.record(twin, normalised_definition(definition("v7"), {}))
    refused = simulation.read(simulation.run({"type": "database", "service": SERVICE, "target_version": "v7"}))
    assert refused.outcome is Outcome.REFUSED
    assert "v7@aaaaaaaa" in refused.reason
    assert "v7@bbbbbbbb" in refused.reason


def test_quarantine_refuses_an_ambiguous_name() -> None:
    simulation = twice()
    with pytest.raises(InvalidRequest, match=r"v1@\w{8} \(candidate.*v1@\w{8} \(promoted.*nothing was changed"):
        quarantine(SERVICE, "v1", ANN, simulation.ports)
    assert list(simulation.ledger.actions(SERVICE)) == []
    bad = of(simulation, CANDIDATE)
    quarantine(SERVICE, release_label(bad, simulation.ledger.releases(SERVICE)), ANN, simulation.ports)
    assert of(simulation, QUARANTINED).fingerprint == bad.fingerprint
    assert of(simulation, PROMOTED)


def test_a_clearance_of_a_version_means_its_quarantined_release() -> None:
    simulation = twice()
    bad = of(simulation, CANDIDATE)
    quarantine(SERVICE, bad.fingerprint, ANN, simulation.ports)
    said = unquarantine(SERVICE, "v1", ANN, simulation.ports)
    assert of(simulation, CANDIDATE).fingerprint == bad.fingerprint
    assert f"--version v1@{bad.fingerprint[:8]}" in said


def test_a_promotion_by_hand_refuses_an_ambiguous_name() -> None:
    simulation = twice()
    bad = of(simulation, CANDIDATE)
    with pytest.raises(InvalidRequest, match=r"v1@\w{8} \(candidate.*v1@\w{8} \(promoted"):
        promote_by_hand(SERVICE, "v1", "ann", simulation.ports)
    assert of(simulation, CANDIDATE).fingerprint == bad.fingerprint
    assert promote_by_hand(SERVICE, f"v1@{bad.fingerprint[:8]}", "ann", simulation.ports).fingerprint == bad.fingerprint


def test_the_list_of_versions_has_names_that_can_be_pasted(terminal: At) -> None:
    simulation = twice()
    type_ = terminal(simulation)
    assert type_("versions", "production") == 0
    for one in simulation.ledger.releases(SERVICE):
        name = release_label(one, simulation.ledger.releases(SERVICE))
        assert name in type_.said
        assert find_release(name, simulation.ledger.releases(SERVICE)).release == one
