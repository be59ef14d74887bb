"""A replaced release without a known digest is recorded, and is never a target nor promoted."""

from datetime import timedelta

import pytest
from simulations.service import CANDIDATE, FAMILY, PROMOTED, Simulation
from support.builders import NOW, SERVICE, definition

from rollback.domain.releases.release import Release
from rollback.domain.rollback import Outcome
from rollback.errors import InvalidRequest
from rollback.identity.candidates import release_named
from rollback.promotion.promote import promote_by_hand, record_running
from rollback.promotion.readiness import prepare_standing_plan

REPOSITORY = "123456789012.dkr.ecr.eu-west-1.amazonaws.com/macro-ai-express-api"
LATEST = f"{REPOSITORY}:latest"
GOOD, BAD = "sha256:" + "a" * 64, "sha256:" + "b" * 64


def by_tasks_only(digest: str = GOOD, running: int = 2) -> Simulation:
    """v1 is promoted; a definition with a moving tag runs, and ECS resolves no digest for its revision."""
    simulation = Simulation()
    simulation.ship("v1", PROMOTED, hours_ago=48)
    simulation.services.resolves_images = False
    made = definition("x")
    made["containerDefinitions"][0] |= {"image": LATEST, "versionConsistency": "disabled"}
    simulation.images.push(LATEST, digest)
    simulation.arns["latest"] = simulation.services.register_release(made, FAMILY)
    simulation.services.run(simulation.arns["latest"], created_at=NOW - timedelta(minutes=12))
    simulation.services._deployments[0].running = running
    simulation.services.calls.clear()
    return simulation


def left_unresolved() -> tuple[Simulation, Release]:
    """Plan while none of its tasks runs: the release is recorded without its digest."""
    simulation = by_tasks_only(running=0)
    planned = simulation.run({"service": SERVICE, "dry_run": True})
    assert planned.outcome is Outcome.PLANNED
    (left,) = [r for r in simulation.ledger.releases(SERVICE) if r.version == "latest"]
    assert not left.is_resolved
    return simulation, left


@pytest.mark.parametrize("version", ["latest", None])
def test_an_operator_can_not_promote_a_release_without_a_digest(version: str | None) -> None:
    """A promotion registered it as `repository:tag@unresolved`, the newest of the last known good's family."""
    simulation, left = left_unresolved()
    prepare_standing_plan(SERVICE, simulation.ports)
    simulation.services.calls.clear()
    with pytest.raises(InvalidRequest, match="digest of api is not known"):
        promote_by_hand(SERVICE, version, "ann", simulation.ports)
    assert simulation.ledger.release(SERVICE, left.fingerprint) == left
    assert simulation.services.calls == []


def test_an_emergency_to_a_version_without_digest_is_refused_also_by_force() -> None:
    """No task could pull `repository:tag@unresolved`: a rollback at 03:00 would have deployed that."""
    simulation, _ = left_unresolved()
    simulation.ship("v3")
    given = {"service": SERVICE, "type": "emergency", "target_version": "latest", "force": True}
    ended = simulation.run(given, "execution-2")
    assert ended.outcome is Outcome.REFUSED
    assert "digest" in ended.reason
    assert simulation.changes() == []


def test_a_version_means_its_release_with_a_digest_beside_one_without() -> None:
    simulation, left = left_unresolved()
    simulation.services._deployments[0].running = 2
    record_running(SERVICE, simulation.ports)
    same = [r for r in simulation.ledger.releases(SERVICE) if r.version == "latest"]
    assert [r.is_resolved for r in same].count(True) == 1
    found = release_named(SERVICE, "latest", simulation.ports, prefer=())
    assert found.is_resolved
    assert (found.state, found.definition_arn) == (CANDIDATE, left.definition_arn)
    assert release_named(SERVICE, left.fingerprint[:12], simulation.ports, prefer=()) == left, (
        "it can be named all the same"
    )


def test_tasks_of_a_former_deployment_are_no_evidence_about_the_new_one() -> None:
    """Its tasks don't start, and the old ones still serve: the alarm counted against the old, proven release."""
    simulation = by_tasks_only(GOOD)
    simulation.services._deployments[0].created_at = simulation.services._service_deployments[0].created_at
    record_running(SERVICE, simulation.ports)
    (good,) = [r for r in simulation.ledger.releases(SERVICE) if r.version == "latest"]
    assert good.images["api"].endswith(GOOD)
    simulation.images.push(LATEST, BAD)
    simulation.services.behaviours[simulation.arns["latest"]] = "crashing"
    simulation.services.deploy(simulation.arns["latest"])  # a forced deployment of the same definition
    simulation.services.tick()
    assert [d.running_count for d in simulation.describe_service().deployments] == [0, 2]
    cursor = record_running(SERVICE, simulation.ports)
    assert "digest of api is not known" in cursor.summary
    planned = simulation.run({"service": SERVICE, "dry_run": True}, "execution-2")
    assert planned.plan is not None
    assert planned.plan.running.fingerprint != good.fingerprint
