"""A release, and the evidence for or against it."""

from collections.abc import Iterable, Mapping
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Any

from pydantic import AwareDatetime, BaseModel, ConfigDict, Field

from rollback.canonical_json import sha256_of
from rollback.domain.releases.log_baseline import LogBaseline
from rollback.resources.aws.task_definition import UNRESOLVED, is_pinned, normal_form, with_images
from rollback.text import StoredText


class ReleaseState(StrEnum):
    """State of a release by its evidence."""

    CANDIDATE = "candidate"
    PROMOTED = "promoted"
    SUSPECT = "suspect"  # a rollback replaced it
    QUARANTINED = "quarantined"  # a rollback replaced it, and the service recovered


class Release(BaseModel):
    """A task definition with its images that a service ran.

    Attributes:
        definition_sha256: key of the stored task definition in the ledger.
    """

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
    log_baseline: LogBaseline | None = Field(
        default=None,
        description="error lines while it baked; None: not recorded",
        exclude_if=lambda value: value is None,
    )
    first_deployed_at: AwareDatetime
    state: ReleaseState = ReleaseState.CANDIDATE
    state_since: AwareDatetime
    state_reason: StoredText = ""

    @property
    def is_resolved(self) -> bool:
        """Whether the service's own image is known by digest, which a rollback to the release requires."""
        return not self.unresolved

    @property
    def unresolved(self) -> tuple[str, ...]:
        """Containers whose digest is required and not known."""
        return tuple(sorted(name for name, image in self.images.items() if image.endswith(UNRESOLVED)))

    @property
    def pinned_by_reference(self) -> tuple[str, ...]:
        """Sidecars whose digest is not known: a rollback runs the image that their tag names then."""
        images = self.images.items()
        return tuple(sorted(n for n, image in images if not is_pinned(image) and not image.endswith(UNRESOLVED)))

    def is_promoted_after(self, triggered_at: datetime | None) -> bool:
        """Whether it was promoted after a trigger. Such a promotion does not contradict the trigger."""
        return self.state is ReleaseState.PROMOTED and triggered_at is not None and self.state_since > triggered_at

    def is_proven_and_old(
        self, now: datetime, correlation_window_minutes: float, triggered_at: datetime | None = None
    ) -> bool:
        """Whether the release can't be the cause (rule 7): promoted, and deployed before the correlation window.

        Args:
            now: the present time.
            correlation_window_minutes: the window, as the policy has it.
            triggered_at: time of the trigger, before which the release must have been promoted; None: no event is the
                trigger.
        """
        is_old = now - self.first_deployed_at > timedelta(minutes=correlation_window_minutes)
        return self.state is ReleaseState.PROMOTED and is_old and not self.is_promoted_after(triggered_at)


# Members of ECS's answer that no request accepts (service model, TaskDefinition without RegisterTaskDefinition), and
# the family and revision. All other members of an answer are kept.
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
    """The definition in the form that is stored and can be registered again, images by digest.

    Members that this code does not know are kept.

    Args:
        definition: `taskDefinition` as DescribeTaskDefinition returns it.
        images: container name → image, as ECS resolved it; other containers keep their image.
    """
    members = {name: value for name, value in definition.items() if name not in _RESPONSE_ONLY_FIELDS}
    return {**members, "containerDefinitions": with_images(definition, images)}


def fingerprint(definition: Mapping[str, Any], images: Mapping[str, str]) -> str:
    """Identity of a release (hex sha256): equal for every registration of the same definition with the same images."""
    return sha256_of(normal_form(definition, images))


def last_known_good(releases: Iterable[Release], running_fingerprint: str | None) -> Release | None:
    """Find the target of rule 7: the newest promoted release whose fingerprint differs from the running one."""
    promoted = [r for r in releases if r.state is ReleaseState.PROMOTED and r.is_resolved]
    good = [r for r in promoted if r.fingerprint != running_fingerprint]
    return max(good, key=lambda r: (r.first_deployed_at, r.fingerprint), default=None)
