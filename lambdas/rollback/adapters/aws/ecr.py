"""ECR: is an image there, which digest is it, what is it labelled, and keep it from expiring.

ECR tells no labels (aws/containers-roadmap, issue 178). They stand in the image's configuration, a blob that the
manifest names and that GetDownloadUrlForLayer gives the address of, as for any blob of an image; annotations stand in
the manifest itself (OCI image specification, "Image Configuration" and "Image Manifest").
"""

import hashlib
import json
import re
import urllib.request
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from http.client import HTTPException
from typing import TYPE_CHECKING, Any

from botocore.exceptions import ClientError

from rollback.adapters.aws.errors import aws_call, code_of
from rollback.errors import CallRefused, ExternalServiceError, InvalidRequest, RefusalKind

if TYPE_CHECKING:
    from mypy_boto3_ecr import ECRClient
    from mypy_boto3_ecr.type_defs import ImageIdentifierTypeDef

_ECR = re.compile(
    r"(?P<registry>(?P<account>\d{12})\.dkr\.ecr(?:-fips)?\.(?P<region>[a-z0-9-]+)\.amazonaws\.com(?:\.cn)?)"
    r"/(?P<repository>[^:@]+)(?::(?P<tag>[^@]+))?(?:@(?P<digest>sha256:[0-9a-f]{64}))?"
)
_MANIFESTS = (  # all kinds, an index among them: else ECR answers with one of its children
    "application/vnd.docker.distribution.manifest.v2+json",
    "application/vnd.docker.distribution.manifest.list.v2+json",
    "application/vnd.oci.image.manifest.v1+json",
    "application/vnd.oci.image.index.v1+json",
)


@dataclass(frozen=True)
class EcrImage:
    """`<account>.dkr.ecr.<region>.amazonaws.com/<repository>[:tag][@digest]`, taken apart."""

    registry: str
    account: str
    region: str
    repository: str
    tag: str | None
    digest: str | None

    @property
    def id(self) -> "ImageIdentifierTypeDef":
        """The digest if there is one: a tag beside it tells nothing more."""
        return {"imageDigest": self.digest} if self.digest else {"imageTag": self.tag or "latest"}


def parse(image: str) -> EcrImage | None:
    """None: not an image in ECR."""
    found = _ECR.fullmatch(image)
    return EcrImage(**found.groupdict()) if found else None


_CONFIGURATIONS = ("application/vnd.docker.container.image.v1+json", "application/vnd.oci.image.config.v1+json")
_DOWNLOAD_SECONDS, _MOST_BYTES = 3, 4_000_000  # as long as ECR lets a manifest be; configurations are far smaller


class _NotVisible(Exception):
    """Another team's repository: what is in it can't be told, which is not to say that it is not there."""


