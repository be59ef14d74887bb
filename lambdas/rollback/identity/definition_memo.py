"""Read each registered task definition once per invocation.

A revision's contents are immutable (ECS Developer Guide, "Amazon ECS task definitions"), and every identity is computed
from them: of PRIMARY, of a deployment in flight, of the target.
"""

import re
from collections.abc import Mapping
from dataclasses import replace
from typing import Any, cast

from rollback.ports.ecs import Services
from rollback.ports.world import World

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
