"""Which release a service runs, told from ECS and known to the ledger afterwards."""

from dataclasses import dataclass
from datetime import datetime
from typing import Any

from rollback.model.errors import OutsideFailure
from rollback.model.release import Release, fingerprint, normalised_definition, sha256_of
from rollback.model.service_view import ServiceView
from rollback.model.settings import ServiceSettings
from rollback.steps.ports import World


@dataclass(frozen=True)
class Identified:
    """A release and its normalised definition, whether or not the ledger knows it yet."""

    release: Release
    definition: dict[str, Any]


def fingerprint_of(definition_arn: str, view: ServiceView, world: World) -> str:
    """Fingerprint of a registered definition, its images as ECS resolved them."""
    raw, images = _resolved(definition_arn, view, world)
    return fingerprint(raw, images)


def identify(
    definition_arn: str, deployed_at: datetime, view: ServiceView, service: ServiceSettings, world: World
) -> Identified:
    """The release behind a definition: as the ledger has it, else made anew (and not yet recorded).

    Raises:
        OutsideFailure: the definition is gone, or an image's digest can't be told.
    """
    raw, images = _resolved(definition_arn, view, world)
    definition = normalised_definition(raw, images)
    mark = sha256_of(definition)
    for known in world.ledger.releases(service.name):
        if known.fingerprint == mark:
            return Identified(known, definition)
    version, commit = _version(raw, images, service.container)
    release = Release(
        service=service.name,
        version=version,
        fingerprint=mark,
        commit=commit,
        definition_arn=definition_arn,
        definition_sha256=mark,
        images={c["name"]: c["image"] for c in definition["containerDefinitions"]},
        desired_count=view.desired_count,
        deployment_configuration=dict(view.deployment_configuration),
        first_deployed_at=deployed_at,
        state_since=deployed_at,
    )
    return Identified(release, definition)


def _resolved(definition_arn: str, view: ServiceView, world: World) -> tuple[dict[str, Any], dict[str, str]]:
    raw = world.services.definition(definition_arn)
    if raw is None:
        raise OutsideFailure(f"ECS no longer describes {definition_arn}: what it runs can't be told")
    images = dict(view.images.get(definition_arn, {}))
    for container in raw["containerDefinitions"]:
        name, image = container["name"], container["image"]
        if name not in images and "@sha256:" not in image:
            digest = world.images.digest_of(image)
            if digest is None:
                raise OutsideFailure(
                    f"the digest of {image} (container {name}) can't be told; push it to ECR, or pin it"
                )
            images[name] = digest
    return dict(raw), images


def _version(raw: dict[str, Any], images: dict[str, str], container: str) -> tuple[str, str | None]:
    """Version and commit: the image's tag, else 12 digits of its digest; the commit from the container's GIT_COMMIT."""
    containers = {c["name"]: c for c in raw["containerDefinitions"]}
    named = containers.get(container) or raw["containerDefinitions"][0]
    image = named["image"].split("@")[0]
    tag = image.rsplit("/", 1)[-1].partition(":")[2]
    environment = {e["name"]: e["value"] for e in named.get("environment", ())}
    digest = images.get(named["name"], named["image"]).rpartition("sha256:")[2][:12]
    return environment.get("APP_VERSION") or tag or digest, environment.get("GIT_COMMIT")
