"""Images and references of task definitions, as ECR, Secrets Manager and SSM know them."""

import re
from collections.abc import Collection, Mapping

from fakes.aws.request_models import refuse

from rollback.errors import (
    CallRefused,
    InvalidRequest,
)
from rollback.resources.aws.container_image import ImageState, ImageStatus, parse

_TAG = re.compile(r"[a-zA-Z0-9_][a-zA-Z0-9._-]{0,127}")  # OCI distribution specification, "Pulling manifests"


class FakeReferences:
    """Roles, log groups and files, of which only those in `roles`, `log_groups` and `files` exist.

    A log group is a region and a name; an empty region is the service's own. Those in `hidden` are not visible.
    """

    def __init__(self) -> None:
        self.roles: set[str] = set()
        self.log_groups: set[tuple[str, str]] = set()
        self.files: set[str] = set()
        self.hidden: set[str] = set()

    def role_exists(self, role: str) -> bool | None:
        named = {known.rpartition("/")[2] for known in self.roles}
        return None if role in self.hidden else role in self.roles or role in named

    def log_group_exists(self, name: str, region: str) -> bool | None:
        return None if name in self.hidden else (region, name) in self.log_groups

    def file_exists(self, arn: str) -> bool | None:
        return None if arn in self.hidden else arn in self.files


class FakeImages:
    """Repositories with moving tags. An image by digest exists unless it is in `missing`."""

    def __init__(self) -> None:
        self.tags: dict[str, str] = {}
        self.missing: set[str] = set()
        self.denied: set[str] = set()  # repositories that the caller may not describe
        self.labels: dict[str, dict[str, str]] = {}
        self.immutable = False

    def push(self, image: str, digest: str) -> str:
        """Put a tag, `repository:tag`, on a digest, and return the image by digest."""
        self.tags[image] = f"{_repository(image)}@{digest}"
        return self.tags[image]

    def exists(self, image: str) -> bool | None:
        parsed = parse(image)
        if parsed is None or parsed.repository in self.denied:
            return None
        by_digest = self._by_digest(image)
        return by_digest is not None and by_digest not in self.missing

    def image_states(self, images: Collection[str]) -> Mapping[str, ImageState]:
        return {image: self._state(image) for image in images}

    def _state(self, image: str) -> ImageState:
        parsed = parse(image)
        if parsed is None or parsed.digest is None:
            reason = "the image is in another registry than ECR" if parsed is None else "the image is named by its tag"
            return ImageState(ImageStatus.NOT_LOOKED_AT, reason)
        if parsed.repository in self.denied:
            return ImageState(ImageStatus.NOT_LOOKED_AT, "DescribeImages failed: AccessDeniedException")
        if not self.exists(image):
            return ImageState(ImageStatus.MISSING, "ECR does not have the image")
        return ImageState(ImageStatus.AVAILABLE)

    def digest_of(self, image: str) -> str | None:
        return self._by_digest(image) if self.exists(image) else None

    def label(self, image: str, name: str) -> str | None:
        by_digest = self.digest_of(image)
        return self.labels.get(by_digest, {}).get(name) if by_digest is not None else None

    def add_tag(self, image: str, tag: str) -> None:
        parsed = parse(image)
        if parsed is None or parsed.digest is None:
            raise InvalidRequest(f"{image} can't be tagged: only an image in ECR that is named by digest can")
        if not self.exists(image):
            raise CallRefused(f"{image} can't be tagged {tag}: ECR does not have it")
        if not _TAG.fullmatch(tag):
            refuse("PutImage", f"{image} as {tag}", "InvalidParameterException", "Invalid parameter at 'imageTag'")
        tagged, by_digest = f"{_repository(image)}:{tag}", self._by_digest(image)
        if self.immutable and self.tags.get(tagged, by_digest) != by_digest:
            raise CallRefused(f"{image} can't be tagged {tag}: the tag is immutable and belongs to {self.tags[tagged]}")
        self.tags[tagged] = str(by_digest)

    def _by_digest(self, image: str) -> str | None:
        """Return the image by digest: a digest takes precedence over a tag, and the default tag is `latest`."""
        parsed = parse(image)
        if parsed is None or parsed.digest is not None:
            return f"{_repository(image)}@{parsed.digest}" if parsed is not None else None
        return self.tags.get(f"{_repository(image)}:{parsed.tag or 'latest'}")


def _repository(image: str) -> str:
    head, slash, tail = image.partition("@")[0].rpartition("/")
    return f"{head}{slash}{tail.partition(':')[0]}"
