"""The choice of a restore point: the newest point that the target is known to work with."""

from datetime import UTC, datetime, timedelta
from typing import Literal

from support.builders import release

from rollback.domain.database.restore_points import RecordedPoint, choose_restore_point, find_start_point
from rollback.resources.database.wal_position import Lsn

NOW = datetime(2026, 3, 1, 3, 0, tzinfo=UTC)
V1 = release("v1").model_copy(update={"first_deployed_at": NOW - timedelta(days=2)})
V2 = release("v2").model_copy(update={"first_deployed_at": NOW})


def point(minutes: float, schema: str, by: Literal["checkpoint", "deployment"] = "checkpoint") -> RecordedPoint:
    at = NOW - timedelta(minutes=minutes)
    return RecordedPoint(branch="b", service=V1.service, version="v2", at=at, lsn=Lsn(int(10_000 - minutes)),
                         recorded_at=at, by=by, schema_sha256=schema)  # fmt: skip


def fits(candidate: RecordedPoint) -> bool:
    return candidate.schema_sha256 == "fits"


def test_a_second_checkpoint_after_the_migrations_does_not_hide_the_first_checkpoint() -> None:
    """A pipeline job runs again as a whole: checkpoint, migrations, failed push; then checkpoint, no migrations."""
    first_point, second_point = point(20, "fits"), point(5, "broken")
    assert choose_restore_point(V1, [V1, V2], [second_point, first_point], fits) == (first_point, V2)


def test_the_newest_of_several_fitting_checkpoints_is_chosen() -> None:
    first_point, second_point = point(20, "fits"), point(5, "fits")
    assert choose_restore_point(V1, [V1, V2], [first_point, second_point], fits) == (second_point, V2)


def test_a_fitting_checkpoint_is_preferred_to_the_start_of_the_deployment() -> None:
    checkpoint, start_point = point(20, "fits"), point(0, "fits", "deployment")
    assert choose_restore_point(V1, [V1, V2], [start_point, checkpoint], fits) == (checkpoint, V2)


def test_the_start_of_the_deployment_is_chosen_if_only_that_point_fits() -> None:
    """For example, an operator reverted a migration between the checkpoint and the deployment."""
    checkpoint, start_point = point(20, "broken"), point(0, "fits", "deployment")
    assert choose_restore_point(V1, [V1, V2], [start_point, checkpoint], fits) == (start_point, V2)


def test_a_checkpoint_before_the_deployment_of_the_target_is_not_chosen() -> None:
    earlier_point, later_point = point(3 * 24 * 60, "fits"), point(5, "broken")
    assert choose_restore_point(V1, [V1, V2], [later_point, earlier_point], fits) == (later_point, V2)


def test_without_a_fitting_point_the_last_checkpoint_before_the_next_release_is_chosen() -> None:
    first_point, second_point = point(20, "unknown"), point(5, "unknown")
    assert choose_restore_point(V1, [V1, V2], [first_point, second_point], fits) == (second_point, V2)
    assert find_start_point(V2, [first_point, second_point]) == second_point
