"""`rollback versions`: what ECS and ECR did not tell is said, and no evidence of anything."""

from collections.abc import Collection
from dataclasses import replace

import pytest
from simulations.reading import rolled_back
from simulations.service import PROMOTED, Simulation
from simulations.terminal import At
from support.builders import SERVICE, image

from rollback.errors import ExternalServiceError
from rollback.resources.aws.container_image import ImageStatus
from rollback_cli.output.versions.document import ServiceVersions
from rollback_cli.output.versions.read import read_versions


def read(simulation: Simulation, limit: int = 50) -> ServiceVersions:
    return read_versions(simulation.service_settings, limit, simulation.ports)


def repository() -> str:
    return image("v0").partition("@")[0].partition("/")[2]


def test_an_expired_image_is_missing_and_the_others_are_available() -> None:
    listed = {release.name: release for release in read(rolled_back()).releases}
    assert {name: release.image_status for name, release in listed.items()} == {
        "v2": ImageStatus.AVAILABLE,
        "v1": ImageStatus.AVAILABLE,
        "v0": ImageStatus.MISSING,
    }
    assert [name for name, release in listed.items() if release.is_running] == ["v1"]
    assert [name for name, release in listed.items() if release.is_rollback_target] == ["v0"]


def test_images_that_ecr_refuses_to_describe_are_not_looked_at_and_the_reason_is_said_once(terminal: At) -> None:
    simulation = rolled_back()
    simulation.images.denied.add(repository())
    versions = read(simulation)
    assert {release.image_status for release in versions.releases} == {ImageStatus.NOT_LOOKED_AT}
    (unread,) = versions.not_read
    assert (unread.part, "AccessDenied" in unread.reason) == ("some images", True)

    type_ = terminal(simulation)
    assert type_.in_terminal("versions", "production") == 0
    assert type_.output.count("AccessDenied") == 1
    assert "missing" not in type_.output
    assert type_("versions", "production") == 0
    assert type_.output.count("\tnot looked at\t") == 3


def test_without_any_answer_of_ecr_all_releases_are_listed(monkeypatch: pytest.MonkeyPatch) -> None:
    simulation = rolled_back()

    def no_answer(images: Collection[str]) -> dict[str, object]:
        raise ExternalServiceError("ECR does not answer")

    monkeypatch.setattr(simulation.images, "image_states", no_answer)
    versions = read(simulation)
    assert [release.image_status for release in versions.releases] == [ImageStatus.NOT_LOOKED_AT] * 3
    assert [unread.reason for unread in versions.not_read] == ["ECR does not answer"]


def test_without_an_answer_of_ecs_no_release_is_called_running_or_not_running(
    terminal: At, monkeypatch: pytest.MonkeyPatch
) -> None:
    simulation = rolled_back()

    def no_answer(_: object) -> object:
        raise ExternalServiceError("ECS does not answer")

    monkeypatch.setattr(simulation.services, "describe", no_answer)
    versions = read(simulation)
    assert {release.is_running for release in versions.releases} == {None}
    assert {release.is_rollback_target for release in versions.releases} == {None}
    type_ = terminal(simulation)
    assert type_.in_terminal("versions", "production") == 0
    assert "not looked at: running release: ECS does not answer" in type_.output


def test_a_missing_sidecar_makes_the_release_one_that_can_not_be_pulled(monkeypatch: pytest.MonkeyPatch) -> None:
    simulation = rolled_back()
    gone = image("v1").replace("macro-ai-express-api", "sidecar")
    simulation.images.missing.add(gone)
    ledger = simulation.ledger
    releases = [
        release.model_copy(update={"images": {**release.images, "a-sidecar": gone}})
        if release.version == "v1"
        else release
        for release in ledger.releases(SERVICE)
    ]
    monkeypatch.setattr(ledger, "releases", lambda _: iter(releases))
    (v1,) = [release for release in read(simulation).releases if release.version == "v1"]
    assert v1.image_status == ImageStatus.MISSING
    assert [(i.container, i.status) for i in v1.images] == [("api", "available"), ("a-sidecar", "missing")]


def test_a_page_asks_ecr_about_the_listed_releases_only_and_offers_the_older_ones(
    terminal: At, monkeypatch: pytest.MonkeyPatch
) -> None:
    simulation = Simulation()
    for number in range(5):
        simulation.ship(f"v{number}", PROMOTED, hours_ago=96 - number)
    asked: list[str] = []
    original = simulation.images.image_states

    def recorded(images: Collection[str]) -> object:
        asked.extend(images)
        return original(images)

    monkeypatch.setattr(simulation.images, "image_states", recorded)
    type_ = terminal(simulation)
    assert type_.in_terminal("versions", "production", "--limit", "2") == 0
    assert asked == [image("v4"), image("v3")]
    assert "older releases: rollback versions production --limit 4" in type_.output
    assert read(simulation, limit=5).has_more is False


def test_a_service_without_releases_is_said_to_have_none(terminal: At, monkeypatch: pytest.MonkeyPatch) -> None:
    simulation = Simulation()
    simulation.ship("v1", PROMOTED)
    monkeypatch.setattr(simulation.ledger, "releases", lambda _: iter(()))
    type_ = terminal(simulation)
    assert type_.in_terminal("versions", "production") == 0
    assert "the ledger has no releases" in type_.output


def test_several_services_have_a_title_each(terminal: At) -> None:
    simulation = rolled_back()
    settings = simulation.ports.settings
    worker = simulation.service_settings.model_copy(update={"name": "worker"})
    simulation.ports = replace(
        simulation.ports, settings=settings.model_copy(update={"services": (simulation.service_settings, worker)})
    )
    type_ = terminal(simulation)
    assert type_.in_terminal("versions", "production") == 0
    assert f"{SERVICE}\n" in type_.output
    assert "worker\n" in type_.output
