"""Sources of a release's git commit: a variable, the tag, or a label of the image."""

import hashlib
import json
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from typing import Any

import boto3
import pytest
from botocore.stub import Stubber
from pydantic import ValidationError
from simulations.service import FAMILY, Simulation
from support.builders import NOW, SERVICE, definition, image

from rollback.adapters.aws.ecr import EcrImages
from rollback.domain.settings.commit_source import CommitSource, find_commit_in_tag
from rollback.domain.settings.environment import ServiceSettings
from rollback.errors import ExternalServiceError
from rollback.promotion.promote import record_running

SHA = "4f5e6d7c8b9a0f1e2d3c4b5a69788796a5b4c3d2"
REVISION = "org.opencontainers.image.revision"


@pytest.mark.parametrize(
    ("tag", "commit"),
    [
        (SHA, SHA),
        ("4f5e6d7", "4f5e6d7"),
        ("sha-4f5e6d7", "4f5e6d7"),
        ("v1.2.3-4f5e6d7", "4f5e6d7"),
        ("main_4f5e6d7c", "4f5e6d7c"),
        ("1" * 40, "1" * 40),
        ("20260301", None),  # a date
        ("v1.2.3", None),
        ("4f5e6d", None),
        ("latest", None),
        ("deadbeefs", None),
        ("", None),
        (f"{SHA}0", None),
    ],
)
def test_a_tag_is_a_commit_only_if_the_tag_has_the_form_of_a_git_sha(tag: str, commit: str | None) -> None:
    assert find_commit_in_tag(tag) == commit


@pytest.mark.parametrize("setting", ["", "variable:", "variable:A B", "label:", "label:a b", "tags", "commit"])
def test_an_unknown_commit_source_is_refused(setting: str) -> None:
    with pytest.raises(ValidationError, match="commit_from"):
        ServiceSettings(name="a", cluster="c", ecs_service="s", container="api", commit_from=setting)


def test_a_commit_may_come_from_a_variable_of_another_name() -> None:
    source = CommitSource.of("variable:REVISION")
    assert source.find_commit({"REVISION": f" {SHA} ", "GIT_COMMIT": "x"}, "tag") == SHA
    assert source.find_commit({"GIT_COMMIT": "x"}, SHA) is None
    assert source.find_commit({"REVISION": " "}, SHA) is None


def recorded_commit(commit_from: str, tag: str, **label: str) -> str | None:
    """Record a release with this tag and label, and return its commit in the ledger."""
    simulation = Simulation()
    settings = simulation.service_settings.model_copy(update={"commit_from": commit_from})
    simulation.replace(settings=simulation.ports.settings.model_copy(update={"services": (settings,)}))
    task_definition = definition("v1")
    task_definition["containerDefinitions"][0]["image"] = f"{image('v1').partition('@')[0]}:{tag}"
    task_definition["containerDefinitions"][0]["environment"] = [{"name": "GIT_COMMIT", "value": "from-a-variable"}]
    simulation.images.push(task_definition["containerDefinitions"][0]["image"], image("v1").partition("@")[2])
    simulation.images.labels[image("v1")] = {REVISION: label["revision"]} if label else {}
    arn = simulation.services.register_release(task_definition, FAMILY)
    simulation.services.run(arn, desired_count=2, created_at=NOW - timedelta(minutes=12))
    record_running(SERVICE, simulation.ports)
    (release,) = simulation.ledger.releases(SERVICE)
    return release.commit


def test_a_release_is_recorded_with_the_commit_that_the_setting_points_at() -> None:
    assert recorded_commit("variable:GIT_COMMIT", "sha-4f5e6d7", revision=SHA) == "from-a-variable"
    assert recorded_commit("tag", "sha-4f5e6d7", revision=SHA) == "4f5e6d7"
    assert recorded_commit(f"label:{REVISION}", "v1", revision=SHA) == SHA
    assert recorded_commit(f"label:{REVISION}", "v1") is None
    assert recorded_commit(f"label:{REVISION}", "v1", revision="x" * 100_000) != "x" * 100_000


