"""Deploy check: pipelines ask whether an image may be deployed, so that no rolled-back release is deployed again."""

import re
from collections.abc import Iterable
from dataclasses import dataclass

from rollback.domain.releases.release import Release, ReleaseState
from rollback.domain.releases.release_names import release_label
from rollback.errors import InvalidRequest
from rollback.leases.holder import find_live_lease
from rollback.operations.ports import DeployCheckPorts
from rollback.operations.quarantine import ROLLED_BACK_STATES
from rollback.ports.holders import HasImages

_BY_DIGEST = re.compile(r"[^@\s]+@(sha256:[0-9a-f]{64})")


@dataclass(frozen=True)
class DeployDecision:
    """The decision, and its reason in one line."""

    is_allowed: bool
    reason: str


def check_deploy(service_name: str, image: str, ports: DeployCheckPorts) -> DeployDecision:
    """Check an image, by tag or digest, against the ledger.

    Raises:
        InvalidRequest: the image's digest is not known.
        ExternalServiceError: the registry or the ledger do not answer: the image is not allowed.
    """
    digest = _digest_of(image, ports)
    lease = find_live_lease(service_name, ports)
    if lease is not None:
        return DeployDecision(
            False, f"a rollback of {service_name} is in progress ({lease.holder}): deploy when the rollback has ended"
        )
    service = ports.settings.service(service_name)
    releases = ports.ledger.find(service_name, digest)
    rolled_back_release = next(
        (r for r in releases if r.state in ROLLED_BACK_STATES and _is_image_of(r, digest, service.container, releases)),
        None,
    )
    if rolled_back_release is not None:
        name, environment = release_label(rolled_back_release, releases), ports.settings.environment
        command = f"rollback unquarantine {environment} {name} --service {service_name} --reason '…'"
        state = f"{rolled_back_release.state}{f' ({why})' if (why := rolled_back_release.state_reason) else ''}"
        reason = f"{image} belongs to {rolled_back_release.version}, which is {state}; `{command}` clears the release"
        return DeployDecision(False, reason)
    known_release = next((r for r in releases if _has_image(r, digest)), None)
    state = (
        f"belongs to {known_release.version}, which is {known_release.state}"
        if known_release is not None
        else "is not known to the ledger"
    )
    return DeployDecision(True, f"{image} {state}: no objection to its deployment")


def _is_image_of(release: Release, digest: str, container: str, releases: Iterable[Release]) -> bool:
    """Whether the image is the release's own, or a sidecar's that no promoted release runs too."""
    if release.images.get(container, "").endswith(digest):
        return True
    return _has_image(release, digest) and not any(
        r.state is ReleaseState.PROMOTED and _has_image(r, digest) for r in releases
    )


def _has_image(release: Release, digest: str) -> bool:
    return any(image.endswith(digest) for image in release.images.values())


def _digest_of(image: str, ports: HasImages) -> str:
    match = _BY_DIGEST.fullmatch(image)
    by_digest = image if match else (ports.images.digest_of(image) if "@" not in image else None)
    if not by_digest:
        raise InvalidRequest(
            f"the digest of image {image!r} is not known: the image is not in ECR, or can't be read there; push the "
            "image first, or name it by digest (repository@sha256:…)"
        )
    return by_digest.rpartition("@")[2]
