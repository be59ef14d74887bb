"""Join a service's releases in the ledger with what ECS runs and what ECR has."""

from collections.abc import Mapping
from itertools import islice

from rollback.domain.releases.release import Release, last_known_good
from rollback.domain.releases.release_names import release_label
from rollback.domain.settings.environment import ServiceSettings
from rollback.errors import ExternalServiceError, RollbackError
from rollback.identity.identify import running_fingerprint
from rollback.ports.all_ports import AllPorts
from rollback.resources.aws.container_image import ImageState, ImageStatus
from rollback_cli.output.document import NotRead
from rollback_cli.output.versions.document import ContainerImage, ListedRelease, ServiceVersions

_CANNOT_BE_PULLED = (ImageStatus.MISSING, ImageStatus.ARCHIVED)


def read_versions(service: ServiceSettings, limit: int, ports: AllPorts) -> ServiceVersions:
    """Read at most `limit` releases, newest first.

    Raises:
        ExternalServiceError: the ledger does not answer. ECS and ECR cost only what they would have told.
    """
    not_read: list[NotRead] = []
    fingerprint, target = None, None
    try:
        fingerprint = running_fingerprint(ports.services.describe(service), service, ports)
    except RollbackError as failure:
        not_read.append(NotRead(part="running release", reason=str(failure)))
    if fingerprint is not None:
        target = last_known_good(ports.ledger.promoted(service.name), fingerprint)
    found = list(islice(ports.ledger.releases(service.name), limit + 1))
    releases = found[:limit]
    states = _image_states(releases, ports, not_read)
    return ServiceVersions(
        service=service.name,
        running_fingerprint=fingerprint,
        releases=tuple(
            _describe(release, releases, service, states, running=fingerprint, target=target) for release in releases
        ),
        has_more=len(found) > limit,
        not_read=tuple(not_read),
    )


def _image_states(releases: list[Release], ports: AllPorts, not_read: list[NotRead]) -> Mapping[str, ImageState]:
    """Ask ECR about all images at once. What ECR does not tell is `not looked at`, and said once a reason."""
    images = dict.fromkeys(image for release in releases for image in release.images.values())
    try:
        states = ports.images.image_states(images)
    except ExternalServiceError as failure:
        states = dict.fromkeys(images, ImageState(ImageStatus.NOT_LOOKED_AT, str(failure)))
    unseen = (state.reason for state in states.values() if state.status is ImageStatus.NOT_LOOKED_AT)
    not_read.extend(NotRead(part="some images", reason=reason) for reason in dict.fromkeys(unseen))
    return states


def _describe(
    release: Release,
    among: list[Release],
    service: ServiceSettings,
    states: Mapping[str, ImageState],
    *,
    running: str | None,
    target: Release | None,
) -> ListedRelease:
    own_first = sorted(release.images.items(), key=lambda item: (item[0] != service.container, item[0]))
    images = tuple(
        ContainerImage(container=name, image=image, status=states[image].status, reason=states[image].reason)
        for name, image in own_first
    )
    deciding = next((image for image in images if image.status in _CANNOT_BE_PULLED), next(iter(images), None))
    return ListedRelease(
        name=release_label(release, among),
        version=release.version,
        fingerprint=release.fingerprint,
        commit=release.commit,
        state=release.state,
        state_since=release.state_since,
        reason=release.state_reason,
        first_deployed_at=release.first_deployed_at,
        is_running=release.fingerprint == running if running is not None else None,
        is_rollback_target=(
            target is not None and release.fingerprint == target.fingerprint if running is not None else None
        ),
        has_schema=release.schema_sha256 is not None,
        image_status=deciding.status if deciding is not None else ImageStatus.NOT_LOOKED_AT,
        images=images,
    )
