"""Protect the images of promoted releases from expiry, and say which images are not protected.

A lifecycle rule of ECR can spare the images with a tag that begins with `last-known-good-`. Only images of this account
and region are tagged, in the repositories that `repository` and `sidecar_repositories` name. The owner of any other
repository or registry has to keep the image.
"""

from collections.abc import Iterator

from rollback.check import Check
from rollback.domain.releases.release import Release
from rollback.domain.settings.environment import Settings
from rollback.errors import CallRefused, RefusalKind
from rollback.names import last_known_good_tag
from rollback.ports.holders import HasImages
from rollback.promotion.ports import ImageProtectionPorts
from rollback.resources.aws.account_and_region import AccountAndRegion
from rollback.resources.aws.container_image import parse
from rollback.resources.aws.task_definition import is_pinned

CHECK_NAME = "images-are-protected"


def protect_images(release: Release, ports: ImageProtectionPorts) -> None:
    """Tag the images of a release that this product may tag. The check of readiness names the others.

    Raises:
        CallRefused: ECR does not have an image, or the tag is immutable and belongs to another image.
        ExternalServiceError: ECR does not answer.
    """
    for image in filter(is_pinned, release.images.values()):
        if _why_foreign(image, ports.account_and_region) is not None or ports.images.exists(image) is None:
            continue
        try:
            ports.images.add_tag(image, last_known_good_tag(ports.settings.environment, image))
        except CallRefused as refused:
            if refused.kind is not RefusalKind.ACCESS:
                raise


def check_images_protected(release: Release, ports: ImageProtectionPorts) -> Check:
    """Check that every image of a promoted release has its tag, so that a lifecycle rule can spare the image.

    Raises:
        ExternalServiceError: ECR does not answer.
    """
    pinned = {name: image for name, image in sorted(release.images.items()) if is_pinned(image)}
    missing = [name for name, image in pinned.items() if ports.images.exists(image) is False]
    if missing:
        return Check.skipped(CHECK_NAME, f"ECR does not have the image of {', '.join(missing)}")
    unprotected = list(_unprotected(release, ports.settings, ports.account_and_region, ports))
    evidence = {"images": dict(sorted(release.images.items()))}
    if not unprotected:
        return Check.passed(CHECK_NAME, "each image has the tag of the last known good", evidence=evidence)
    reason = f"a lifecycle rule may delete images of {release.version}: {'; '.join(unprotected)}"
    return Check.warned(CHECK_NAME, reason, evidence=evidence)


def _unprotected(release: Release, settings: Settings, own: AccountAndRegion | None, ports: HasImages) -> Iterator[str]:
    """Yield the containers whose image has no tag of ours, each with the reason and what to do."""
    for name, image in sorted(release.images.items()):
        if not is_pinned(image):
            yield f"{name} is named by its tag, which can move; name the image by digest"
            continue
        foreign = _why_foreign(image, own)
        if foreign is not None:
            yield f"{name} {foreign}: its owner has to keep the image"
            continue
        repository, _, digest = image.rpartition("@")
        environment, service, version = settings.environment, release.service, release.version
        tag = last_known_good_tag(environment, image)
        promote = f"`rollback promote {environment} --service {service} --version {version}`"
        if ports.images.exists(image) is None:
            yield f"the repository of {name} can't be read; name it in `repository` or `sidecar_repositories`"
        elif not str(ports.images.digest_of(f"{repository}:{tag}")).endswith(digest):
            yield f"{name} has no tag {tag}; {promote} tags the image again"


def _why_foreign(image: str, own: AccountAndRegion | None) -> str | None:
    """Say why this product may not tag an image; None: it is of this account and region, or they are unknown."""
    parsed = parse(image)
    if parsed is None:
        return "is not in ECR"
    if own is None or (parsed.account, parsed.region) == (own.account, own.region):
        return None
    return f"is in ECR of account {parsed.account}, {parsed.region}"
