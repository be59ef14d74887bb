"""Which release a service runs, told from ECS and known to the ledger afterwards."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from rollback.canonical_json import sha256_of
from rollback.domain.releases.identity import Identity, build_identity, find_matching_release
from rollback.domain.releases.release import Release, normalised_definition
from rollback.domain.settings.commit_source import Source, clean_commit
from rollback.domain.settings.environment import ServiceSettings
from rollback.errors import ExternalServiceError, RollbackError, UnreadableItem
from rollback.names import RELEASE_TAG, family_of, is_named_as_ours
from rollback.ports.world import World
from rollback.resources.aws.ecs_service import DeployedRevision, ServiceView
from rollback.resources.aws.task_definition import UNRESOLVED, is_pinned
from rollback.text import recorded_name


@dataclass(frozen=True)
class IdentifiedRelease:
    """A release and its complete definition, whether or not the ledger knows it yet."""

    release: Release
    definition: dict[str, Any]
    identity: Identity


def identify_deployment(
    deployed: DeployedRevision, view: ServiceView, service: ServiceSettings, world: World
) -> Identity:
    """Identity of what a deployment runs, images as ECS resolved them then; of our own, what it was made for.

    Raises:
        ExternalServiceError: the definition is gone.
    """
    raw, images = _resolve_images(deployed, view, service, world)
    return build_identity(raw, images, registered_for(raw))


def identify_running(view: ServiceView, service: ServiceSettings, world: World) -> Identity:
    """Identity of what PRIMARY runs.

    Raises:
        ExternalServiceError: the definition is gone.
    """
    return identify_deployment(view.primary.deployed, view, service, world)


def running_fingerprint(view: ServiceView, service: ServiceSettings, world: World) -> str:
    """The fingerprint by which the ledger knows what PRIMARY runs; its own, where the ledger does not.

    Raises:
        ExternalServiceError: the definition is gone, or ECS or the ledger do not answer.
    """
    seen = identify_running(view, service, world)
    release = find_known_release(service.name, seen, world)
    return release.fingerprint if release is not None else seen.fingerprint


def registered_for(raw: Mapping[str, Any]) -> str | None:
    """The release that we registered a definition for; None: a deployment's, whatever its family is called."""
    if not is_named_as_ours(str(raw["family"])):
        return None
    return next((str(tag["value"]) for tag in raw.get("tags", ()) if tag["key"] == RELEASE_TAG), None)


def is_ours(definition_arn: str, world: World) -> bool:
    """Whether a rollback registered a definition: it carries our tag, in a family of ours (rule 5).

    Raises:
        ExternalServiceError: ECS does not answer.
    """
    if not is_named_as_ours(family_of(definition_arn)):
        return False
    raw = world.services.definition(definition_arn)
    return raw is not None and registered_for(raw) is not None


def find_known_release(service_name: str, seen: Identity, world: World) -> Release | None:
    """The release in the ledger that is what was seen; None: the ledger does not have it.

    By fingerprint; else, for one recorded under a former fingerprint or by less evidence, by the digests of its images.

    Raises:
        UnreadableItem: its record is damaged.
    """
    found = world.ledger.release(service_name, seen.fingerprint)
    if found is not None:
        return found
    digests = sorted({image.rpartition("@")[2] for image in seen.images.values() if is_pinned(image)})
    for digest in digests:
        found = find_matching_release(seen, world.ledger.find(service_name, digest))
        if found is not None:
            return found
    return None


def identify_release(
    deployed: DeployedRevision, view: ServiceView, service: ServiceSettings, world: World
) -> IdentifiedRelease:
    """The release behind a deployment: as the ledger has it, else made anew (and not yet recorded).

    Raises:
        ExternalServiceError: the definition is gone.
    """
    found = build_release(deployed, view, service, world)
    known = find_known_release(service.name, found.identity, world)
    if known is None:
        return _add_commit_label(found, service, world)
    try:
        return IdentifiedRelease(known, world.ledger.definition(known.definition_sha256), found.identity)
    except (KeyError, UnreadableItem):  # the copy that is made anew may have members that the one before had not
        copied = known.model_copy(update={"definition_sha256": found.release.definition_sha256})
        return IdentifiedRelease(copied, found.definition, found.identity)


def find_or_build_release(
    deployed: DeployedRevision, view: ServiceView, service: ServiceSettings, world: World
) -> Release:
    """The release behind a deployment: as the ledger has it, else as ECS describes it.

    The registry is not asked for a label: only a step that records the release needs it.

    Raises:
        ExternalServiceError: the definition is gone.
    """
    found = build_release(deployed, view, service, world)
    return find_known_release(service.name, found.identity, world) or found.release


