"""Service revision of PRIMARY, for every status and for answers of ECS from different times."""

from datetime import timedelta

import pytest
from support.builders import NOW

from rollback.resources.aws.ecs_service import Deployment, ServiceDeployment
from rollback.resources.aws.primary_revision import primary_revision

GOOD, BAD, OTHER = "r/good", "r/bad", "r/other"
SAME = {GOOD: "d/1", BAD: "d/1"}  # one definition, deployed again by force
LATER, ENDED = NOW + timedelta(minutes=5), NOW + timedelta(minutes=8)


def primary(rollout: str = "COMPLETED", **changes: object) -> Deployment:
    fields = {"id": "ecs-svc/2", "is_primary": True, "definition_arn": "d/1", "rollout_state": rollout}
    return Deployment.model_validate({**fields, "running_count": 2, "created_at": NOW, **changes})


def newest(status: str, **changes: object) -> ServiceDeployment:
    fields: dict[str, object] = {
        "arn": "sd",
        "status": status,
        "target_definition_arn": "d/1",
        "target_revision_arn": BAD,
    }
    fields |= {"source_definition_arn": "d/1", "source_revision_arn": GOOD, "created_at": NOW}
    if status.startswith("ROLLBACK"):
        fields["rollback_revision_arn"] = GOOD
    return ServiceDeployment.model_validate({**fields, **changes})


@pytest.mark.parametrize(
    ("status", "rollout", "runs"),
    [
        ("PENDING", "COMPLETED", None),  # PRIMARY may still be the former revision
        ("PENDING", "IN_PROGRESS", None),
        ("IN_PROGRESS", "IN_PROGRESS", BAD),
        ("IN_PROGRESS", "FAILED", BAD),
        ("IN_PROGRESS", "COMPLETED", None),  # one of the two answers is old
        ("STOP_REQUESTED", "IN_PROGRESS", BAD),
        ("SUCCESSFUL", "COMPLETED", BAD),
        ("SUCCESSFUL", "", BAD),  # behind a Classic Load Balancer
        ("SUCCESSFUL", "IN_PROGRESS", None),
        ("STOPPED", "FAILED", BAD),
        ("STOPPED", "COMPLETED", None),
        ("ROLLBACK_REQUESTED", "IN_PROGRESS", GOOD),
        ("ROLLBACK_IN_PROGRESS", "IN_PROGRESS", GOOD),
        ("ROLLBACK_IN_PROGRESS", "COMPLETED", None),
        ("ROLLBACK_SUCCESSFUL", "COMPLETED", GOOD),
        ("ROLLBACK_FAILED", "FAILED", GOOD),
        ("ROLLBACK_FAILED", "IN_PROGRESS", None),
        ("A_STATUS_OF_TOMORROW", "COMPLETED", None),
    ],
)
def test_the_deployment_status_decides_between_two_revisions_of_one_definition(
    status: str, rollout: str, runs: str | None
) -> None:
    assert primary_revision([primary(rollout)], newest(status), {GOOD, BAD}, SAME) == runs


def test_the_primary_revision_is_unknown_until_ecs_names_the_rollback_revision() -> None:
    going = newest("ROLLBACK_IN_PROGRESS", rollback_revision_arn=None)
    assert primary_revision([primary("IN_PROGRESS")], going, {GOOD, BAD}, SAME) is None


def test_a_failed_deployment_beside_the_primary_shows_that_the_primary_is_not_the_target() -> None:
    """ECS has rolled back, and DescribeServiceDeployments still says IN_PROGRESS."""
    failed_deployment = primary("FAILED", id="ecs-svc/1", is_primary=False)
    deployments = [primary("IN_PROGRESS", created_at=LATER), failed_deployment]
    assert primary_revision(deployments, newest("IN_PROGRESS"), {GOOD, BAD}, SAME) is None


def test_a_primary_from_before_the_newest_service_deployment_is_not_its_target() -> None:
    earlier_primary = primary("IN_PROGRESS", created_at=NOW - timedelta(hours=1))
    assert primary_revision([earlier_primary], newest("IN_PROGRESS"), {GOOD, BAD}, SAME) is None


def test_a_revision_that_is_not_among_the_current_ones_does_not_run() -> None:
    assert primary_revision([primary()], newest("SUCCESSFUL"), {GOOD}, SAME) is None


def test_a_primary_that_began_after_the_newest_deployment_ended_belongs_to_an_unlisted_deployment() -> None:
    ended_deployment = newest("SUCCESSFUL", finished_at=ENDED)
    later_primary = primary("IN_PROGRESS", created_at=ENDED + timedelta(minutes=1))
    assert primary_revision([later_primary], ended_deployment, {BAD}, {BAD: "d/1"}) is None
    assert primary_revision([primary(created_at=LATER)], ended_deployment, {BAD}, SAME) == BAD


def test_a_definition_of_only_one_revision_identifies_the_primary_revision() -> None:
    definitions = {GOOD: "d/1", BAD: "d/2"}
    for status in ("PENDING", "IN_PROGRESS", "ROLLBACK_IN_PROGRESS", "SUCCESSFUL"):
        assert primary_revision([primary()], newest(status), {GOOD, BAD}, definitions) == GOOD


def test_the_only_current_revision_of_the_definition_counts_without_a_service_deployment() -> None:
    assert primary_revision([primary()], None, {GOOD}, SAME) == GOOD
    assert primary_revision([primary()], None, {GOOD, BAD}, SAME) is None
    assert primary_revision([primary()], None, (), {}) is None
