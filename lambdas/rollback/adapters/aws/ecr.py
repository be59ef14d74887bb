"""ECR images: existence, digest, labels, and the tag that keeps an image from expiring.

ECR has no operation for labels (aws/containers-roadmap, issue 178). Labels are in the image's configuration, a blob
that the manifest names. GetDownloadUrlForLayer returns the URL of any blob of an image. Annotations are in the manifest
itself (OCI image specification, "Image Configuration" and "Image Manifest").
"""

import hashlib
import json
import urllib.request
from collections import defaultdict
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from http.client import HTTPException
from typing import TYPE_CHECKING, Any

from botocore.exceptions import ClientError

from rollback.adapters.aws.errors import aws_call, code_of
from rollback.errors import CallRefused, ExternalServiceError, InvalidRequest, RefusalKind
from rollback.resources.aws.container_image import EcrImage, ImageState, ImageStatus, parse

if TYPE_CHECKING:
    from mypy_boto3_ecr import ECRClient
    from mypy_boto3_ecr.type_defs import ImageIdentifierTypeDef

_MANIFESTS = (  # with the kinds of an index, since ECR would answer with one of its children otherwise
    "application/vnd.docker.distribution.manifest.v2+json",
    "application/vnd.docker.distribution.manifest.list.v2+json",
    "application/vnd.oci.image.manifest.v1+json",
    "application/vnd.oci.image.index.v1+json",
)


_CONFIGURATIONS = ("application/vnd.docker.container.image.v1+json", "application/vnd.oci.image.config.v1+json")
_MAX_IDS = 100  # images that one DescribeImages may name (API reference, `imageIds`)
_ACTIVE = "ACTIVE"
_DOWNLOAD_SECONDS, _MAX_BYTES = 3, 4_000_000  # ECR's limit for a manifest; a configuration is far smaller


class _NotVisible(Exception):
    """The repository is another team's, which says nothing about the image's existence."""


