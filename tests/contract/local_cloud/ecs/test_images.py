"""ECR as the rollback needs it: digests, moving and immutable tags, and images with a described behaviour."""

from __future__ import annotations

import hashlib
import uuid
from typing import Any

import pytest
from botocore.exceptions import ClientError

from local_cloud.ecr.images import CannotPullContainerError, pinned, pull, push_image


class Repository:
    """A repository with a unique name."""

    def __init__(self, cloud: Any, mutability: str = "MUTABLE") -> None:
        self.ecr, self.name = cloud.client("ecr"), f"shop/{uuid.uuid4().hex[:8]}"
        answer = self.ecr.create_repository(repositoryName=self.name, imageTagMutability=mutability)
        self.uri = answer["repository"]["repositoryUri"]

    def push(self, tag: str, behaviour: dict[str, Any] | None = None) -> str:
        return push_image(self.ecr, self.name, tag, behaviour)

    def get(self, **image_id: str) -> dict[str, Any]:
        return dict(self.ecr.batch_get_image(repositoryName=self.name, imageIds=[image_id]))


@pytest.fixture
def repository(cloud: Any) -> Repository:
    return Repository(cloud)


def test_a_digest_is_the_hash_of_the_manifest(repository: Repository) -> None:
    digest = repository.push("v1")
    image = repository.get(imageDigest=digest)["images"][0]
    assert digest == "sha256:" + hashlib.sha256(image["imageManifest"].encode()).hexdigest()
    assert image["imageId"]["imageDigest"] == digest


def test_each_push_has_its_own_digest(repository: Repository) -> None:
    assert repository.push("v1") != repository.push("v2")


def test_an_images_behaviour_is_found_by_tag_and_by_digest(repository: Repository) -> None:
    digest = repository.push("v1", {"kind": "errors", "rate": 0.5})
    assert pull(f"{repository.uri}:v1").behaviour == {"kind": "errors", "rate": 0.5}
    assert pull(f"{repository.uri}@{digest}").behaviour == {"kind": "errors", "rate": 0.5}
    assert pull(f"{repository.uri}:gone@{digest}").behaviour == {"kind": "errors", "rate": 0.5}


def test_a_tag_that_moves_leaves_the_old_image_in_place(repository: Repository) -> None:
    old = repository.push("latest", {"kind": "healthy"})
    new = repository.push("latest", {"kind": "unhealthy"})
    assert repository.get(imageTag="latest")["images"][0]["imageId"] == {"imageDigest": new, "imageTag": "latest"}
    assert pull(f"{repository.uri}@{old}").behaviour == {"kind": "healthy"}
    described = repository.ecr.describe_images(repositoryName=repository.name)["imageDetails"]
    assert {image["imageDigest"]: image.get("imageTags") or [] for image in described} == {old: [], new: ["latest"]}


def test_an_image_is_tagged_again_by_putting_its_manifest(repository: Repository) -> None:
    digest = repository.push("v1")
    manifest = repository.get(imageDigest=digest)["images"][0]["imageManifest"]
    repository.ecr.put_image(repositoryName=repository.name, imageManifest=manifest, imageTag="last-known-good")
    image_id = repository.get(imageTag="last-known-good")["images"][0]["imageId"]
    assert image_id == {"imageDigest": digest, "imageTag": "last-known-good"}
    with pytest.raises(ClientError) as error:
        repository.ecr.put_image(repositoryName=repository.name, imageManifest=manifest, imageTag="last-known-good")
    assert error.value.response["Error"]["Code"] == "ImageAlreadyExistsException"


def test_an_immutable_repository_refuses_to_move_a_tag(cloud: Any) -> None:
    repository = Repository(cloud, "IMMUTABLE")
    digest = repository.push("v1")
    with pytest.raises(ClientError) as error:
        repository.push("v1")
    assert error.value.response["Error"]["Code"] == "ImageTagAlreadyExistsException"
    assert repository.get(imageTag="v1")["images"][0]["imageId"]["imageDigest"] == digest


def test_a_deleted_image_cannot_be_pulled(repository: Repository) -> None:
    digest = repository.push("v1")
    repository.push("v1")  # the first image stays, untagged
    answer = repository.ecr.batch_delete_image(repositoryName=repository.name, imageIds=[{"imageDigest": digest}])
    assert answer["imageIds"] == [{"imageDigest": digest}]
    with pytest.raises(CannotPullContainerError, match="not found"):
        pull(f"{repository.uri}@{digest}")


def test_a_missing_image_is_a_failure_that_names_the_request(repository: Repository) -> None:
    digest = "sha256:" + "0" * 64
    answer = repository.get(imageDigest=digest)
    assert answer["images"] == []
    assert answer["failures"][0]["imageId"] == {"imageDigest": digest}
    assert answer["failures"][0]["failureCode"] == "ImageNotFound"
    with pytest.raises(CannotPullContainerError):
        pull(f"{repository.uri}:nothing")


def test_an_image_of_another_registry_counts_as_healthy() -> None:
    assert pull("public.ecr.aws/nginx/nginx:1.27").behaviour == {"kind": "healthy"}


@pytest.mark.parametrize("reference", ["host:5000/app", "host:5000/app:v1", "host:5000/app@sha256:aa"])
def test_a_pinned_reference_names_the_repository_and_the_digest(reference: str) -> None:
    assert pinned(reference, "sha256:bb") == "host:5000/app@sha256:bb"
