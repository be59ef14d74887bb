"""ECR: is an image there, which digest is it, and keep it from expiring."""

import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from botocore.exceptions import ClientError

from rollback.model.errors import InvalidRequest, OutsideFailure
from rollback.world.failures import calling, code_of

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


class _OutOfSight(Exception):
    """Another team's repository: what is in it can't be told, which is not to say that it is not there."""


class EcrImages:
    """Adapter. An image's name tells its region, so `client_in` makes a client for one."""

    def __init__(self, client_in: "Callable[[str], ECRClient]") -> None:
        self._client_in = client_in

    def exists(self, image: str) -> bool | None:
        """Whether it can be pulled. ARCHIVED images can't be, until they are restored.

        None: another registry's, or a repository that we may not look into.
        """
        parsed = parse(image)
        if parsed is None:
            return None
        try:
            found = self._describe(parsed, image)
        except _OutOfSight:
            return None
        return found is not None and found.get("imageStatus", "ACTIVE") == "ACTIVE"

    def digest_of(self, image: str) -> str | None:
        """`registry/repository@sha256:…`; None: another registry's, not there, or not for us to see."""
        parsed = parse(image)
        try:
            found = self._describe(parsed, image) if parsed is not None else None
        except _OutOfSight:
            return None
        if parsed is None or found is None:
            return None
        return f"{parsed.registry}/{parsed.repository}@{found['imageDigest']}"

    def keep(self, image: str, tag: str) -> None:
        """Put another tag on the image; its index, if it has several architectures.

        Raises:
            InvalidRequest: not in ECR, or not by digest.
            OutsideFailure: the image is gone, or an immutable tag belongs to another one.
        """
        parsed = parse(image)
        if parsed is None or parsed.digest is None:
            raise InvalidRequest(f"{image} can't be kept: only images in ECR, by digest, can")
        client = self._client_in(parsed.region)
        of = {"registryId": parsed.account, "repositoryName": parsed.repository}
        with calling("BatchGetImage", image):
            answer = client.batch_get_image(**of, imageIds=[parsed.id], acceptedMediaTypes=list(_MANIFESTS))
        if not answer.get("images"):
            why = ", ".join(f.get("failureReason", "") for f in answer.get("failures", ()))
            raise OutsideFailure(f"{image} can't be tagged {tag}: ECR does not have it ({why})")
        found = answer["images"][0]
        media_type = found.get("imageManifestMediaType")
        typed = {"imageManifestMediaType": media_type} if media_type else {}
        with calling("PutImage", f"{image} as {tag}"):
            try:
                client.put_image(**of, imageManifest=found["imageManifest"], imageTag=tag, **typed)
            except client.exceptions.ImageAlreadyExistsException:
                return
            except client.exceptions.ImageTagAlreadyExistsException as error:
                held = self.digest_of(f"{parsed.registry}/{parsed.repository}:{tag}")
                if held is None or not held.endswith(parsed.digest):
                    raise OutsideFailure(f"tag {tag} can't be put on {image}: it is immutable, and {held}'s") from error

    def _describe(self, parsed: EcrImage, image: str) -> dict[str, Any] | None:
        with calling("DescribeImages", image):
            try:
                answer = self._client_in(parsed.region).describe_images(
                    registryId=parsed.account, repositoryName=parsed.repository, imageIds=[parsed.id]
                )
            except ClientError as error:
                if code_of(error) in {"ImageNotFoundException", "RepositoryNotFoundException"}:
                    return None
                if code_of(error) in {"AccessDeniedException", "RepositoryPolicyNotFoundException"}:
                    raise _OutOfSight from error
                raise
        return dict(next(iter(answer["imageDetails"]), {})) or None
