"""Deploy check: whether an image may be deployed."""

import pytest
from simulations.service import CANDIDATE, PROMOTED, QUARANTINED, SUSPECT, Simulation, start_simulation
from support.builders import SERVICE, definition, image, release

from rollback.canonical_json import sha256_of
from rollback.domain.releases.release import ReleaseState, fingerprint, normalised_definition
from rollback.errors import ExternalServiceError, InvalidRequest
from rollback.operations.deploy_check import check_deploy

REPOSITORY = "123456789012.dkr.ecr.eu-west-1.amazonaws.com/macro-ai-express-api"
AGENT = "public.ecr.aws/datadog/agent@sha256:" + "d" * 64


def simulation_with_release(version: str, state: ReleaseState) -> Simulation:
    simulation = start_simulation()
    simulation.ship(version, state)
    simulation.images.push(f"{REPOSITORY}:{version}", image(version).rpartition("@")[2])
    return simulation


@pytest.mark.parametrize("state", [SUSPECT, QUARANTINED])
@pytest.mark.parametrize(
    "image_name", [f"{REPOSITORY}:v3", image("v3"), f"mirror.test/api@{image('v3').rpartition('@')[2]}"]
)
def test_the_image_of_a_rolled_back_release_may_not_be_deployed(state: ReleaseState, image_name: str) -> None:
    answer = check_deploy(SERVICE, image_name, simulation_with_release("v3", state).ports)
    assert not answer.is_allowed
    assert f"belongs to v3, which is {state}" in answer.reason
    assert "rollback unquarantine production v3 --service express-api" in answer.reason
    assert "\n" not in answer.reason


@pytest.mark.parametrize("state", [CANDIDATE, PROMOTED])
def test_the_image_of_any_other_release_may_be_deployed(state: ReleaseState) -> None:
    answer = check_deploy(SERVICE, f"{REPOSITORY}:v3", simulation_with_release("v3", state).ports)
    assert answer.is_allowed
    assert f"belongs to v3, which is {state}" in answer.reason


def test_an_image_that_no_release_has_run_may_be_deployed() -> None:
    answer = check_deploy(SERVICE, image("v9"), simulation_with_release("v3", QUARANTINED).ports)
    assert answer.is_allowed
    assert "not known to the ledger" in answer.reason


def test_a_moved_tag_is_judged_by_its_present_digest() -> None:
    simulation = simulation_with_release("v3", QUARANTINED)
    simulation.images.push(f"{REPOSITORY}:v3", image("v9").rpartition("@")[2])
    assert check_deploy(SERVICE, f"{REPOSITORY}:v3", simulation.ports).is_allowed


def test_no_image_may_be_deployed_during_a_rollback() -> None:
    simulation = simulation_with_release("v3", CANDIDATE)
    rollback = simulation.admit()
    answer = check_deploy(SERVICE, image("v9"), simulation.ports)
    assert not answer.is_allowed
    assert rollback.id in answer.reason
    simulation.clock.pass_time(minutes=simulation.policy.lease_minutes)
    assert check_deploy(SERVICE, image("v9"), simulation.ports).is_allowed


def test_a_sidecar_image_that_promoted_releases_run_too_may_be_deployed() -> None:
    simulation = start_simulation()
    for version, state in (("v3", QUARANTINED), ("v4", PROMOTED)):
        task_definition = definition(version)
        task_definition["containerDefinitions"].append({"name": "agent", "image": AGENT})
        images = {"api": image(version), "agent": AGENT}
        sha256 = sha256_of(normalised_definition(task_definition, {}))
        stored_release = release(
            version, state=state, fingerprint=fingerprint(task_definition, {}), definition_sha256=sha256, images=images
        )
        simulation.ledger.record(stored_release, normalised_definition(task_definition, {}))
        assert check_deploy(SERVICE, AGENT, simulation.ports).is_allowed == (version == "v4")
    assert not check_deploy(SERVICE, image("v3"), simulation.ports).is_allowed


@pytest.mark.parametrize(
    "image_name",
    [f"{REPOSITORY}:typo", "docker.io/library/nginx:1", "", f"{REPOSITORY}@sha256:12", "@sha256:" + "0" * 64],
)
def test_an_image_without_a_known_digest_is_an_error(image_name: str) -> None:
    with pytest.raises(InvalidRequest, match="is not known"):
        check_deploy(SERVICE, image_name, start_simulation().ports)


def test_no_image_is_allowed_while_the_registry_does_not_answer() -> None:
    simulation = start_simulation()

    def no_answer(image: str) -> str | None:
        raise ExternalServiceError("ECR does not answer")

    simulation.images.digest_of = no_answer  # type: ignore[method-assign]
    with pytest.raises(ExternalServiceError):
        check_deploy(SERVICE, f"{REPOSITORY}:v3", simulation.ports)
