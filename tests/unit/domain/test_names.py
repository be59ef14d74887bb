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
def test_services_and_environments_that_share_a_family_have_different_rollback_families(family_of: object) -> None:
    assert callable(family_of)
    owners = [("production", "api"), ("production", "worker"), ("staging", "api")]
    families = {family_of(FAMILY, environment, service) for environment, service in owners}
    assert len(families) == 3
    assert {original_family(family) for family in families} == {FAMILY}
    assert all(is_rollback_family_name(family) for family in families)


@pytest.mark.parametrize("suffix", ["last-known-good", "rollback"])
def test_a_family_that_a_former_version_registered_counts_as_a_rollback_family(suffix: str) -> None:
    assert original_family(f"{FAMILY}-{suffix}") == FAMILY


@pytest.mark.parametrize("family", [FAMILY, "orders-rolled-back", "rolled-back", "last-known-good"])
def test_a_family_name_that_a_team_may_choose_counts_as_the_teams_family(family: str) -> None:
    assert not is_rollback_family_name(family)
    assert original_family(family) == family


def test_another_service_of_the_same_family_does_not_overwrite_the_targets_definition() -> None:
    simulation = Simulation()
    simulation.ship("v1", PROMOTED, hours_ago=48)
    prepare_standing_plan(SERVICE, simulation.ports)
    other_family = last_known_good_family(FAMILY, "production", "worker")
    simulation.services.register(definition("v9"), other_family, "f" * 64)
    target_definition = simulation.services.definition(last_known_good_family(FAMILY, "production", SERVICE))
    assert target_definition is not None
    assert target_definition["taskDefinitionArn"] == simulation.ledger.standing_plan(SERVICE).targets[0].definition_arn  # type: ignore[union-attr]


def test_leaf_alarms_are_numbered_from_the_second_on() -> None:
    assert leaf_alarm("shop-production", "api", "latency") == "shop-production-api-latency"
    assert leaf_alarms("shop-production", "api", ("latency",))[:2] == (
        "shop-production-api-latency",
        "shop-production-api-latency-2",
    )
