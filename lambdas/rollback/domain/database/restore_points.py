"""Restore points: the database's position when a release began to take over, and the choice among them."""

from collections.abc import Callable, Iterable
from datetime import timedelta
from typing import Literal

from pydantic import AwareDatetime, BaseModel, ConfigDict

from rollback.domain.database.progress import RestorePoint
from rollback.domain.database.release_schema import ShippedMigration
from rollback.domain.releases.release import Release
from rollback.resources.database.wal_position import LsnText

SAME_DEPLOYMENT = timedelta(minutes=1)  # ECS gives a deployment's begin in two places, a moment apart


class RecordedPoint(BaseModel):
    """Position of one branch before one version of one service.

    Attributes:
        branch: its partition in the ledger (`settings.database.branch_key`).
        service: the service that the version belongs to.
        version: the version that is about to be deployed.
        at: time of the position by the database's clock.
        lsn: position in the write-ahead log.
        recorded_at: time by our clock. A deployment's point has the deployment's begin, so that a second event records
            no second point.
        by: `checkpoint` is a pipeline's `rollback checkpoint` before the migrations ran. `deployment` is the start of
            a deployment, perhaps after they ran.
        timeline: Neon's identity of the history that `lsn` is a position in (`database.preflight.branch_history`);
            None: not known.
        shipped: migrations of the version, as the pipeline read them; None: the pipeline recorded none.
        schema_sha256: key of the stored `ReleaseSchema` with the tables and the journal at that point; None: unknown.
    """

    model_config = ConfigDict(frozen=True, extra="ignore")  # a newer version may have written it

    branch: str
    service: str
    version: str
    at: AwareDatetime
    lsn: LsnText
    recorded_at: AwareDatetime
    by: Literal["checkpoint", "deployment"]
    timeline: str | None = None
    shipped: tuple[ShippedMigration, ...] | None = None
    schema_sha256: str | None = None

    @property
    def point(self) -> RestorePoint:
        """The part that a restore needs."""
        return RestorePoint(at=self.at, lsn=self.lsn, timeline=self.timeline)


def find_start_point(release: Release, points: Iterable[RecordedPoint]) -> RecordedPoint | None:
    """Find the point before a release: the pipeline's last one before the first deployment, else the deployment's."""
    return next(iter(points_before(release, points)), None)


def points_before(release: Release, points: Iterable[RecordedPoint]) -> tuple[RecordedPoint, ...]:
    """List all points before a release, best first: the pipeline's, newest first, then the deployment's.

    A pipeline job that runs again records another checkpoint, perhaps after the migrations. The one before is then the
    right one. A version that is deployed again may have later points, which do not belong to its first deployment.
    """
    release_points = [p for p in points if (p.service, p.version) == (release.service, release.version)]
    checkpoints = [p for p in release_points if p.by == "checkpoint" and p.recorded_at <= release.first_deployed_at]
    # Earlier points belong to another release of the same version: the same image with other variables.
    earliest = release.first_deployed_at - SAME_DEPLOYMENT
    deployment_points = [p for p in release_points if p.by == "deployment" and p.recorded_at >= earliest]
    newest_first = sorted(checkpoints, key=lambda p: p.recorded_at, reverse=True)
    return (*newest_first, *sorted(deployment_points, key=lambda p: p.recorded_at)[:1])


def choose_restore_point(
    target: Release,
    releases: Iterable[Release],
    points: Iterable[RecordedPoint],
    fits: Callable[[RecordedPoint], bool],
) -> tuple[RecordedPoint | None, Release | None]:
    """Choose the latest point that the target can work with, so that as few rows as possible are lost.

    Each release after the target has points before it. If none of them is known to fit, the choice is the point at
    which the next release began: until then the target ran. Earlier points of a release count only from the target's
    own time: before that, another release wrote the data.

    Args:
        target: the release to go back to.
        releases: all releases of the service.
        points: recorded points of the branch.
        fits: whether the target is known to work with the tables of a point.

    Returns:
        The point and the release after it. The point is None if none is known. Both are None if no release followed.
    """
    all_points = tuple(points)
    later_releases = [
        r for r in releases if r.service == target.service and r.first_deployed_at > target.first_deployed_at
    ]
    later_releases.sort(key=lambda r: r.first_deployed_at, reverse=True)
    for release in later_releases:
        release_points = points_before(release, all_points)
        candidates = (
            *release_points[:1],
            *(p for p in release_points[1:] if p.recorded_at >= target.first_deployed_at),
        )
        point = next((p for p in candidates if fits(p)), None)
        if point is not None:
            return point, release
    return (find_start_point(later_releases[-1], all_points), later_releases[-1]) if later_releases else (None, None)