class EcrImages:
    """Adapter. An image's name tells its region, so `client_in` makes a client for one."""

    def __init__(self, client_in: "Callable[[str], ECRClient]", download: Callable[[str], bytes] | None = None) -> None:
        self._client_in = client_in
        self._download = download or _download_blob

    def exists(self, image: str) -> bool | None:
        """Whether it can be pulled. ARCHIVED images can't be, until they are restored.

        None: another registry's, or a repository that we may not look into.
        """
        parsed = parse(image)
        if parsed is None:
            return None
        try:
            found = self._describe(parsed, image)
        except _NotVisible:
            return None
        return found is not None and found.get("imageStatus", "ACTIVE") == "ACTIVE"

    def digest_of(self, image: str) -> str | None:
        """`registry/repository@sha256:…`; None: another registry's, not there, or not for us to see."""
        parsed = parse(image)
        try:
            found = self._describe(parsed, image) if parsed is not None else None
        except _NotVisible:
            return None
        if parsed is None or found is None:
            return None
        return f"{parsed.registry}/{parsed.repository}@{found['imageDigest']}"

    def label(self, image: str, name: str) -> str | None:
        """An annotation of the manifest or its index, which costs no other call; else a label of the configuration."""
        parsed = parse(image)
        if parsed is None:
            return None
        try:
            manifest = self._manifest(parsed, parsed.id, image)
            annotated = _get_mapping(manifest, "annotations").get(name)
            child = _first_image_digest(manifest)
            if annotated is None and child is not None:  # an image for several architectures is one commit's
                manifest = self._manifest(parsed, {"imageDigest": child}, image)
                annotated = _get_mapping(manifest, "annotations").get(name)
            found = annotated if annotated is not None else self._labels(parsed, manifest, image).get(name)
        except _NotVisible:
            return None
        return found if isinstance(found, str) else None

    def _manifest(self, parsed: EcrImage, wanted: "ImageIdentifierTypeDef", image: str) -> Mapping[str, Any]:
        """Empty: ECR has no such image."""
        of = {"registryId": parsed.account, "repositoryName": parsed.repository}
        with aws_call("BatchGetImage", image), _hide_foreign_repositories():
            answer = self._client_in(parsed.region).batch_get_image(
                **of, imageIds=[wanted], acceptedMediaTypes=list(_MANIFESTS)
            )
        return _parse_json(answer["images"][0].get("imageManifest", "")) if answer.get("images") else {}

    def _labels(self, parsed: EcrImage, manifest: Mapping[str, Any], image: str) -> Mapping[str, Any]:
        configuration = _get_mapping(manifest, "config")
        digest = configuration.get("digest")
        if not isinstance(digest, str) or configuration.get("mediaType") not in _CONFIGURATIONS:
            return {}
        of = {"registryId": parsed.account, "repositoryName": parsed.repository}
        with aws_call("GetDownloadUrlForLayer", image), _hide_foreign_repositories():
            url = self._client_in(parsed.region).get_download_url_for_layer(**of, layerDigest=digest)["downloadUrl"]
        blob = self._download(url)
        if f"sha256:{hashlib.sha256(blob).hexdigest()}" != digest:  # cut off, or another's: nothing is believed
            return {}
        return _get_mapping(_get_mapping(_parse_json(blob), "config"), "Labels")

    def add_tag(self, image: str, tag: str) -> None:
        """Put another tag on the image; its index, if it has several architectures.

        Raises:
            InvalidRequest: not in ECR, or not by digest.
            CallRefused: the image is gone, or an immutable tag belongs to another one.
        """
        parsed = parse(image)
        if parsed is None or parsed.digest is None:
            raise InvalidRequest(f"{image} can't be kept: only images in ECR, by digest, can")
        client = self._client_in(parsed.region)
        of = {"registryId": parsed.account, "repositoryName": parsed.repository}
        with aws_call("BatchGetImage", image):
            answer = client.batch_get_image(**of, imageIds=[parsed.id], acceptedMediaTypes=list(_MANIFESTS))
        if not answer.get("images"):
            why = ", ".join(f.get("failureReason", "") for f in answer.get("failures", ()))
            raise CallRefused(
                f"{image} can't be tagged {tag}: ECR does not have it ({why}); build and push it again",
                action="ecr:BatchGetImage",
                resource=image,
                kind=RefusalKind.NOT_FOUND,
            )
        found = answer["images"][0]
        media_type = found.get("imageManifestMediaType")
        typed = {"imageManifestMediaType": media_type} if media_type else {}
        with aws_call("PutImage", f"{image} as {tag}"):
            try:
                client.put_image(**of, imageManifest=found["imageManifest"], imageTag=tag, **typed)
            except client.exceptions.ImageAlreadyExistsException:
                return
            except client.exceptions.ImageTagAlreadyExistsException as error:
                held = self.digest_of(f"{parsed.registry}/{parsed.repository}:{tag}")
                if held is None or not held.endswith(parsed.digest):
                    why = f"tag {tag} can't be put on {image}: it is immutable, and {held}'s"
                    raise CallRefused(why, action="ecr:PutImage", resource=image) from error

    def _describe(self, parsed: EcrImage, image: str) -> dict[str, Any] | None:
        with aws_call("DescribeImages", image):
            try:
                pages = (
                    self._client_in(parsed.region)
                    .get_paginator("describe_images")
                    .paginate(registryId=parsed.account, repositoryName=parsed.repository, imageIds=[parsed.id])
                )
                found = [image for page in pages for image in page["imageDetails"]]
            except ClientError as error:
                if code_of(error) in {"ImageNotFoundException", "RepositoryNotFoundException"}:
                    return None
                if code_of(error) in {"AccessDeniedException", "RepositoryPolicyNotFoundException"}:
                    raise _NotVisible from error
                raise
        return dict(next(iter(found), {})) or None


@contextmanager
def _hide_foreign_repositories() -> Iterator[None]:
    """Raises _NotVisible: the repository or the image is another team's, or was never there."""
    try:
        yield
    except ClientError as error:
        if code_of(error) in {"AccessDeniedException", "RepositoryNotFoundException", "LayersNotFoundException"}:
            raise _NotVisible from error
        raise


def _download_blob(url: str) -> bytes:
    """The blob behind a pre-signed address of S3, as much of it as a configuration may have.

    Raises:
        ExternalServiceError: no answer, or an error.
    """
    if not url.startswith("https://"):
        raise ExternalServiceError("ECR gave no https address for an image's configuration")
    try:
        with urllib.request.urlopen(url, timeout=_DOWNLOAD_SECONDS) as answer:  # noqa: S310 - https, looked at above
            return bytes(answer.read(_MOST_BYTES))
    except (OSError, HTTPException) as error:
        # Never the address: whoever has it may read the blob.
        raise ExternalServiceError(f"an image's configuration can't be downloaded: {type(error).__name__}") from error


def _first_image_digest(manifest: Mapping[str, Any]) -> str | None:
    """The first image of an index; attestations are in it too, for the platform unknown/unknown."""
    children = manifest.get("manifests")
    for child in children if isinstance(children, list) else ():
        platform = _get_mapping(child, "platform") if isinstance(child, Mapping) else {}
        if platform.get("os") not in (None, "unknown") and isinstance(child.get("digest"), str):
            return str(child["digest"])
    return None


def _get_mapping(value: Mapping[str, Any], name: str) -> Mapping[str, Any]:
    """An object in an object; empty: there is none."""
    found = value.get(name)
    return found if isinstance(found, Mapping) else {}


def _parse_json(text: str | bytes) -> Mapping[str, Any]:
    try:
        value = json.loads(text)
    except (ValueError, RecursionError):
        return {}
    return value if isinstance(value, Mapping) else {}
