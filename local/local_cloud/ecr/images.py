"""Container images of the embedded cloud: manifests in ECR whose annotations describe the application's behaviour."""

from __future__ import annotations

import json
import re
import uuid
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from moto.ecr.models import ecr_backends

from local_cloud.moto_fixes.ecr_images import digest_of

if TYPE_CHECKING:
    from mypy_boto3_ecr import ECRClient

MANIFEST_TYPE = "application/vnd.oci.image.manifest.v1+json"
BEHAVIOUR_ANNOTATION = "local-cloud.behaviour"
VERSION_ANNOTATION = "org.opencontainers.image.version"
_ECR_REFERENCE = re.compile(
    r"^(?P<account>\d{12})\.dkr\.ecr\.(?P<region>[a-z0-9-]+)\.amazonaws\.com/"
    r"(?P<repository>[^:@]+)(?::(?P<tag>[^@]+))?(?:@(?P<digest>sha256:[0-9a-f]{64}))?$"
)


class CannotPullContainerError(Exception):
    """The registry lacks the image of a task. The message is the task's ``stoppedReason``."""


@dataclass(frozen=True)
class PulledImage:
    """An image as ECS pulled it: its digest, the tag of its push as version, and its behaviour."""

    digest: str
    version: str
    behaviour: dict[str, Any]


def push_image(cloud_client_ecr: ECRClient, repository: str, tag: str, behaviour: dict[str, Any] | None = None) -> str:
    """Push an image with a behaviour, and return its digest. Each push has a digest of its own."""
    empty = {"mediaType": "application/vnd.oci.empty.v1+json", "digest": digest_of("{}"), "size": 2}
    manifest = {
        "schemaVersion": 2,
        "mediaType": MANIFEST_TYPE,
        "config": empty,
        "layers": [empty],
        "annotations": {
            BEHAVIOUR_ANNOTATION: json.dumps(behaviour or {"kind": "healthy"}),
            VERSION_ANNOTATION: tag,
            "local-cloud.push": uuid.uuid4().hex,
        },
    }
    answer = cloud_client_ecr.put_image(
        repositoryName=repository,
        imageTag=tag,
        imageManifest=json.dumps(manifest),
        imageManifestMediaType=MANIFEST_TYPE,
    )
    return answer["image"]["imageId"]["imageDigest"]


def pull(image_reference: str) -> PulledImage:
    """Resolve a tag or digest in moto's ECR. An image of another registry counts as present and healthy.

    Raises:
        CannotPullContainerError: the repository, tag or digest does not exist.
    """
    match = _ECR_REFERENCE.match(image_reference)
    if match is None:
        digest = digest_of(image_reference)
        return PulledImage(digest, image_reference.rpartition(":")[2], {"kind": "healthy"})
    backend = ecr_backends[match["account"]][match["region"]]
    repository = backend.repositories.get(match["repository"])
    digest, tag = match["digest"], match["tag"] or "latest"
    for image in list(repository.images) if repository else []:
        # Container runtimes resolve a reference with both by its digest.
        if image.get_image_digest() == digest or (digest is None and tag in image.image_tags):
            annotations = json.loads(image.get_image_manifest()).get("annotations", {})
            behaviour = json.loads(annotations.get(BEHAVIOUR_ANNOTATION, '{"kind": "healthy"}'))
            return PulledImage(image.get_image_digest(), annotations.get(VERSION_ANNOTATION, tag), behaviour)
    raise CannotPullContainerError(
        f"CannotPullContainerError: pull image manifest has been retried 1 time(s): "
        f"failed to resolve ref {image_reference}: {image_reference}: not found"
    )


def pinned(image_reference: str, digest: str) -> str:
    """Return the reference to the same repository by digest, as ECS pulls an image whose tag it has resolved."""
    name = image_reference.partition("@")[0]
    if ":" in name.rpartition("/")[2]:
        name = name.rpartition(":")[0]
    return f"{name}@{digest}"