class EcrImages:
    """Adapter. `client_in` makes a client for the region in an image's name."""

    def __init__(self, client_in: "Callable[[str], ECRClient]", download: Callable[[str], bytes] | None = None) -> None:
        self._client_in = client_in
        self._download = download or _download_blob

    def exists(self, image: str) -> bool | None:
        """Call DescribeImages; ECS can't pull an ARCHIVED image until it is restored."""
        parsed = parse(image)
        if parsed is None:
            return None
        try:
            details = self._describe(parsed, image)
        except _NotVisible:
            return None
        return details is not None and details.get("imageStatus", _ACTIVE) == _ACTIVE

    def image_states(self, images: Collection[str]) -> Mapping[str, ImageState]:
        """Call DescribeImages for up to 100 digests of a repository at once.

        Tags are not looked up: a tag may name another image by now. BatchGetImage would name each missing image, but a
        repository's lifecycle rules take its call for a pull.
        """
        states: dict[str, ImageState] = {}
        by_repository: dict[tuple[str, str], list[EcrImage]] = defaultdict(list)
        for image in dict.fromkeys(images):
            parsed = parse(image)
            if parsed is None:
                states[image] = _not_looked_at("the image is in another registry than ECR")
            elif parsed.digest is None:
                states[image] = _not_looked_at("the image is named by its tag, not by its digest")
            else:
                by_repository[parsed.registry, parsed.repository].append(parsed)
        for (registry, name), parts in by_repository.items():
            digests = list(dict.fromkeys(str(part.digest) for part in parts))
            for start in range(0, len(digests), _MAX_IDS):
                found = self._states_by_digest(parts[0], digests[start : start + _MAX_IDS])
                states |= {f"{registry}/{name}@{digest}": state for digest, state in found.items()}
        return {image: states[_by_digest(image)] for image in images}

    def _states_by_digest(self, repository: EcrImage, digests: Sequence[str]) -> dict[str, ImageState]:
        """Describe a batch. ECR refuses a batch with a missing image as a whole, so such a batch is halved.

        Args:
            repository: any image of the repository.
            digests: at most 100 digests.
        """
        try:
            with aws_call("DescribeImages", f"{repository.registry}/{repository.repository}"):
                pages = (
                    self._client_in(repository.region)
                    .get_paginator("describe_images")
                    .paginate(
                        registryId=repository.account,
                        repositoryName=repository.repository,
                        imageIds=[{"imageDigest": digest} for digest in digests],
                    )
                )
                found = {detail["imageDigest"]: detail for page in pages for detail in page["imageDetails"]}
        except ExternalServiceError as failure:
            return self._states_after_failure(failure, repository, digests)
        return {digest: _state_of(found.get(digest)) for digest in digests}

    def _states_after_failure(
        self, failure: ExternalServiceError, repository: EcrImage, digests: Sequence[str]
    ) -> dict[str, ImageState]:
        code = code_of(failure.__cause__) if isinstance(failure.__cause__, ClientError) else ""
        if code == "RepositoryNotFoundException":
            return dict.fromkeys(digests, ImageState(ImageStatus.MISSING, "ECR has no such repository"))
        if code != "ImageNotFoundException":
            return dict.fromkeys(digests, _not_looked_at(str(failure)))
        if len(digests) == 1:
            return {digests[0]: _state_of(None)}
        middle = len(digests) // 2
        return {
            **self._states_by_digest(repository, digests[:middle]),
            **self._states_by_digest(repository, digests[middle:]),
        }

    def digest_of(self, image: str) -> str | None:
        """Call DescribeImages."""
        parsed = parse(image)
        try:
            details = self._describe(parsed, image) if parsed is not None else None
        except _NotVisible:
            return None
        if parsed is None or details is None:
            return None
        return f"{parsed.registry}/{parsed.repository}@{details['imageDigest']}"

    def label(self, image: str, name: str) -> str | None:
        """Read an annotation of the manifest or its index, which needs one call less, or else a label."""
        parsed = parse(image)
        if parsed is None:
            return None
        try:
            manifest = self._manifest(parsed, _id_of(parsed), image)
            annotation = _get_mapping(manifest, "annotations").get(name)
            child = _first_image_digest(manifest)
            if annotation is None and child is not None:  # an index of several architectures is built from one commit
                manifest = self._manifest(parsed, {"imageDigest": child}, image)
                annotation = _get_mapping(manifest, "annotations").get(name)
            label = annotation if annotation is not None else self._labels(parsed, manifest, image).get(name)
        except _NotVisible:
            return None
        return label if isinstance(label, str) else None

    def _manifest(self, parsed: EcrImage, image_id: "ImageIdentifierTypeDef", image: str) -> Mapping[str, Any]:
        """Return the manifest, or an empty mapping if ECR has no such image."""
        repository = {"registryId": parsed.account, "repositoryName": parsed.repository}
        with aws_call("BatchGetImage", image), _hide_foreign_repositories():
            answer = self._client_in(parsed.region).batch_get_image(
                **repository, imageIds=[image_id], acceptedMediaTypes=list(_MANIFESTS)
            )
        return _parse_json(answer["images"][0].get("imageManifest", "")) if answer.get("images") else {}

    def _labels(self, parsed: EcrImage, manifest: Mapping[str, Any], image: str) -> Mapping[str, Any]:
        configuration = _get_mapping(manifest, "config")
        digest = configuration.get("digest")
        if not isinstance(digest, str) or configuration.get("mediaType") not in _CONFIGURATIONS:
            return {}
        repository = {"registryId": parsed.account, "repositoryName": parsed.repository}
        with aws_call("GetDownloadUrlForLayer", image), _hide_foreign_repositories():
            url = self._client_in(parsed.region).get_download_url_for_layer(**repository, layerDigest=digest)[
                "downloadUrl"
            ]
        blob = self._download(url)
        if f"sha256:{hashlib.sha256(blob).hexdigest()}" != digest:  # a cut or foreign blob is no evidence
            return {}
        return _get_mapping(_get_mapping(_parse_json(blob), "config"), "Labels")

    def add_tag(self, image: str, tag: str) -> None:
        """Call PutImage with the manifest, or with the index of an image for several architectures."""
        parsed = parse(image)
        if parsed is None or parsed.digest is None:
            raise InvalidRequest(f"{image} can't be tagged: only an image in ECR that is named by digest can")
        client = self._client_in(parsed.region)
        repository = {"registryId": parsed.account, "repositoryName": parsed.repository}
        with aws_call("BatchGetImage", image):
            answer = client.batch_get_image(
                **repository, imageIds=[_id_of(parsed)], acceptedMediaTypes=list(_MANIFESTS)
            )
        if not answer.get("images"):
            reason = ", ".join(f.get("failureReason", "") for f in answer.get("failures", ()))
            raise CallRefused(
                f"{image} can't be tagged {tag}: ECR does not have it ({reason}); build and push it again",
                action="ecr:BatchGetImage",
                resource=image,
                kind=RefusalKind.NOT_FOUND,
            )
        manifest = answer["images"][0]
        media_type = manifest.get("imageManifestMediaType")
        media_type_member = {"imageManifestMediaType": media_type} if media_type else {}
        with aws_call("PutImage", f"{image} as {tag}"):
            try:
                client.put_image(
                    **repository, imageManifest=manifest["imageManifest"], imageTag=tag, **media_type_member
                )
            except client.exceptions.ImageAlreadyExistsException:
                return
            except client.exceptions.ImageTagAlreadyExistsException as error:
                other_image = self.digest_of(f"{parsed.registry}/{parsed.repository}:{tag}")
                if other_image is None or not other_image.endswith(parsed.digest):
                    reason = f"{image} can't be tagged {tag}: the tag is immutable and belongs to {other_image}"
                    raise CallRefused(reason, action="ecr:PutImage", resource=image) from error

    def _describe(self, parsed: EcrImage, image: str) -> dict[str, Any] | None:
        with aws_call("DescribeImages", image):
            try:
                pages = (
                    self._client_in(parsed.region)
                    .get_paginator("describe_images")
                    .paginate(registryId=parsed.account, repositoryName=parsed.repository, imageIds=[_id_of(parsed)])
                )
                details = [image for page in pages for image in page["imageDetails"]]
            except ClientError as error:
                if code_of(error) in {"ImageNotFoundException", "RepositoryNotFoundException"}:
                    return None
                if code_of(error) in {"AccessDeniedException", "RepositoryPolicyNotFoundException"}:
                    raise _NotVisible from error
                raise
        return dict(next(iter(details), {})) or None


