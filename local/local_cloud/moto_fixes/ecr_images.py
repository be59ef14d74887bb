"""Images in ECR: their digests, their tags, and the answers of BatchGetImage and BatchDeleteImage.

Replaced in moto:
- moto hashes the layers, so two images of one base collide. A manifest's digest is the SHA-256 of its bytes.
- moto deletes an image whose last tag moves. ECR keeps the image untagged.
- moto refuses to move a tag in an immutable repository with another code than ``ImageTagAlreadyExistsException``.
- BatchGetImage of moto does not name the requested tag or digest in its answers and failures.
- BatchDeleteImage of moto answers without the digest of an untagged image.
"""

from __future__ import annotations

import copy
import hashlib
import json
from typing import Any

from moto.ecr.exceptions import ImageAlreadyExistsException, RepositoryNotFoundException
from moto.ecr.models import ECRBackend, Image, Repository

_stock_delete = ECRBackend.batch_delete_image


def digest_of(manifest: str) -> str:
    """Return a manifest's content address: ``sha256:`` and the SHA-256 of its bytes (OCI image specification)."""
    return "sha256:" + hashlib.sha256(manifest.encode()).hexdigest()


def install() -> None:
    """Replace moto's operations. Repeated calls change nothing."""
    Image._create_digest = _create_digest
    ECRBackend.put_image = _put_image
    ECRBackend.batch_get_image = _batch_get_image
    ECRBackend.batch_delete_image = _batch_delete_image


def _create_digest(image: Any) -> None:
    image._image_digest = digest_of(image.image_manifest)


def _repository(backend: Any, name: str) -> Any:
    if name not in backend.repositories:
        raise RepositoryNotFoundException(name, backend.account_id)
    return backend.repositories[name]


def _put_image(
    backend: Any,
    repository_name: str,
    image_manifest: str,
    image_tag: str | None,
    image_manifest_mediatype: str | None = None,
    digest: str | None = None,
) -> Any:
    repository = _repository(backend, repository_name)
    media_type = image_manifest_mediatype or json.loads(image_manifest).get("mediaType")
    image = next((i for i in repository.images if i.image_manifest == image_manifest), None)
    if image is not None and (image_tag is None or image_tag in image.image_tags):
        raise ImageAlreadyExistsException(
            registry_id=repository.registry_id,
            image_tag=image_tag,
            digest=image.get_image_digest(),
            repository_name=repository_name,
        )
    if image_tag is not None:
        _take_tag_away(repository, image_tag)
    if image is None:
        image = Image(backend.account_id, image_tag, image_manifest, repository_name, media_type, digest)
        repository.images.append(image)
    else:
        image.update_tag(image_tag)
    return image


def _take_tag_away(repository: Repository, tag: str) -> None:
    holder = next((i for i in repository.images if tag in i.image_tags), None)
    if holder is None:
        return
    if repository.is_tag_immutable():
        refusal = ImageAlreadyExistsException(
            registry_id=repository.registry_id,
            image_tag=tag,
            digest=holder.get_image_digest(),
            repository_name=repository.name,
        )
        refusal.code = "ImageTagAlreadyExistsException"
        raise refusal
    holder.remove_tag(tag)
    if not holder.image_tags:
        holder.image_tag = None


def _matches(image: Any, image_id: dict[str, str]) -> bool:
    digest, tag = image_id.get("imageDigest"), image_id.get("imageTag")
    return (
        bool(digest or tag)
        and (digest is None or image.get_image_digest() == digest)
        and (tag is None or tag in image.image_tags)
    )


def _batch_get_image(
    backend: Any,
    repository_name: str,
    registry_id: str | None = None,  # noqa: ARG001 (moto's signature)
    image_ids: list[dict[str, str]] | None = None,
) -> dict[str, Any]:
    repository = _repository(backend, repository_name)
    images: list[Any] = []
    failures: list[dict[str, Any]] = []
    for image_id in image_ids or []:
        image = next((image for image in repository.images if _matches(image, image_id)), None)
        if image is None:
            reason = "Requested image not found"
            failures.append({"imageId": image_id, "failureCode": "ImageNotFound", "failureReason": reason})
            continue
        answer = copy.copy(image)
        answer.image_tag = image_id.get("imageTag")
        images.append(answer)
    return {"images": images, "failures": failures}


def _batch_delete_image(
    backend: Any,
    repository_name: str,
    registry_id: str | None = None,
    image_ids: list[dict[str, str]] | None = None,
) -> dict[str, Any]:
    repository = _repository(backend, repository_name)
    untagged = {image.get_image_digest() for image in repository.images if not image.image_tags}
    answer: dict[str, Any] = _stock_delete(backend, repository_name, registry_id, image_ids)
    for image_id in image_ids or []:
        digest = image_id.get("imageDigest")
        if digest in untagged and "imageTag" not in image_id:
            answer["imageIds"].append({"imageDigest": digest})
    return answer
