"""A registered, ACTIVE task definition of a release with images by digest: an existing one, else a new registration."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any, cast

from rollback.domain.releases.identity import build_identity
from rollback.domain.releases.release import Release
from rollback.domain.standing_plan import StandingPlan
from rollback.errors import UnreadableItem
from rollback.identity.identify import is_ours, registered_for
from rollback.identity.ports import DefinitionPorts, StandingPlanPorts
from rollback.names import RELEASE_TAG, family_of, last_known_good_family, original_family, rollback_family
from rollback.ports.ecs import Services
from rollback.ports.holders import HasServices
from rollback.ports.world import World
from rollback.resources.aws.task_definition import is_pinned


def standing_plan(service_name: str, world: StandingPlanPorts) -> StandingPlan | None:
    """Read the standing plan; None: there is none, or it can't be read, and is then recorded for an operator."""
    try:
        return world.ledger.standing_plan(service_name)
    except UnreadableItem as unreadable:
        world.ledger.record_unreadable(unreadable, world.clock.now())
        return None


def ensure_registered_definition(
    release: Release, world: DefinitionPorts, *, is_last_known_good: bool, newest_of_family: bool = False
) -> str:
    """Return the ARN to deploy. A retry after a crash finds the definition that the earlier call registered.

    Args:
        release: the release.
        world: the ports.
        is_last_known_good: whether to register it in the family of the last known good.
        newest_of_family: whether it has to be the newest revision of that family, which the family's name alone means
            (decision 2).

    Returns:
        ARN of an ACTIVE definition.

    Raises:
        KeyError: the ledger has no copy of the definition.
    """
    registered = find_registered_definition(release, world) if not newest_of_family else None
    if registered is not None:
        return registered
    family = team_family(release.definition_arn, world)
    name_of = last_known_good_family if is_last_known_good else rollback_family
    ours = name_of(family, world.settings.environment, release.service)
    newest = world.services.definition(ours)
    if newest is not None and _is_usable(str(newest["taskDefinitionArn"]), release, world):
        return str(newest["taskDefinitionArn"])
    definition = world.ledger.definition(release.definition_sha256)
    return world.services.register(definition, ours, release.fingerprint, _team_tags(release, world))


def team_family(definition_arn: str, world: HasServices) -> str:
    """Family that the team registers in: the definition's own, unless a rollback registered the definition."""
    family = family_of(definition_arn)
    return original_family(family) if is_ours(definition_arn, world) else family


def _team_tags(release: Release, world: HasServices) -> dict[str, str]:
    """Tags of the team's definition: if a policy demands tags, ECS refuses a registration without them.

    Reserved tags and our own are left out. A deleted definition has no tags.
    """
    raw = world.services.definition(release.definition_arn)
    tags = {str(tag["key"]): str(tag.get("value", "")) for tag in (raw or {}).get("tags", ())}
    return {key: value for key, value in tags.items() if not key.lower().startswith("aws:") and key != RELEASE_TAG}


def find_registered_definition(release: Release, world: DefinitionPorts) -> str | None:
    """ARN of the standing plan's definition of a release; None: there is none that ECS would deploy."""
    plan = standing_plan(release.service, world)
    registered = plan.definition_of(release.fingerprint) if plan is not None else None
    return registered if registered is not None and _is_usable(registered, release, world) else None


def _is_usable(definition_arn: str, release: Release, world: HasServices) -> bool:
    """Whether a definition is ACTIVE (ECS refuses INACTIVE ones), and is this release with its images by digest."""
    raw = world.services.definition(definition_arn)
    if raw is None or raw.get("status") != "ACTIVE":
        return False
    if any(not is_pinned(c["image"]) and c["name"] not in release.pinned_by_reference for c in _containers(raw)):
        return False
    return release.fingerprint in build_identity(raw, {}, registered_for(raw)).identifiers


def _containers(raw: Mapping[str, Any]) -> Sequence[Mapping[str, Any]]:
    containers: Sequence[Mapping[str, Any]] = raw["containerDefinitions"]
    return containers


_REVISION = re.compile(r"arn:.+:task-definition/[^:]+:\d+")


class DefinitionMemo:
    """Services that remember the definitions they have read by ARN of a revision.

    A family is asked for each time, since its newest revision changes; so is a revision that was not found. ACTIVE may
    become INACTIVE during the invocation: `UpdateService` then fails, as it would right after a second read.
    """

    def __init__(self, services: Services) -> None:
        self._services = services
        self._definitions: dict[str, Mapping[str, Any]] = {}

    def __getattr__(self, name: str) -> Any:
        return getattr(self._services, name)

    def definition(self, arn_or_family: str) -> Mapping[str, Any] | None:
        """See `Services.definition`."""
        if arn_or_family in self._definitions:
            return self._definitions[arn_or_family]
        definition = self._services.definition(arn_or_family)
        if definition is not None and _REVISION.fullmatch(arn_or_family):
            self._definitions[arn_or_family] = definition
        return definition


def with_definition_memo(world: World) -> World:
    """Return the ports for one invocation; ports that were made for the invocation already are returned as they are."""
    if isinstance(world.services, DefinitionMemo):
        return world
    return replace(world, services=cast(Services, DefinitionMemo(world.services)))
