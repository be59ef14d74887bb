"""Which release a service runs, told from ECS and known to the ledger afterwards."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from rollback.model.commit_source import Source, cleaned
from rollback.model.errors import OutsideFailure, UnreadableItem
from rollback.model.names import RELEASE_TAG, is_ours
from rollback.model.release import UNRESOLVED, Release, fingerprint, normalised_definition, sha256_of
from rollback.model.service_view import ServiceView
from rollback.model.settings import ServiceSettings
from rollback.model.text import recorded_name
from rollback.steps.ports import World


@dataclass(frozen=True)
class Identified:
    """A release and its normalised definition, whether or not the ledger knows it yet."""

    release: Release
    definition: dict[str, Any]


def fingerprint_of(definition_arn: str, view: ServiceView, world: World) -> str:
    """Fingerprint of a registered definition, images as ECS resolved them; of our own, what it was made for."""
    raw, images = _resolved(definition_arn, view, world)
    return registered_for(raw) or fingerprint(raw, images)


def registered_for(raw: Mapping[str, Any]) -> str | None:
    """The release that we registered a definition for; None: a deployment's."""
    if not is_ours(str(raw["family"])):
        return None
    return next((str(tag["value"]) for tag in raw.get("tags", ()) if tag["key"] == RELEASE_TAG), None)


def identify(
    definition_arn: str, deployed_at: datetime, view: ServiceView, service: ServiceSettings, world: World
) -> Identified:
    """The release behind a definition: as the ledger has it, else made anew (and not yet recorded).

    Raises:
        OutsideFailure: the definition is gone.
    """
    found = describe(definition_arn, deployed_at, view, service, world)
    known = world.ledger.release(service.name, found.release.fingerprint)
    if known is None:
        return _with_label(found, service, world)
    try:
        return Identified(known, world.ledger.definition(known.definition_sha256))
    except (KeyError, UnreadableItem):
        return Identified(known, found.definition)


def release_behind(
    definition_arn: str, deployed_at: datetime, view: ServiceView, service: ServiceSettings, world: World
) -> Release:
    """The release behind a definition: as the ledger has it, else as ECS describes it.

    The registry is not asked for a label: only a step that records the release needs it.

    Raises:
        OutsideFailure: the definition is gone.
    """
    found = describe(definition_arn, deployed_at, view, service, world).release
    return world.ledger.release(service.name, found.fingerprint) or found


def _with_label(found: Identified, service: ServiceSettings, world: World) -> Identified:
    """With the commit that a label of the image tells. The registry is asked only here, where no emergency waits."""
    source, image = service.commit_source, _own_image(found.release.images, service)
    if source.kind is not Source.LABEL or image is None:
        return found
    try:
        commit = cleaned(world.images.label(image, source.name))
    except OutsideFailure:
        return found  # not known: no reason not to record the release
    return Identified(found.release.model_copy(update={"commit": commit}), found.definition)


def _own_image(images: Mapping[str, str], service: ServiceSettings) -> str | None:
    return images.get(service.container) or next(iter(images.values()), None)


def describe(
    definition_arn: str, deployed_at: datetime, view: ServiceView, service: ServiceSettings, world: World
) -> Identified:
    """The release behind a definition as ECS tells it, without a look into the ledger.

    An image whose digest nobody can tell is marked so: such a release can be left (a tag that does not exist is the
    commonest bad deployment), but never gone back to.

    Raises:
        OutsideFailure: the definition is gone.
    """
    raw, images = _resolved(definition_arn, view, world)
    definition = normalised_definition(raw, images)
    mark = registered_for(raw) or sha256_of(definition)
    version, commit = _version(raw, images, service)
    release = Release(
        service=service.name,
        version=version,
        fingerprint=mark,
        commit=commit,
        definition_arn=definition_arn,
        definition_sha256=sha256_of(definition),
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
            images[name] = _digest_of(image, world) or f"{image}{UNRESOLVED}"
    return dict(raw), images


def _digest_of(image: str, world: World) -> str | None:
    try:
        return world.images.digest_of(image)
    except OutsideFailure:
        return None  # the registry is down: no reason not to leave what runs


def _version(raw: dict[str, Any], images: dict[str, str], service: ServiceSettings) -> tuple[str, str | None]:
    """Version and commit: APP_VERSION, else the image's tag, else 12 digits of its digest; the commit as it is set."""
    containers = {c["name"]: c for c in raw["containerDefinitions"]}
    named = containers.get(service.container) or raw["containerDefinitions"][0]
    image = named["image"].split("@")[0]
    tag = image.rsplit("/", 1)[-1].partition(":")[2]
    environment = {e["name"]: e["value"] for e in named.get("environment", ())}
    digest = images.get(named["name"], named["image"]).rpartition("sha256:")[2][:12]
    version = environment.get("APP_VERSION", "").strip() or tag or digest
    return recorded_name(version), service.commit_source.told_by(environment, tag)
