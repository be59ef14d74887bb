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
from rollback.promotion.promote import promote_by_operator

ANN = Operator(name="ann@desk", reason="it loses orders")


def deploy_version_twice(older_state: Any = PROMOTED) -> Simulation:
    """Deploy v1, then v1 with a bad setting: the version has two releases, of which the bad one runs."""
    simulation = Simulation()
    simulation.ship("v0", PROMOTED, hours_ago=72)
    simulation.ship("v1", older_state, hours_ago=48)
    bad_definition = definition("v1")
    bad_definition["containerDefinitions"][0]["environment"] = [{"name": "DB", "value": "wrong"}]
    arn, normalised = (
        simulation.services.register_release(bad_definition, FAMILY),
        normalised_definition(bad_definition, {}),
    )
    newer_release = release(
        "v1",
        state=CANDIDATE,
        hours_ago=0.2,
        definition_arn=arn,
        fingerprint=fingerprint(bad_definition, {}),
        definition_sha256=sha256_of(normalised),
    )
    simulation.ledger.record(newer_release, normalised)
    simulation.services.run(arn, created_at=NOW - timedelta(minutes=12))
    simulation.services.calls.clear()
    return simulation


def release_in_state(simulation: Simulation, state: Any) -> Release:
    return next(r for r in simulation.ledger.releases(SERVICE) if r.version == "v1" and r.state is state)


@pytest.mark.parametrize("kind", ["service", "emergency"])
def test_a_version_that_was_deployed_again_with_a_bad_setting_means_the_promoted_release(kind: str) -> None:
    simulation = deploy_version_twice()
    good = release_in_state(simulation, PROMOTED)
    rollback = simulation.read(simulation.run({"type": kind, "target_version": "v1"}))
    assert rollback.outcome is Outcome.SUCCEEDED
    assert rollback.plan is not None
    assert rollback.plan.target is not None
    assert rollback.plan.target.fingerprint == good.fingerprint


@pytest.mark.parametrize("kind", ["service", "emergency"])
def test_an_ambiguous_version_is_refused_with_names_that_can_be_pasted(kind: str) -> None:
    simulation = deploy_version_twice(CANDIDATE)
    refused_rollback = simulation.read(simulation.run({"type": kind, "target_version": "v1"}))
    assert refused_rollback.outcome is Outcome.REFUSED
    assert simulation.check(refused_rollback, "target-is-identified").verdict is Verdict.FAIL
    assert "runs already" not in refused_rollback.reason
    older_release = min(
        list(simulation.ledger.releases(SERVICE))[:3], key=lambda r: (r.version != "v1", r.first_deployed_at)
    )
    name = release_label(older_release, simulation.ledger.releases(SERVICE))
    assert name in refused_rollback.reason
    second_rollback = simulation.read(simulation.run({"type": kind, "target_version": name}, "execution-2"))
    assert second_rollback.outcome is Outcome.SUCCEEDED


def test_a_version_with_another_release_is_not_refused_as_already_running() -> None:
    simulation = deploy_version_twice()
    running, good = release_in_state(simulation, CANDIDATE), release_in_state(simulation, PROMOTED)
    releases = list(simulation.ledger.releases(SERVICE))
    refused_rollback = simulation.read(simulation.run({"target_version": release_label(running, releases)}))
    assert refused_rollback.outcome is Outcome.REFUSED
    assert f"{describe_release(running, releases)} runs already" in refused_rollback.reason
    assert release_label(good, releases) in refused_rollback.reason


def test_a_database_rollback_refuses_an_ambiguous_name() -> None:
    simulation = DatabaseSimulation()
    for mark in ("a", "b"):
        twin = release("v7", fingerprint=mark * 64, state=CANDIDATE)
        simulation.ledger.record(twin, normalised_definition(definition("v7"), {}))
    refused_rollback = simulation.read(simulation.run({"type": "database", "service": SERVICE, "target_version": "v7"}))
    assert refused_rollback.outcome is Outcome.REFUSED
    assert "v7@aaaaaaaa" in refused_rollback.reason
    assert "v7@bbbbbbbb" in refused_rollback.reason


def test_quarantine_refuses_an_ambiguous_name() -> None:
    simulation = deploy_version_twice()
    with pytest.raises(InvalidRequest, match=r"v1@\w{8} \(candidate.*v1@\w{8} \(promoted.*nothing was changed"):
        quarantine(SERVICE, "v1", ANN, simulation.ports)
    assert list(simulation.ledger.actions(SERVICE)) == []
    bad = release_in_state(simulation, CANDIDATE)
    quarantine(SERVICE, release_label(bad, simulation.ledger.releases(SERVICE)), ANN, simulation.ports)
    assert release_in_state(simulation, QUARANTINED).fingerprint == bad.fingerprint
    assert release_in_state(simulation, PROMOTED)


def test_a_clearance_of_a_version_means_its_quarantined_release() -> None:
    simulation = deploy_version_twice()
    bad = release_in_state(simulation, CANDIDATE)
    quarantine(SERVICE, bad.fingerprint, ANN, simulation.ports)
    output = unquarantine(SERVICE, "v1", ANN, simulation.ports)
    assert release_in_state(simulation, CANDIDATE).fingerprint == bad.fingerprint
    assert f"--version v1@{bad.fingerprint[:8]}" in output


def test_a_promotion_by_an_operator_refuses_an_ambiguous_name() -> None:
    simulation = deploy_version_twice()
    bad = release_in_state(simulation, CANDIDATE)
    with pytest.raises(InvalidRequest, match=r"v1@\w{8} \(candidate.*v1@\w{8} \(promoted"):
        promote_by_operator(SERVICE, "v1", "ann", simulation.ports)
    assert release_in_state(simulation, CANDIDATE).fingerprint == bad.fingerprint
    assert (
        promote_by_operator(SERVICE, f"v1@{bad.fingerprint[:8]}", "ann", simulation.ports).fingerprint
        == bad.fingerprint
    )


def test_the_list_of_versions_has_names_that_can_be_pasted(terminal: At) -> None:
    simulation = deploy_version_twice()
    type_ = terminal(simulation)
    assert type_("versions", "production") == 0
    for listed_release in simulation.ledger.releases(SERVICE):
        name = release_label(listed_release, simulation.ledger.releases(SERVICE))
        assert name in type_.said
        assert find_release(name, simulation.ledger.releases(SERVICE)).release == listed_release
