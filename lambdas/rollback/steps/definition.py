"""A registered, ACTIVE definition of a release, by digest: the one at hand, else registered from the ledger's copy."""

from rollback.model.errors import UnreadableItem
from rollback.model.names import family_of, last_known_good_family, original_family, rollback_family
from rollback.model.release import Release, fingerprint
from rollback.model.standing_plan import StandingPlan
from rollback.steps.ports import World
from rollback.steps.running import registered_for


def standing_plan(service_name: str, world: World) -> StandingPlan | None:
    """The standing plan; None: there is none, or it can't be read. That one is set aside and computed anew."""
    try:
        return world.ledger.standing_plan(service_name)
    except UnreadableItem as unreadable:
        world.ledger.set_aside(unreadable, world.clock.now())
        return None


def registered_definition(
    release: Release, world: World, *, is_last_known_good: bool, newest_of_family: bool = False
) -> str:
    """ARN to deploy. Looks before it registers, so that a retry finds what the crashed call made.

    Args:
        newest_of_family: what is at hand is not enough, it must be what the family's name alone means (decision 2).

    Raises:
        KeyError: the ledger has no copy of the definition.
    """
    found = at_hand(release, world) if not newest_of_family else None
    if found is not None:
        return found
    family = original_family(family_of(release.definition_arn))
    name_of = last_known_good_family if is_last_known_good else rollback_family
    ours = name_of(family, world.settings.environment, release.service)
    newest = world.services.definition(ours)
    if newest is not None and _is_usable(str(newest["taskDefinitionArn"]), release, world):
        return str(newest["taskDefinitionArn"])
    return world.services.register(world.ledger.definition(release.definition_sha256), ours, release.fingerprint)


def at_hand(release: Release, world: World) -> str | None:
    """ARN of the definition that the standing plan has registered for the release; None: none that ECS takes."""
    plan = standing_plan(release.service, world)
    registered = plan.definition_of(release.fingerprint) if plan is not None else None
    return registered if registered is not None and _is_usable(registered, release, world) else None


def _is_usable(definition_arn: str, release: Release, world: World) -> bool:
    """ACTIVE (ECS refuses INACTIVE ones), and exactly this release with every image by digest."""
    raw = world.services.definition(definition_arn)
    if raw is None or raw.get("status") != "ACTIVE":
        return False
    if any("@sha256:" not in container["image"] for container in raw["containerDefinitions"]):
        return False
    return (registered_for(raw) or fingerprint(raw, {})) == release.fingerprint
