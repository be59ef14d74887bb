"""Identify the release of a deployment: from ECS, then by its record in the ledger."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from rollback.canonical_json import sha256_of
from rollback.domain.releases.identity import Identity, build_identity, find_matching_release
from rollback.domain.releases.release import Release, normalised_definition
from rollback.domain.settings.commit_source import Source, clean_commit
from rollback.domain.settings.environment import ServiceSettings
from rollback.errors import ExternalServiceError, RollbackError, UnreadableItem
from rollback.identity.ports import IdentifyPorts, KnownReleasePorts
from rollback.names import RELEASE_TAG, family_of, is_rollback_family_name
from rollback.ports.holders import HasImages, HasLedger, HasServices
from rollback.resources.aws.ecs_service import DeployedRevision, ServiceView
from rollback.resources.aws.task_definition import UNRESOLVED, is_pinned
from rollback.text import recorded_name


@dataclass(frozen=True)
class IdentifiedRelease:
    """A release and its complete task definition, in the ledger or not yet.

    Attributes:
        release: as the ledger has it, else as ECS describes it.
        definition: the normalised task definition.
        identity: computed from ECS's answers.
    """

    release: Release
    definition: dict[str, Any]
    identity: Identity


def identify_deployment(
    deployed: DeployedRevision, view: ServiceView, service: ServiceSettings, ports: HasServices
) -> Identity:
    """Identify a deployment by its images, as ECS resolved them; a rollback's own definition by its release tag.

    Raises:
        ExternalServiceError: ECS no longer describes the task definition.
    """
    raw, images = _resolve_images(deployed, view, service, ports)
    return build_identity(raw, images, registered_for(raw))


def identify_running(view: ServiceView, service: ServiceSettings, ports: HasServices) -> Identity:
    """Identify the PRIMARY deployment.

    Raises:
        ExternalServiceError: ECS no longer describes the task definition.
    """
    return identify_deployment(view.primary.deployed, view, service, ports)


def running_fingerprint(view: ServiceView, service: ServiceSettings, ports: KnownReleasePorts) -> str:
    """Fingerprint of the PRIMARY deployment's release in the ledger; else the one computed from ECS.

    Raises:
        ExternalServiceError: ECS no longer describes the task definition, or ECS or the ledger do not answer.
    """
    identity = identify_running(view, service, ports)
    release = find_known_release(service.name, identity, ports)
    return release.fingerprint if release is not None else identity.fingerprint


def registered_for(raw: Mapping[str, Any]) -> str | None:
    """Fingerprint of the release that a rollback registered the definition for; None: no rollback registered it."""
    if not is_rollback_family_name(str(raw["family"])):
        return None
    return next((str(tag["value"]) for tag in raw.get("tags", ()) if tag["key"] == RELEASE_TAG), None)


def is_registered_by_rollback(definition_arn: str, ports: HasServices) -> bool:
    """Whether a rollback registered a definition: its family's name and its release tag are a rollback's (rule 5).

    Raises:
        ExternalServiceError: ECS does not answer.
    """
    if not is_rollback_family_name(family_of(definition_arn)):
        return False
    raw = ports.services.definition(definition_arn)
    return raw is not None and registered_for(raw) is not None


def find_known_release(service_name: str, identity: Identity, ports: HasLedger) -> Release | None:
    """Find the release of an identity in the ledger; None: the ledger does not have it.

    It is found by fingerprint. A release that was recorded under a former fingerprint, or by less evidence, is found by
    the digests of its images.

    Raises:
        UnreadableItem: the release's record is damaged.
    """
    release = ports.ledger.release(service_name, identity.fingerprint)
    if release is not None:
        return release
    digests = sorted({image.rpartition("@")[2] for image in identity.images.values() if is_pinned(image)})
    for digest in digests:
        release = find_matching_release(identity, ports.ledger.find(service_name, digest))
        if release is not None:
            return release
    return None


def identify_release(
    deployed: DeployedRevision, view: ServiceView, service: ServiceSettings, ports: IdentifyPorts
) -> IdentifiedRelease:
    """Identify a deployment's release: as the ledger has it, else built from ECS and not recorded yet.

    Raises:
        ExternalServiceError: ECS no longer describes the task definition.
    """
    described = build_release(deployed, view, service, ports)
    ledger_release = find_known_release(service.name, described.identity, ports)
    if ledger_release is None:
        return _add_commit_label(described, service, ports)
    try:
        return IdentifiedRelease(
            ledger_release, ports.ledger.definition(ledger_release.definition_sha256), described.identity
        )
    except (KeyError, UnreadableItem):  # the new copy may have members that the earlier one lacked: its digest differs
        amended_release = ledger_release.model_copy(update={"definition_sha256": described.release.definition_sha256})
        return IdentifiedRelease(amended_release, described.definition, described.identity)


def find_or_build_release(
    deployed: DeployedRevision, view: ServiceView, service: ServiceSettings, ports: KnownReleasePorts
) -> Release:
    """A deployment's release: as the ledger has it, else as ECS describes it.

    The registry is not asked for a commit label: only a step that records the release needs the label.

    Raises:
        ExternalServiceError: ECS no longer describes the task definition.
    """
    described = build_release(deployed, view, service, ports)
    return find_known_release(service.name, described.identity, ports) or described.release


def _add_commit_label(described: IdentifiedRelease, service: ServiceSettings, ports: HasImages) -> IdentifiedRelease:
    """Add the commit from a label of the image. An emergency never gets here: only this function asks the registry."""
    source, image = service.commit_source, _own_image(described.release.images, service)
    if source.kind is not Source.LABEL or image is None:
        return described
    try:
        commit = clean_commit(ports.images.label(image, source.name))
    except ExternalServiceError:
        return described  # an unknown commit is no reason to leave the release unrecorded
    return IdentifiedRelease(
        described.release.model_copy(update={"commit": commit}), described.definition, described.identity
    )


def _own_image(images: Mapping[str, str], service: ServiceSettings) -> str | None:
    return images.get(service.container) or next(iter(images.values()), None)


def build_release(
    deployed: DeployedRevision, view: ServiceView, service: ServiceSettings, ports: HasServices
) -> IdentifiedRelease:
    """Build a deployment's release from ECS alone.

    An image without a known digest is marked. Such a release can be replaced: a missing tag is the commonest bad
    deployment. It can never be a target. A sidecar container without a digest keeps its reference.

    Raises:
        ExternalServiceError: ECS no longer describes the task definition.
    """
    raw, images = _resolve_images(deployed, view, service, ports)
    identity = build_identity(raw, images, registered_for(raw))
    definition = normalised_definition(raw, images)
    version, commit = _version(raw, images, service)
    release = Release(
        service=service.name,
        version=version,
        fingerprint=identity.fingerprint,
        commit=commit,
        definition_arn=deployed.definition_arn,
        definition_sha256=sha256_of(definition),
        images=dict(identity.images),
        desired_count=view.desired_count,
        deployment_configuration=dict(view.deployment_configuration),
        first_deployed_at=deployed.began_at,
        state_since=deployed.began_at,
    )
    return IdentifiedRelease(release, definition, identity)


def _resolve_images(
    deployed: DeployedRevision, view: ServiceView, service: ServiceSettings, ports: HasServices
) -> tuple[dict[str, Any], dict[str, str]]:
    """Read the definition and each container's image: of the service revision, else of running tasks, else as named.

    The registry is never asked: the tag may have moved since the deployment began.
    """
    raw = ports.services.definition(deployed.definition_arn)
    if raw is None:
        raise ExternalServiceError(f"ECS no longer describes {deployed.definition_arn}: its release is not known")
    declared_images = {str(container["name"]): str(container["image"]) for container in raw["containerDefinitions"]}
    images = {n: image for n, image in view.images_of(deployed.revision_arn).items() if n in declared_images}
    unresolved_names = [name for name, image in declared_images.items() if name not in images and not is_pinned(image)]
    images_of_tasks = _images_of_tasks(deployed, view, service, ports) if unresolved_names else {}
    own_container = service.container if service.container in declared_images else next(iter(declared_images))
    for name in unresolved_names:
        fallback = f"{declared_images[name]}{UNRESOLVED}" if name == own_container else declared_images[name]
        images[name] = images_of_tasks.get(name, fallback)
    return dict(raw), images


def why_unresolved(release: Release) -> str:
    """Name the images without a known digest, and the fix, for an operator."""
    return (
        f"the digest of {', '.join(release.unresolved)} is not known: neither its service revision nor its running "
        "tasks have it. Name the image by digest, or set the container's versionConsistency to enabled and deploy "
        "again. The janitor asks ECS again in each sweep"
    )


def _images_of_tasks(
    deployed: DeployedRevision, view: ServiceView, service: ServiceSettings, ports: HasServices
) -> dict[str, str]:
    """Images of running tasks; of the deployment's own tasks if other deployments or revisions share the definition."""
    sharing_deployments = [other for other in view.deployments if other.definition_arn == deployed.definition_arn]
    is_unknown_revision = deployed.revision_arn is None and view.has_revisions_of(deployed.definition_arn)
    is_shared = is_unknown_revision or len(sharing_deployments) > 1
    if is_shared and deployed.deployment_id is None:
        return {}
    deployment_id = deployed.deployment_id if is_shared else None
    try:
        return dict(ports.services.task_images(service, deployed.definition_arn, deployment_id))
    except RollbackError:
        return {}  # an unknown image is no reason to keep the running release


def _version(raw: dict[str, Any], images: dict[str, str], service: ServiceSettings) -> tuple[str, str | None]:
    """Version and commit. The version is APP_VERSION, else the image's tag, else 12 digits of its digest."""
    containers = {c["name"]: c for c in raw["containerDefinitions"]}
    container = containers.get(service.container) or raw["containerDefinitions"][0]
    image = container["image"].split("@")[0]
    tag = image.rsplit("/", 1)[-1].partition(":")[2]
    environment = {e["name"]: e["value"] for e in container.get("environment", ())}
    digest = images.get(container["name"], container["image"]).rpartition("sha256:")[2][:12]
    version = environment.get("APP_VERSION", "").strip() or tag or digest
    return recorded_name(version), service.commit_source.find_commit(environment, tag)
