"""Identity of a running deployment, and its comparison with the ledger's releases, also those of older ledgers."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from rollback.canonical_json import sha256_of
from rollback.domain.releases.release import Release, fingerprint
from rollback.resources.aws.task_definition import UNRESOLVED, is_pinned

# Before fingerprints came from an allow-list, they were the hash of ECS's answer without these members.
_FORMERLY_LEFT_OUT = frozenset(
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
_FORMERLY_UNORDERED = ("environment", "secrets")


@dataclass(frozen=True)
class Identity:
    """Identity of the release that a deployment runs.

    Attributes:
        fingerprint: fingerprint of the release that is recorded, or would be.
        former: fingerprint of the same release in older ledgers (`former_fingerprint`).
        definition_arn: ARN of the task definition, which never changes, whichever members ECS adds to its answer.
        images: container → image, by digest where the digest is known.
    """

    fingerprint: str
    former: str
    definition_arn: str
    images: Mapping[str, str]

    @property
    def identifiers(self) -> frozenset[str]:
        """Both fingerprints."""
        return frozenset({self.fingerprint, self.former})

    def is_release(self, release: Release) -> bool:
        """Whether the deployment runs this release: same fingerprint, or same definition and images."""
        if release.fingerprint in self.identifiers:
            return True
        return release.definition_arn == self.definition_arn and same_images(release.images, self.images)


def build_identity(
    definition: Mapping[str, Any], images: Mapping[str, str], registered_for: str | None = None
) -> Identity:
    """Build the identity of a task definition with these images.

    Args:
        definition: `taskDefinition` as DescribeTaskDefinition returns it.
        images: container → image, as ECS resolved it.
        registered_for: fingerprint of the release that we registered the definition for; None: the team registered it.
    """
    containers = definition["containerDefinitions"]
    resolved = {container["name"]: images.get(container["name"], container["image"]) for container in containers}
    return Identity(
        fingerprint=registered_for or fingerprint(definition, images),
        former=registered_for or former_fingerprint(definition, images),
        definition_arn=str(definition["taskDefinitionArn"]),
        images=resolved,
    )


def find_matching_release(identity: Identity, releases: Iterable[Release]) -> Release | None:
    """Find the first release that the deployment runs; None: no release matches."""
    return next((release for release in releases if identity.is_release(release)), None)


def same_images(images: Mapping[str, str], other_images: Mapping[str, str]) -> bool:
    """Whether two observations of one definition show the same images.

    A sidecar's digest counts only if both observations know it. The digest of the service's own image has to be known.
    """
    if any(image.endswith(UNRESOLVED) for image in (*images.values(), *other_images.values())):
        return False
    pinned_in_both = [
        name
        for name in images.keys() & other_images.keys()
        if is_pinned(images[name]) and is_pinned(other_images[name])
    ]
    return (
        bool(pinned_in_both)
        and images.keys() == other_images.keys()
        and all(images[name] == other_images[name] for name in pinned_in_both)
    )


def former_fingerprint(definition: Mapping[str, Any], images: Mapping[str, str]) -> str:
    """The fingerprint in ledgers from before the normal form had an allow-list."""
    members = {key: value for key, value in definition.items() if key not in _FORMERLY_LEFT_OUT}
    containers = []
    for container in sorted(members.get("containerDefinitions", ()), key=lambda c: str(c["name"])):
        image = images.get(container["name"], container["image"])
        ordered = {
            member: sorted(container[member], key=lambda e: str(e["name"]))
            for member in _FORMERLY_UNORDERED
            if container.get(member)
        }
        containers.append({**container, **ordered, "image": image})
    return sha256_of(_without_empty_members({**members, "containerDefinitions": containers}))


def _without_empty_members(members: Mapping[str, Any]) -> dict[str, Any]:
    pruned = {key: _without_empty(item) for key, item in members.items()}
    return {key: item for key, item in pruned.items() if item not in (None, [], {})}


def _without_empty(value: Any) -> Any:
    if isinstance(value, Mapping):
        return _without_empty_members(value)
    if isinstance(value, list | tuple):
        return [_without_empty(item) for item in value]
    return value
