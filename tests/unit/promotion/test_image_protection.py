"""Images of promoted releases: which are protected from expiry, and what readiness says about the others."""

from typing import Any

import pytest
from simulations.service import PROMOTED, Simulation
from support.builders import SERVICE, image
from support.stand_ins import access_denied_error

from rollback.check import Check, Verdict
from rollback.domain.releases.release import Release
from rollback.errors import CallRefused, RefusalKind
from rollback.promotion.image_protection import protect_images
from rollback.promotion.promote import promote_by_operator
from rollback.promotion.readiness import prepare_standing_plan
from rollback.resources.aws.account_and_region import AccountAndRegion

DIGEST = "sha256:" + "b" * 64
ECR = "123456789012.dkr.ecr.eu-west-1.amazonaws.com"
SIDECAR = f"{ECR}/proxy@{DIGEST}"


def simulation_with(sidecar: str | None = None) -> tuple[Simulation, Release]:
    """v1 is promoted, with a sidecar."""
    simulation = Simulation()
    simulation.replace(account_and_region=AccountAndRegion("123456789012", "eu-west-1"))
    images = {"api": image("v1"), **({"proxy": sidecar} if sidecar else {})}
    return simulation, simulation.ship("v1", PROMOTED, hours_ago=48, images=images)


def check_of(simulation: Simulation) -> Check:
    plan = prepare_standing_plan(SERVICE, simulation.ports)
    return next(check for check in plan.readiness if check.name == "images-are-protected")


def tags_of(simulation: Simulation, repository: str) -> list[str]:
    return [tag for tag in simulation.images.tags if tag.startswith(f"{repository}:last-known-good-production-")]


def test_the_images_of_all_containers_are_tagged_where_the_repository_is_of_this_account_and_region() -> None:
    simulation, v1 = simulation_with(SIDECAR)
    protect_images(v1, simulation.ports)
    assert len(tags_of(simulation, f"{ECR}/macro-ai-express-api")) == 1
    assert tags_of(simulation, f"{ECR}/proxy") == [f"{ECR}/proxy:last-known-good-production-{'b' * 12}"]
    assert check_of(simulation).verdict is Verdict.PASS


@pytest.mark.parametrize(
    ("sidecar", "part"),
    [
        (f"210987654321.dkr.ecr.eu-west-1.amazonaws.com/proxy@{DIGEST}", "ECR of account 210987654321, eu-west-1"),
        (f"123456789012.dkr.ecr.us-east-1.amazonaws.com/proxy@{DIGEST}", "ECR of account 123456789012, us-east-1"),
        (f"public.ecr.aws/proxy/proxy@{DIGEST}", "proxy is not in ECR: its owner has to keep the image"),
        (f"{ECR}/proxy:v1", "proxy is named by its tag, which can move; name the image by digest"),
    ],
)
def test_an_image_that_this_product_may_not_tag_is_named_in_readiness_and_does_not_hinder_the_promotion(
    sidecar: str, part: str
) -> None:
    simulation, v1 = simulation_with(sidecar)
    protect_images(v1, simulation.ports)
    assert [tag for tag in simulation.images.tags if "proxy" in tag] == []
    check = check_of(simulation)
    assert check.verdict is Verdict.WARN
    assert part in check.reason


def test_a_repository_that_the_settings_do_not_name_is_named_in_readiness() -> None:
    simulation, v1 = simulation_with(SIDECAR)
    simulation.images.denied.add("proxy")
    simulation.images.tags.clear()
    protect_images(v1, simulation.ports)
    assert tags_of(simulation, f"{ECR}/proxy") == []
    assert "the repository of proxy can't be read; name it in `repository`" in check_of(simulation).reason


def test_a_missing_tag_is_found_with_the_way_to_set_the_tag_again() -> None:
    simulation, v1 = simulation_with(SIDECAR)
    protect_images(v1, simulation.ports)
    (tag,) = tags_of(simulation, f"{ECR}/proxy")
    del simulation.images.tags[tag]
    reason = check_of(simulation).reason
    assert "proxy has no tag last-known-good-production-bbbbbbbbbbbb; `rollback promote production" in reason
    promote_by_operator(SERVICE, "v1", "ada", simulation.ports)
    assert check_of(simulation).verdict is Verdict.PASS


def test_a_repository_that_may_be_read_and_not_tagged_does_not_hinder_the_promotion() -> None:
    simulation, v1 = simulation_with(SIDECAR)
    simulation.images.tags.clear()

    def refuse(*_: Any) -> None:
        raise access_denied_error("PutImage")

    simulation.images.add_tag = refuse  # type: ignore[method-assign, assignment]
    protect_images(v1, simulation.ports)
    assert check_of(simulation).verdict is Verdict.WARN


def test_an_image_that_ecr_does_not_have_is_not_promoted() -> None:
    simulation, v1 = simulation_with(SIDECAR)
    simulation.images.missing.add(SIDECAR)

    def refuse(*_: Any) -> None:
        raise CallRefused("ECR does not have it", action="ecr:BatchGetImage", kind=RefusalKind.NOT_FOUND)

    simulation.images.add_tag = refuse  # type: ignore[method-assign, assignment]
    with pytest.raises(CallRefused, match="does not have"):
        protect_images(v1, simulation.ports)