def _add_commit_label(found: IdentifiedRelease, service: ServiceSettings, world: World) -> IdentifiedRelease:
    """With the commit that a label of the image tells. The registry is asked only here, where no emergency waits."""
    source, image = service.commit_source, _own_image(found.release.images, service)
    if source.kind is not Source.LABEL or image is None:
        return found
    try:
        commit = clean_commit(world.images.label(image, source.name))
    except ExternalServiceError:
        return found  # not known: no reason not to record the release
    return IdentifiedRelease(found.release.model_copy(update={"commit": commit}), found.definition, found.identity)


def _own_image(images: Mapping[str, str], service: ServiceSettings) -> str | None:
    return images.get(service.container) or next(iter(images.values()), None)


def build_release(
    deployed: DeployedRevision, view: ServiceView, service: ServiceSettings, world: World
) -> IdentifiedRelease:
    """The release behind a deployment as ECS tells it, without a look into the ledger.

    An image whose digest can't be told is marked so: such a release can be left (a tag that does not exist is the
    commonest bad deployment), but never gone back to. A container beside the service's own keeps its reference.

    Raises:
        ExternalServiceError: the definition is gone.
    """
    raw, images = _resolve_images(deployed, view, service, world)
    seen = build_identity(raw, images, registered_for(raw))
    definition = normalised_definition(raw, images)
    version, commit = _version(raw, images, service)
    release = Release(
        service=service.name,
        version=version,
        fingerprint=seen.fingerprint,
        commit=commit,
        definition_arn=deployed.definition_arn,
        definition_sha256=sha256_of(definition),
        images=dict(seen.images),
        desired_count=view.desired_count,
        deployment_configuration=dict(view.deployment_configuration),
        first_deployed_at=deployed.began_at,
        state_since=deployed.began_at,
    )
    return IdentifiedRelease(release, definition, seen)


def _resolve_images(
    deployed: DeployedRevision, view: ServiceView, service: ServiceSettings, world: World
) -> tuple[dict[str, Any], dict[str, str]]:
    """The definition, and each container's image: by its revision, else by the tasks that run it, else as it is named.

    Never by what a tag names now: since the deployment began it may have moved.
    """
    raw = world.services.definition(deployed.definition_arn)
    if raw is None:
        raise ExternalServiceError(f"ECS no longer describes {deployed.definition_arn}: what it runs can't be told")
    named = {str(one["name"]): str(one["image"]) for one in raw["containerDefinitions"]}
    images = {n: image for n, image in view.images_of(deployed.revision_arn).items() if n in named}
    missing = [name for name, image in named.items() if name not in images and not is_pinned(image)]
    by_tasks = _images_of_tasks(deployed, view, service, world) if missing else {}
    own = service.container if service.container in named else next(iter(named))
    for name in missing:
        otherwise = f"{named[name]}{UNRESOLVED}" if name == own else named[name]
        images[name] = by_tasks.get(name, otherwise)
    return dict(raw), images


def why_unresolved(release: Release) -> str:
    """Why a release can't be told from another that its tag names, and what to do, for an operator."""
    return (
        f"the digest of {', '.join(release.unresolved)} can't be told, neither from its service revision nor from its "
        "running tasks; name the image by digest, or set the container's versionConsistency to enabled and deploy "
        "anew; it is looked at again in each round"
    )


def _images_of_tasks(
    deployed: DeployedRevision, view: ServiceView, service: ServiceSettings, world: World
) -> dict[str, str]:
    """What running tasks say; where several revisions or deployments have the definition, only those of its own."""
    has_definition = [one for one in view.deployments if one.definition_arn == deployed.definition_arn]
    unknown = deployed.revision_arn is None and view.has_revisions_of(deployed.definition_arn)
    may_be_others = unknown or len(has_definition) > 1
    if may_be_others and deployed.deployment_id is None:
        return {}
    of = deployed.deployment_id if may_be_others else None
    try:
        return dict(world.services.task_images(service, deployed.definition_arn, of))
    except RollbackError:
        return {}  # not known: no reason not to leave what runs


def _version(raw: dict[str, Any], images: dict[str, str], service: ServiceSettings) -> tuple[str, str | None]:
    """Version and commit: APP_VERSION, else the image's tag, else 12 digits of its digest; the commit as it is set."""
    containers = {c["name"]: c for c in raw["containerDefinitions"]}
    named = containers.get(service.container) or raw["containerDefinitions"][0]
    image = named["image"].split("@")[0]
    tag = image.rsplit("/", 1)[-1].partition(":")[2]
    environment = {e["name"]: e["value"] for e in named.get("environment", ())}
    digest = images.get(named["name"], named["image"]).rpartition("sha256:")[2][:12]
    version = environment.get("APP_VERSION", "").strip() or tag or digest
    return recorded_name(version), service.commit_source.find_commit(environment, tag)
