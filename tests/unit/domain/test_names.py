"""Names: two resources never share one."""

import pytest
from simulations.service import FAMILY, PROMOTED, Simulation
from support.builders import SERVICE, definition

from rollback.names import (
    is_rollback_family_name,
    last_known_good_family,
    leaf_alarm,
    leaf_alarms,
    original_family,
    rollback_family,
)
from rollback.promotion.readiness import prepare_standing_plan


@pytest.mark.parametrize("family_of", [last_known_good_family, rollback_family])
def test_services_and_environments_that_share_a_family_have_families_of_their_own(family_of: object) -> None:
    assert callable(family_of)
    owners = [("production", "api"), ("production", "worker"), ("staging", "api")]
    made = {family_of(FAMILY, environment, service) for environment, service in owners}
    assert len(made) == 3
    assert {original_family(family) for family in made} == {FAMILY}
    assert all(is_rollback_family_name(family) for family in made)


@pytest.mark.parametrize("suffix", ["last-known-good", "rollback"])
def test_a_family_that_a_former_version_registered_counts_as_ours(suffix: str) -> None:
    assert original_family(f"{FAMILY}-{suffix}") == FAMILY


@pytest.mark.parametrize("family", [FAMILY, "orders-rolled-back", "rolled-back", "last-known-good"])
def test_a_familys_name_that_a_team_may_choose_counts_as_the_teams(family: str) -> None:
    assert not is_rollback_family_name(family)
    assert original_family(family) == family


def test_another_service_of_the_same_family_does_not_overwrite_the_targets_definition() -> None:
    simulation = Simulation()
    simulation.ship("v1", PROMOTED, hours_ago=48)
    prepare_standing_plan(SERVICE, simulation.ports)
    other = last_known_good_family(FAMILY, "production", "worker")
    simulation.services.register(definition("v9"), other, "f" * 64)
    mine = simulation.services.definition(last_known_good_family(FAMILY, "production", SERVICE))
    assert mine is not None
    assert mine["taskDefinitionArn"] == simulation.ledger.standing_plan(SERVICE).targets[0].definition_arn  # type: ignore[union-attr]


def test_leaf_alarms_are_numbered_from_the_second_on() -> None:
    assert leaf_alarm("shop-production", "api", "latency") == "shop-production-api-latency"
    assert leaf_alarms("shop-production", "api", ("latency",))[:2] == (
        "shop-production-api-latency",
        "shop-production-api-latency-2",
    )
