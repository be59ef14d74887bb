"""Promises of the port to ECR, kept on the fake and on the embedded cloud."""

import json
import uuid

import pytest
from contract.real_ports import real_ports
from fakes.aws.images import FakeImages

from local_cloud.deployment.server import LocalCloud
from local_cloud.ecr.images import VERSION_ANNOTATION, push_image
from rollback.errors import CallRefused, ExternalServiceError, InvalidRequest
from rollback.ports.aws.references import Images
from rollback.resources.aws.container_image import ImageStatus

GONE = "sha256:" + "0" * 64


class Registry:
    """One repository to push to, and the port that reads it."""

    def __init__(self, request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
        self.name = f"shop/{uuid.uuid4().hex[:8]}"
        self.uri = f"123456789012.dkr.ecr.eu-west-1.amazonaws.com/{self.name}"
        self.images: Images
        self._count = 0
        if request.param == "fake":
            self.fake: FakeImages | None = FakeImages()
            self.fake.missing.add(f"{self.uri}@{GONE}")
            self.images = self.fake
            return
        self.fake = None
        cloud: LocalCloud = request.getfixturevalue("cloud")
        self._ecr = cloud.client("ecr")
        self._ecr.create_repository(repositoryName=self.name)
        self.images = real_ports(cloud, monkeypatch).images

    def push(self, tag: str) -> str:
        """The image by digest."""
        self._count += 1
        if self.fake is not None:
            pushed = self.fake.push(f"{self.uri}:{tag}", f"sha256:{self._count:064x}")
            self.fake.labels[pushed] = {VERSION_ANNOTATION: tag}
            return pushed
        return f"{self.uri}@{push_image(self._ecr, self.name, tag, {'kind': 'healthy', 'number': self._count})}"

    def make_immutable(self) -> None:
        if self.fake is not None:
            self.fake.immutable = True
        else:
            self._ecr.put_image_tag_mutability(repositoryName=self.name, imageTagMutability="IMMUTABLE")


@pytest.fixture(params=["fake", "cloud"])
def registry(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Registry:
    return Registry(request, monkeypatch)


def test_an_image_exists_by_tag_and_by_digest(registry: Registry) -> None:
    by_digest = registry.push("v1")
    assert registry.images.exists(by_digest) is True
    assert registry.images.exists(f"{registry.uri}:v1") is True
    assert registry.images.exists(f"{registry.uri}:v2") is False
    assert registry.images.exists(f"{registry.uri}@{GONE}") is False


def test_a_tag_that_moves_gives_the_new_digest(registry: Registry) -> None:
    registry.push("latest")
    second = registry.push("latest")
    assert registry.images.digest_of(f"{registry.uri}:latest") == second
    assert registry.images.digest_of(f"{registry.uri}:v9") is None


def test_images_of_other_registries_are_unknown_and_can_not_be_tagged(registry: Registry) -> None:
    assert registry.images.exists("public.ecr.aws/nginx/nginx:1.27") is None
    assert registry.images.digest_of("docker.io/library/nginx") is None
    with pytest.raises(InvalidRequest, match=r"public\.ecr"):
        registry.images.add_tag(f"public.ecr.aws/nginx/nginx@{GONE}", "kept")


def test_the_states_of_many_images_tell_missing_ones_from_those_that_were_not_looked_at(registry: Registry) -> None:
    first, second = registry.push("v1"), registry.push("v2")
    missing = [f"{registry.uri}@sha256:{number:064x}" for number in range(1000, 1003)]
    if registry.fake is not None:
        registry.fake.missing.update(missing)
    foreign, tagged, both = "docker.io/library/nginx", f"{registry.uri}:v1", first.replace("@", ":v1@")

    states = registry.images.image_states([first, *missing, second, foreign, tagged, both])

    assert {image: state.status for image, state in states.items()} == {
        first: ImageStatus.AVAILABLE,
        **dict.fromkeys(missing, ImageStatus.MISSING),
        second: ImageStatus.AVAILABLE,
        foreign: ImageStatus.NOT_LOOKED_AT,
        tagged: ImageStatus.NOT_LOOKED_AT,
        both: ImageStatus.AVAILABLE,
    }
    assert states[foreign].reason == "the image is in another registry than ECR"


def test_an_annotation_is_read_by_tag_and_by_digest(registry: Registry) -> None:
    by_digest = registry.push("v1")
    assert registry.images.label(by_digest, VERSION_ANNOTATION) == "v1"
    assert registry.images.label(f"{registry.uri}:v1", VERSION_ANNOTATION) == "v1"


def test_a_missing_label_is_none(registry: Registry) -> None:
    by_digest = registry.push("v1")
    assert registry.images.label(by_digest, "org.opencontainers.image.revision") is None
    assert registry.images.label(f"{registry.uri}@{GONE}", VERSION_ANNOTATION) is None
    assert registry.images.label("docker.io/library/nginx", VERSION_ANNOTATION) is None


def test_tagging_an_image_twice_adds_one_tag(registry: Registry) -> None:
    by_digest = registry.push("v1")
    registry.images.add_tag(by_digest, "last-known-good-production-v1")
    registry.images.add_tag(by_digest, "last-known-good-production-v1")
    assert registry.images.digest_of(f"{registry.uri}:last-known-good-production-v1") == by_digest
    assert registry.images.digest_of(f"{registry.uri}:v1") == by_digest


def test_an_immutable_tag_can_be_put_again_on_the_same_image_only(registry: Registry) -> None:
    first, second = registry.push("v1"), registry.push("v2")
    registry.make_immutable()
    registry.images.add_tag(first, "kept")
    registry.images.add_tag(first, "kept")
    with pytest.raises(ExternalServiceError, match="immutable"):
        registry.images.add_tag(second, "kept")
    assert registry.images.digest_of(f"{registry.uri}:kept") == first


def test_a_deleted_image_can_not_be_tagged(registry: Registry) -> None:
    registry.push("v1")
    with pytest.raises(ExternalServiceError, match="kept"):
        registry.images.add_tag(f"{registry.uri}@{GONE}", "kept")


def test_tagging_an_image_for_several_architectures_tags_its_index(
    cloud: LocalCloud, monkeypatch: pytest.MonkeyPatch
) -> None:
    media_type = "application/vnd.oci.image.index.v1+json"
    index = json.dumps({"schemaVersion": 2, "mediaType": media_type, "manifests": []})
    ecr, name = cloud.client("ecr"), f"web-{uuid.uuid4().hex[:8]}"
    uri = ecr.create_repository(repositoryName=name)["repository"]["repositoryUri"]
    ecr.put_image(repositoryName=name, imageManifest=index, imageTag="v1", imageManifestMediaType=media_type)
    images = real_ports(cloud, monkeypatch).images
    by_digest = images.digest_of(f"{uri}:v1")
    assert by_digest is not None
    images.add_tag(by_digest, "kept")
    assert images.digest_of(f"{uri}:kept") == by_digest
    (image,) = ecr.batch_get_image(repositoryName=name, imageIds=[{"imageTag": "kept"}])["images"]
    assert image["imageManifest"] == index


def test_a_digest_wins_over_a_tag_and_a_bare_reference_means_latest(registry: Registry) -> None:
    first, latest = registry.push("v1"), registry.push("latest")
    both = first.replace("@", ":no-such-tag@")
    assert registry.images.exists(both) is True
    assert registry.images.digest_of(both) == first
    assert registry.images.digest_of(registry.uri) == latest
    registry.images.add_tag(both, "kept")
    assert registry.images.digest_of(f"{registry.uri}:kept") == first


def test_an_invalid_digest_is_unknown_and_can_not_be_tagged(registry: Registry) -> None:
    assert registry.images.exists(f"{registry.uri}@sha256:short") is None
    with pytest.raises(InvalidRequest):
        registry.images.add_tag(f"{registry.uri}@sha256:short", "kept")


@pytest.mark.parametrize("tag", ["not a tag", "-v1", "v" * 129])
def test_the_fake_refuses_a_tag_as_ecr_does(tag: str) -> None:
    """moto takes all of them (OCI distribution specification, "Pulling manifests": what a tag must match)."""
    images = FakeImages()
    with pytest.raises(CallRefused, match="PutImage"):
        images.add_tag(images.push("123456789012.dkr.ecr.eu-west-1.amazonaws.com/web:v1", f"sha256:{1:064x}"), tag)
