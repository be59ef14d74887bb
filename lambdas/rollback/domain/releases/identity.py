"""Identity of what runs, held against the releases that the ledger has: those of ledgers written before included."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from rollback.canonical_json import sha256_of
from rollback.domain.releases.release import Release, fingerprint
from rollback.resources.aws.task_definition import UNRESOLVED, is_pinned

# Until fingerprints came from an allow-list they were the hash of ECS's answer without these.
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
    """What a deployment runs.

    Attributes:
        fingerprint: the release that it is, or would be recorded as.
        former: fingerprint of the same in ledgers written before (`former_fingerprint`).
        definition_arn: immutable: whatever ECS's answer says of it tomorrow, it is the same definition.
        images: container → image, by digest where it is known.
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
        """Whether it is this release: by fingerprint, or as the same registered definition with the same images."""
        if release.fingerprint in self.identifiers:
            return True
        return release.definition_arn == self.definition_arn and same_images(release.images, self.images)


def identity(definition: Mapping[str, Any], images: Mapping[str, str], registered_for: str | None = None) -> Identity:
    """Identity of a described definition with these images.

    Args:
        registered_for: fingerprint of the release that we registered it for; None: a deployment's.
    """
    resolved = {one["name"]: images.get(one["name"], one["image"]) for one in definition["containerDefinitions"]}
    return Identity(
        fingerprint=registered_for or fingerprint(definition, images),
        former=registered_for or former_fingerprint(definition, images),
        definition_arn=str(definition["taskDefinitionArn"]),
        images=resolved,
    )


def known(identity: Identity, releases: Iterable[Release]) -> Release | None:
    """The first of the releases that it is."""
    return next((release for release in releases if identity.is_release(release)), None)


def same_images(one: Mapping[str, str], other: Mapping[str, str]) -> bool:
    """Whether two looks at one definition are of the same images.

    The digest of a container beside the service's own says nothing where one of them could not tell it. The service's
    own has to be known.
    """
    if any(image.endswith(UNRESOLVED) for image in (*one.values(), *other.values())):
        return False
    both = [name for name in one.keys() & other.keys() if is_pinned(one[name]) and is_pinned(other[name])]
    return bool(both) and one.keys() == other.keys() and all(one[name] == other[name] for name in both)


def former_fingerprint(definition: Mapping[str, Any], images: Mapping[str, str]) -> str:
    """The fingerprint that ledgers have which were written before the normal form had an allow-list."""
    kept = {key: value for key, value in definition.items() if key not in _FORMERLY_LEFT_OUT}
    containers = []
    for container in sorted(kept.get("containerDefinitions", ()), key=lambda c: str(c["name"])):
        image = images.get(container["name"], container["image"])
        ordered = {
            member: sorted(container[member], key=lambda e: str(e["name"]))
            for member in _FORMERLY_UNORDERED
            if container.get(member)
        }
        containers.append({**container, **ordered, "image": image})
    pruned = _without_empty({**kept, "containerDefinitions": containers})
    assert isinstance(pruned, dict)  # noqa: S101 - a mapping stays a mapping
    return sha256_of(pruned)


def _without_empty(value: Any) -> Any:
    if isinstance(value, Mapping):
        pruned = {key: _without_empty(item) for key, item in value.items()}
        return {key: item for key, item in pruned.items() if item not in (None, [], {})}
    if isinstance(value, list | tuple):
        return [_without_empty(item) for item in value]
    return value
