"""A release: what a service ran at one time, and the evidence for or against it."""

import hashlib
import json
from collections.abc import Iterable, Mapping
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Any

from pydantic import AwareDatetime, BaseModel, ConfigDict, Field

from rollback.model.text import StoredText


class ReleaseState(StrEnum):
    """Where the evidence stands."""

    CANDIDATE = "candidate"
    PROMOTED = "promoted"
    SUSPECT = "suspect"  # a rollback left it
    QUARANTINED = "quarantined"  # a rollback left it, and things were better afterwards


class Release(BaseModel):
    """What a service ran at one time. `definition_sha256` is the key of the stored task definition in the ledger."""

    model_config = ConfigDict(frozen=True, extra="allow")  # a newer version's fields are kept

    service: str
    version: str
    fingerprint: str = Field(pattern="^[0-9a-f]{64}$")
    commit: str | None = None
    definition_arn: str
    definition_sha256: str = Field(pattern="^[0-9a-f]{64}$")
    images: dict[str, str] = Field(description="container name → image by digest")
    desired_count: int = Field(ge=0)
    deployment_configuration: dict[str, Any] = Field(default_factory=dict)
    health_checks: dict[str, dict[str, Any]] = Field(
        default_factory=dict, description="target group ARN → its health check when the release was recorded"
    )
    schema_sha256: str | None = Field(
        default=None, pattern="^[0-9a-f]{64}$", description="key of its stored `ReleaseSchema`; None: not recorded"
    )
    first_deployed_at: AwareDatetime
    state: ReleaseState = ReleaseState.CANDIDATE
    state_since: AwareDatetime
    state_reason: StoredText = ""

    @property
    def is_resolved(self) -> bool:
        """Whether every image is known by digest: only then can one go back to it."""
        return not any(image.endswith(UNRESOLVED) for image in self.images.values())

    def is_proven_and_old(self, now: datetime, correlation_window_minutes: float) -> bool:
        """Rule 7: promoted, and deployed too long ago to be the cause of an alarm now."""
        old = now - self.first_deployed_at > timedelta(minutes=correlation_window_minutes)
        return self.state is ReleaseState.PROMOTED and old


UNRESOLVED = "@unresolved"  # in the place of a digest that nobody can tell: such a release is left, never a target

# What ECS adds when it registers a definition, and the names it files it under: not part of what runs.
_NOT_IDENTITY = frozenset(
    {
        "taskDefinitionArn",
        "family",
        "revision",
        "status",
        "registeredAt",
        "registeredBy",
        "deregisteredAt",
        "requiresAttributes",
        "compatibilities",
        "tags",
    }
)


# Members of a container that are sets of named things: ECS gives them in any order.
_UNORDERED = ("environment", "secrets")


def normalised_definition(definition: Mapping[str, Any], images: Mapping[str, str]) -> dict[str, Any]:
    """The definition without what ECS adds, containers and variables by name, empty members dropped, images by digest.

    Args:
        definition: `taskDefinition` as DescribeTaskDefinition gives it.
        images: container name → image by digest, as ECS resolved it (DescribeServiceRevisions.containerImages).

    Raises:
        ValueError: a container's image is not known by digest; a tag may point at another image tomorrow. What only
            has to be left, and never gone back to, may be marked `UNRESOLVED` instead.
    """
    kept = {key: value for key, value in definition.items() if key not in _NOT_IDENTITY}
    containers = []
    for container in sorted(kept.get("containerDefinitions", ()), key=lambda c: str(c["name"])):
        image = images.get(container["name"], container["image"])
        if "@sha256:" not in image and not image.endswith(UNRESOLVED):
            raise ValueError(f"container {container['name']!r}: image {image!r} is not known by digest")
        ordered = {m: sorted(container[m], key=lambda e: str(e["name"])) for m in _UNORDERED if container.get(m)}
        containers.append({**container, **ordered, "image": image})
    pruned = _without_empty({**kept, "containerDefinitions": containers})
    assert isinstance(pruned, dict)  # noqa: S101 - a mapping stays a mapping
    return pruned


def fingerprint(definition: Mapping[str, Any], images: Mapping[str, str]) -> str:
    """Identity of a release (hex sha256): equal for every registration of the same definition with the same images."""
    return sha256_of(normalised_definition(definition, images))


def sha256_of(value: Mapping[str, Any]) -> str:
    """Hex sha256 of canonical JSON (sorted keys, no blanks)."""
    return hashlib.sha256(json.dumps(value, sort_keys=True, separators=(",", ":"), default=str).encode()).hexdigest()


def _without_empty(value: Any) -> Any:
    if isinstance(value, Mapping):
        pruned = {key: _without_empty(item) for key, item in value.items()}
        return {key: item for key, item in pruned.items() if item not in (None, [], {})}
    if isinstance(value, list | tuple):
        return [_without_empty(item) for item in value]
    return value


def last_known_good(releases: Iterable[Release], running_fingerprint: str | None) -> Release | None:
    """Rule 7: the newest promoted, unquarantined release whose fingerprint differs from the running one."""
    promoted = [r for r in releases if r.state is ReleaseState.PROMOTED and r.is_resolved]
    good = [r for r in promoted if r.fingerprint != running_fingerprint]
    return max(good, key=lambda r: (r.first_deployed_at, r.fingerprint), default=None)
