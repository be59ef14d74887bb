"""A registered, ACTIVE task definition of a release with images by digest: an existing one, else a new registration."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any, cast

from rollback.domain.releases.identity import build_identity
from rollback.domain.releases.release import Release
from rollback.domain.standing_plan import StandingPlan
from rollback.errors import UnreadableItem
from rollback.identity.identify import is_registered_by_rollback, registered_for
from rollback.identity.ports import DefinitionPorts, StandingPlanPorts
from rollback.names import RELEASE_TAG, family_of, last_known_good_family, original_family, rollback_family
from rollback.ports.all_ports import AllPorts
from rollback.ports.aws.ecs import Services
from rollback.ports.holders import HasServices
from rollback.resources.aws.task_definition import is_pinned


def read_standing_plan(service_name: str, ports: StandingPlanPorts) -> StandingPlan | None:
    """Read the standing plan; None: there is none, or it can't be read, and is then recorded for an operator."""
    try:
        return ports.ledger.standing_plan(service_name)
    except UnreadableItem as unreadable:
        ports.ledger.record_unreadable(unreadable, ports.clock.now())
        return None


def ensure_registered_definition(
    release: Release, ports: DefinitionPorts, *, is_last_known_good: bool, newest_of_family: bool = False
) -> str:
    """Return the ARN to deploy. A retry after a crash finds the definition that the earlier call registered.

    Args:
        release: the release.
        ports: access to AWS, Neon and the ledger.
        is_last_known_good: whether to register it in the family of the last known good.
        newest_of_family: whether it has to be the newest revision of that family, which the family's name alone means
            (decision 2).

    Returns:
        ARN of an ACTIVE definition.

    Raises:
        KeyError: the ledger has no copy of the definition.
    """
    definition_arn = find_registered_definition(release, ports) if not newest_of_family else None
    if definition_arn is not None:
        return definition_arn
    family = team_family(release.definition_arn, ports)
    name_of = last_known_good_family if is_last_known_good else rollback_family
    family_name = name_of(family, ports.settings.environment, release.service)
    newest = ports.services.definition(family_name)
    if newest is not None and _is_usable(str(newest["taskDefinitionArn"]), release, ports):
        return str(newest["taskDefinitionArn"])
    definition = ports.ledger.definition(release.definition_sha256)
    return ports.services.register(definition, family_name, release.fingerprint, _team_tags(release, ports))


def team_family(definition_arn: str, ports: HasServices) -> str:
    """Family that the team registers in: the definition's own, unless a rollback registered the definition."""
    family = family_of(definition_arn)
    return original_family(family) if is_registered_by_rollback(definition_arn, ports) else family


def _team_tags(release: Release, ports: HasServices) -> dict[str, str]:
    """Tags of the team's definition: if a policy demands tags, ECS refuses a registration without them.

    Reserved tags and our own are left out. A deleted definition has no tags.
    """
    definition = ports.services.definition(release.definition_arn)
    tags = {str(tag["key"]): str(tag.get("value", "")) for tag in (definition or {}).get("tags", ())}
    return {key: value for key, value in tags.items() if not key.lower().startswith("aws:") and key != RELEASE_TAG}


def find_registered_definition(release: Release, ports: DefinitionPorts) -> str | None:
    """ARN of the standing plan's definition of a release; None: there is none that ECS would deploy."""
    plan = read_standing_plan(release.service, ports)
    definition_arn = plan.definition_of(release.fingerprint) if plan is not None else None
    return definition_arn if definition_arn is not None and _is_usable(definition_arn, release, ports) else None


def _is_usable(definition_arn: str, release: Release, ports: HasServices) -> bool:
    """Whether a definition is ACTIVE (ECS refuses INACTIVE ones), and is this release with its images by digest."""
    raw = ports.services.definition(definition_arn)
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


def with_definition_memo(ports: AllPorts) -> AllPorts:
    """Return the ports for one invocation; ports that were made for the invocation already are returned as they are."""
    if isinstance(ports.services, DefinitionMemo):
        return ports
    return replace(ports, services=cast(Services, DefinitionMemo(ports.services)))
