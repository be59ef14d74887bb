"""States of many images, as ECR answers about them in batches."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import boto3
from botocore.stub import Stubber

from rollback.adapters.aws.ecr import EcrImages
from rollback.resources.aws.container_image import ImageState, ImageStatus

REGISTRY = "123456789012.dkr.ecr.eu-west-1.amazonaws.com"
NOT_FOUND = "ImageNotFoundException"


def digest(number: int) -> str:
    return f"sha256:{number:064x}"


def name(number: int, repository: str = "web") -> str:
    return f"{REGISTRY}/{repository}@{digest(number)}"


def found(*numbers: int, **details: Any) -> dict[str, Any]:
    return {"imageDetails": [{"imageDigest": digest(number), **details} for number in numbers]}


@contextmanager
def ecr(*answers: tuple[tuple[int, ...], dict[str, Any] | str], repository: str = "web") -> Iterator[EcrImages]:
    """Expect a request for each tuple of digests, and no other request."""
    client = boto3.client("ecr", region_name="eu-west-1", aws_access_key_id="testing", aws_secret_access_key="testing")
    with Stubber(client) as stub:
        for numbers, answer in answers:
            ids = [{"imageDigest": digest(number)} for number in numbers]
            request = {"registryId": "123456789012", "repositoryName": repository, "imageIds": ids}
            if isinstance(answer, str):
                stub.add_client_error("describe_images", answer, expected_params=request)
            else:
                stub.add_response("describe_images", answer, request)
        yield EcrImages(lambda _: client)
        stub.assert_no_pending_responses()


def test_a_hundred_images_are_described_by_one_request_each() -> None:
    batches = tuple(range(100)), tuple(range(100, 150))
    with ecr(*((batch, found(*batch)) for batch in batches)) as images:
        states = images.image_states([name(number) for number in range(150)])
    assert set(states.values()) == {ImageState(ImageStatus.AVAILABLE)}


def test_a_batch_with_a_missing_image_is_halved_until_the_missing_image_is_alone() -> None:
    answers: tuple[tuple[tuple[int, ...], dict[str, Any] | str], ...] = (
        ((1, 2, 3, 4), NOT_FOUND),
        ((1, 2), found(1, 2)),
        ((3, 4), NOT_FOUND),
        ((3,), found(3)),
        ((4,), NOT_FOUND),
    )
    with ecr(*answers) as images:
        states = images.image_states([name(number) for number in (1, 2, 3, 4)])
    assert [states[name(number)].status for number in (1, 2, 3)] == [ImageStatus.AVAILABLE] * 3
    assert states[name(4)] == ImageState(ImageStatus.MISSING, "ECR does not have the image")


def test_images_of_a_repository_that_is_gone_are_missing() -> None:
    with ecr(((1, 2), "RepositoryNotFoundException")) as images:
        states = images.image_states([name(1), name(2)])
    assert set(states.values()) == {ImageState(ImageStatus.MISSING, "ECR has no such repository")}


def test_images_that_ecr_refuses_to_describe_were_not_looked_at() -> None:
    with ecr(((1,), "AccessDeniedException")) as images:
        state = images.image_states([name(1)])[name(1)]
    assert state.status is ImageStatus.NOT_LOOKED_AT
    assert "DescribeImages" in state.reason
    assert "AccessDenied" in state.reason


def test_an_archived_image_is_not_available() -> None:
    with ecr(((1,), found(1, imageStatus="ARCHIVED"))) as images:
        state = images.image_states([name(1)])[name(1)]
    assert state == ImageState(ImageStatus.ARCHIVED, "ECR reports the status ARCHIVED")


def test_an_image_that_ecr_leaves_out_of_its_answer_is_missing() -> None:
    with ecr(((1, 2), found(1))) as images:
        assert images.image_states([name(1), name(2)])[name(2)].status is ImageStatus.MISSING