def test_a_release_is_recorded_without_a_commit_while_the_registry_is_down(monkeypatch: pytest.MonkeyPatch) -> None:
    def down(self: Any, image: str, name: str) -> str:
        raise ExternalServiceError("ECR does not answer")

    monkeypatch.setattr("fakes.aws.images.FakeImages.label", down)
    assert recorded_commit(f"label:{REVISION}", "v1", revision=SHA) is None


# ECR's answers


BLOB = json.dumps({"config": {"Labels": {REVISION: SHA}}}).encode()
DIGEST = f"sha256:{hashlib.sha256(BLOB).hexdigest()}"
CHILD = f"sha256:{'c' * 64}"
MANIFEST = {"config": {"mediaType": "application/vnd.oci.image.config.v1+json", "digest": DIGEST}}
INDEX = {
    "manifests": [
        {"digest": f"sha256:{'a' * 64}", "platform": {"os": "unknown", "architecture": "unknown"}},
        {"digest": CHILD, "platform": {"os": "linux", "architecture": "arm64"}},
    ]
}


@contextmanager
def registry(*answers: tuple[str, Any], blob: bytes = BLOB) -> Iterator[EcrImages]:
    """Stub ECR with these answers alone, and S3 with the blob."""
    client = boto3.client("ecr", region_name="eu-west-1", aws_access_key_id="testing", aws_secret_access_key="testing")
    with Stubber(client) as stub:
        for operation, answer in answers:
            if isinstance(answer, str):
                stub.add_client_error(operation, answer)
            else:
                stub.add_response(operation, answer)
        yield EcrImages(lambda _: client, lambda _: blob)
        stub.assert_no_pending_responses()


def manifest(value: Any) -> tuple[str, Any]:
    text = value if isinstance(value, str) else json.dumps(value)
    return "batch_get_image", {"images": [{"imageManifest": text}]}


ADDRESS = ("get_download_url_for_layer", {"downloadUrl": "https://s3.test/blob", "layerDigest": DIGEST})


def test_the_label_comes_from_the_configuration_that_the_manifest_names() -> None:
    with registry(manifest(MANIFEST), ADDRESS) as images:
        assert images.label(image("v1"), REVISION) == SHA


def test_the_label_of_a_multi_architecture_image_comes_from_one_manifest_and_no_attestation() -> None:
    with registry(manifest(INDEX), manifest(MANIFEST), ADDRESS) as images:
        assert images.label(image("v1"), REVISION) == SHA


def test_an_annotation_of_an_index_needs_no_other_call() -> None:
    with registry(manifest({**INDEX, "annotations": {REVISION: SHA}})) as images:
        assert images.label(image("v1"), REVISION) == SHA


def test_a_configuration_with_another_digest_is_ignored() -> None:
    with registry(manifest(MANIFEST), ADDRESS, blob=BLOB[:-1]) as images:
        assert images.label(image("v1"), REVISION) is None


@pytest.mark.parametrize(
    "malformed",
    ["no JSON", "[]", {"config": 5}, {"config": {"digest": 5}}, {"manifests": [5]}, {"annotations": []}],
    ids=str,
)
def test_a_manifest_of_another_shape_has_no_label(malformed: Any) -> None:
    with registry(manifest(malformed)) as images:
        assert images.label(image("v1"), REVISION) is None


def test_a_label_without_read_permission_is_unknown() -> None:
    with registry(manifest(MANIFEST), ("get_download_url_for_layer", "AccessDeniedException")) as images:
        assert images.label(image("v1"), REVISION) is None
    with registry(("batch_get_image", "RepositoryNotFoundException")) as images:
        assert images.label(image("v1"), REVISION) is None


def test_a_failing_registry_raises_an_external_error() -> None:
    with (
        registry(("batch_get_image", "ServerException")) as images,
        pytest.raises(ExternalServiceError, match="BatchGetImage"),
    ):
        images.label(image("v1"), REVISION)
