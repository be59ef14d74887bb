"""A release: what a service ran at one time, and the evidence for or against it."""

from collections.abc import Iterable, Mapping
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Any

from pydantic import AwareDatetime, BaseModel, ConfigDict, Field

from rollback.canonical_json import sha256_of
from rollback.resources.aws.task_definition import UNRESOLVED, is_pinned, normal_form, with_images
from rollback.text import StoredText


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
    images: dict[str, str] = Field(description="container name → image by digest; else see `unresolved`")
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
        """Whether the service's own image is known by digest: only then can one go back to it."""
        return not self.unresolved

    @property
    def unresolved(self) -> tuple[str, ...]:
        """Containers whose digest could not be told, and has to be."""
        return tuple(sorted(name for name, image in self.images.items() if image.endswith(UNRESOLVED)))

    @property
    def pinned_by_reference(self) -> tuple[str, ...]:
        """Containers beside the service's own whose digest could not be told: they run what their tag names then."""
        images = self.images.items()
        return tuple(sorted(n for n, image in images if not is_pinned(image) and not image.endswith(UNRESOLVED)))

    def is_proven_and_old(self, now: datetime, correlation_window_minutes: float) -> bool:
        """Rule 7: promoted, and deployed too long ago to be the cause of an alarm now."""
        old = now - self.first_deployed_at > timedelta(minutes=correlation_window_minutes)
        return self.state is ReleaseState.PROMOTED and old


# Members of ECS's answer that no request takes (service model, TaskDefinition without RegisterTaskDefinition), and
# where a definition is filed. Whatever else an answer has is kept.
_RESPONSE_ONLY_FIELDS = frozenset(
    {
        "taskDefinitionArn",
        "family",
        "revision",
        "status",
        "requiresAttributes",
        "compatibilities",
        "registeredAt",
        "deregisteredAt",
        "deleteRequestedAt",
        "registeredBy",
        "tags",
    }
)


def normalised_definition(definition: Mapping[str, Any], images: Mapping[str, str]) -> dict[str, Any]:
    """The definition as it is stored and can be registered again, images by digest: with what this code does not know.

    Args:
        definition: `taskDefinition` as DescribeTaskDefinition gives it.
        images: container name → image, as ECS resolved it; a container that is not named keeps its own.
    """
    kept = {name: value for name, value in definition.items() if name not in _RESPONSE_ONLY_FIELDS}
    return {**kept, "containerDefinitions": with_images(definition, images)}


def fingerprint(definition: Mapping[str, Any], images: Mapping[str, str]) -> str:
    """Identity of a release (hex sha256): equal for every registration of the same definition with the same images."""
    return sha256_of(normal_form(definition, images))


def last_known_good(releases: Iterable[Release], running_fingerprint: str | None) -> Release | None:
    """Rule 7: the newest promoted, unquarantined release whose fingerprint differs from the running one."""
    promoted = [r for r in releases if r.state is ReleaseState.PROMOTED and r.is_resolved]
    good = [r for r in promoted if r.fingerprint != running_fingerprint]
    return max(good, key=lambda r: (r.first_deployed_at, r.fingerprint), default=None)
