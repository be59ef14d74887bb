"""Ports to what task definitions refer to: secrets, roles, log groups, files and images.

An answer of None means that this deployment may not see the object. None says nothing about whether it exists.
"""

from collections.abc import Collection, Mapping
from typing import Protocol

from pydantic import SecretStr

from rollback.effects import changes_state, reads
from rollback.resources.aws.container_image import ImageState


class Secrets(Protocol):
    """Secrets Manager secrets and SSM parameters."""

    @reads
    def exists(self, value_from: str) -> bool | None:
        """Report whether the target of a container's `secrets[].valueFrom` exists; None if that is not visible."""
        ...

    @reads
    def read(self, arn: str) -> SecretStr:
        """Return the value of a secret that this deployment owns, such as Neon's API key.

        Raises:
            ExternalServiceError: the secret does not exist, or this deployment may not read it.
        """
        ...

    @changes_state
    def write(self, arn: str, value: SecretStr, token: str) -> None:
        """Replace the value of a secret.

        Args:
            arn: ARN of the secret.
            value: new value.
            token: 32 to 64 characters; the same token with the same value makes no second version.
        """
        ...


class References(Protocol):
    """Roles, log groups and S3 objects."""

    @reads
    def role_exists(self, role: str) -> bool | None:
        """Report whether an IAM role exists, by ARN or name; None if that is not visible."""
        ...

    @reads
    def log_group_exists(self, name: str, region: str) -> bool | None:
        """Report whether a log group of exactly this name exists; None if that is not visible.

        Args:
            name: name of the log group.
            region: an empty region means the service's own.
        """
        ...

    @reads
    def file_exists(self, arn: str) -> bool | None:
        """Report whether the object `arn:<partition>:s3:::<bucket>/<key>` exists; None if that is not visible."""
        ...


class Images(Protocol):
    """Container images in ECR. Images of other registries are not visible."""

    @reads
    def exists(self, image: str) -> bool | None:
        """Report whether ECS can pull the image; None for another registry or an unreadable repository."""
        ...

    @reads
    def image_states(self, images: Collection[str]) -> Mapping[str, ImageState]:
        """Report the state of each image, in few requests. A failed request costs the states of its images only."""
        ...

    @reads
    def digest_of(self, image: str) -> str | None:
        """Resolve a tag to `registry/repository@sha256:…`; None if the image is missing or not visible."""
        ...

    @reads
    def label(self, image: str, name: str) -> str | None:
        """Return a label or annotation of an image; None if the image has no such label or is not visible."""
        ...

    @changes_state
    def add_tag(self, image: str, tag: str) -> None:
        """Tag an image that is named by digest; an image that already has the tag counts as success.

        Raises:
            InvalidRequest: the image is not in ECR, or is not named by digest.
            CallRefused: the image is gone, or the tag is immutable and belongs to another image.
        """
        ...
