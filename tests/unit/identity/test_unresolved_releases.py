"""A replaced release without a known digest is recorded, and is never a target nor promoted."""

from datetime import timedelta

import pytest
from simulations.service import CANDIDATE, FAMILY, PROMOTED, Simulation
from support.builders import NOW, SERVICE, definition

from rollback.domain.releases.release import Release
from rollback.domain.rollback import Outcome
from rollback.errors import InvalidRequest
from rollback.identity.candidates import release_named
from rollback.promotion.promote import promote_by_operator, record_running
from rollback.promotion.readiness import prepare_standing_plan

REPOSITORY = "123456789012.dkr.ecr.eu-west-1.amazonaws.com/macro-ai-express-api"
LATEST = f"{REPOSITORY}:latest"
GOOD, BAD = "sha256:" + "a" * 64, "sha256:" + "b" * 64


def simulation_without_resolved_images(digest: str = GOOD, running: int = 2) -> Simulation:
    """Build a simulation: v1 is promoted, a definition with a moving tag runs, and ECS resolves no digest for it."""
    simulation = Simulation()
    simulation.ship("v1", PROMOTED, hours_ago=48)
    simulation.services.resolves_images = False
    task_definition = definition("x")
    task_definition["containerDefinitions"][0] |= {"image": LATEST, "versionConsistency": "disabled"}
    simulation.images.push(LATEST, digest)
    simulation.arns["latest"] = simulation.services.register_release(task_definition, FAMILY)
    simulation.services.run(simulation.arns["latest"], created_at=NOW - timedelta(minutes=12))
    simulation.services._deployments[0].running = running
    simulation.services.calls.clear()
    return simulation


def simulation_with_unresolved_release() -> tuple[Simulation, Release]:
    """Plan a rollback while the running release has no task: the release is recorded without its digest."""
    simulation = simulation_without_resolved_images(running=0)
    dry_run = simulation.run({"service": SERVICE, "dry_run": True})
    assert dry_run.outcome is Outcome.PLANNED
    (unresolved_release,) = [r for r in simulation.ledger.releases(SERVICE) if r.version == "latest"]
    assert not unresolved_release.is_resolved
    return simulation, unresolved_release


@pytest.mark.parametrize("version", ["latest", None])
def test_an_operator_can_not_promote_a_release_without_a_digest(version: str | None) -> None:
    """A promotion would register `repository:tag@unresolved` as the newest revision of the last known good's family."""
    simulation, unresolved_release = simulation_with_unresolved_release()
    prepare_standing_plan(SERVICE, simulation.ports)
    simulation.services.calls.clear()
    with pytest.raises(InvalidRequest, match="digest of api is not known"):
        promote_by_operator(SERVICE, version, "ann", simulation.ports)
    assert simulation.ledger.release(SERVICE, unresolved_release.fingerprint) == unresolved_release
    assert simulation.services.calls == []


def test_an_emergency_to_a_version_without_a_digest_is_refused_even_with_force() -> None:
    """No task can pull the image `repository:tag@unresolved`."""
    simulation, _ = simulation_with_unresolved_release()
    simulation.ship("v3")
    execution_input = {"service": SERVICE, "type": "emergency", "target_version": "latest", "force": True}
    rollback = simulation.run(execution_input, "execution-2")
    assert rollback.outcome is Outcome.REFUSED
    assert "digest" in rollback.reason
    assert simulation.changes() == []


def test_a_version_means_its_release_with_a_digest_rather_than_the_release_without() -> None:
    simulation, unresolved_release = simulation_with_unresolved_release()
    simulation.services._deployments[0].running = 2
    record_running(SERVICE, simulation.ports)
    releases = [r for r in simulation.ledger.releases(SERVICE) if r.version == "latest"]
    assert [r.is_resolved for r in releases].count(True) == 1
    resolved_release = release_named(SERVICE, "latest", simulation.ports, prefer=())
    assert resolved_release.is_resolved
    assert (resolved_release.state, resolved_release.definition_arn) == (CANDIDATE, unresolved_release.definition_arn)
    assert (
        release_named(SERVICE, unresolved_release.fingerprint[:12], simulation.ports, prefer=()) == unresolved_release
    ), "a fingerprint names the unresolved release"


def test_tasks_of_a_former_deployment_are_no_evidence_about_the_new_deployment() -> None:
    """New tasks don't start and old tasks still serve: the alarm must not count against the old, proven release."""
    simulation = simulation_without_resolved_images(GOOD)
    simulation.services._deployments[0].created_at = simulation.services._service_deployments[0].created_at
    record_running(SERVICE, simulation.ports)
    (good_release,) = [r for r in simulation.ledger.releases(SERVICE) if r.version == "latest"]
    assert good_release.images["api"].endswith(GOOD)
    simulation.images.push(LATEST, BAD)
    simulation.services.behaviours[simulation.arns["latest"]] = "crashing"
    simulation.services.deploy(simulation.arns["latest"])  # a forced deployment of the same definition
    simulation.services.tick()
    assert [d.running_count for d in simulation.describe_service().deployments] == [0, 2]
    cursor = record_running(SERVICE, simulation.ports)
    assert "digest of api is not known" in cursor.summary
    dry_run = simulation.run({"service": SERVICE, "dry_run": True}, "execution-2")
    assert dry_run.plan is not None
    assert dry_run.plan.running.fingerprint != good_release.fingerprint