def _id_of(image: EcrImage) -> "ImageIdentifierTypeDef":
    """Return the identifier for ECR's API: the digest, or else the tag."""
    return {"imageDigest": image.digest} if image.digest else {"imageTag": image.tag or "latest"}


def _by_digest(image: str) -> str:
    """Return the name without its tag, if it has a digest too; else the name as it is."""
    parsed = parse(image)
    return f"{parsed.registry}/{parsed.repository}@{parsed.digest}" if parsed and parsed.digest else image


def _not_looked_at(reason: str) -> ImageState:
    return ImageState(ImageStatus.NOT_LOOKED_AT, reason)


def _state_of(details: Mapping[str, object] | None) -> ImageState:
    if details is None:
        return ImageState(ImageStatus.MISSING, "ECR does not have the image")
    status = details.get("imageStatus", _ACTIVE)
    if status == _ACTIVE:
        return ImageState(ImageStatus.AVAILABLE)
    return ImageState(ImageStatus.ARCHIVED, f"ECR reports the status {status}")


@contextmanager
def _hide_foreign_repositories() -> Iterator[None]:
    """Raise _NotVisible if the repository or the image is another team's, or never existed."""
    try:
        yield
    except ClientError as error:
        if code_of(error) in {"AccessDeniedException", "RepositoryNotFoundException", "LayersNotFoundException"}:
            raise _NotVisible from error
        raise


def _download_blob(url: str) -> bytes:
    """Download the blob of a pre-signed URL of S3, up to the largest size of a configuration.

    Raises:
        ExternalServiceError: S3 gave no answer, or an error.
    """
    if not url.startswith("https://"):
        raise ExternalServiceError("ECR gave no https address for an image's configuration")
    try:
        with urllib.request.urlopen(url, timeout=_DOWNLOAD_SECONDS) as answer:  # noqa: S310 - https, checked above
            return bytes(answer.read(_MAX_BYTES))
    except (OSError, HTTPException) as error:
        # The text leaves the URL out, since the URL alone permits reading the blob.
        raise ExternalServiceError(f"an image's configuration can't be downloaded: {type(error).__name__}") from error


def _first_image_digest(manifest: Mapping[str, Any]) -> str | None:
    """Return the first image of an index, without attestations, whose platform is unknown/unknown."""
    children = manifest.get("manifests")
    for child in children if isinstance(children, list) else ():
        platform = _get_mapping(child, "platform") if isinstance(child, Mapping) else {}
        if platform.get("os") not in (None, "unknown") and isinstance(child.get("digest"), str):
            return str(child["digest"])
    return None


def _get_mapping(value: Mapping[str, Any], name: str) -> Mapping[str, Any]:
    """Return a member that is an object, or an empty mapping."""
    member = value.get(name)
    return member if isinstance(member, Mapping) else {}


def _parse_json(text: str | bytes) -> Mapping[str, Any]:
    try:
        value = json.loads(text)
    except (ValueError, RecursionError):
        return {}
    return value if isinstance(value, Mapping) else {}
