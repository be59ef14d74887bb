"""Restore points: where a database stood when a release began to take it over, and which one a rollback goes to."""

from collections.abc import Callable, Iterable
from datetime import timedelta
from typing import Literal

from pydantic import AwareDatetime, BaseModel, ConfigDict

from rollback.domain.database.progress import RestorePoint
from rollback.domain.database.release_schema import ShippedMigration
from rollback.domain.releases.release import Release
from rollback.resources.database.wal_position import LsnText

SAME_DEPLOYMENT = timedelta(minutes=1)  # ECS tells when it began in two places, a moment apart


class RecordedPoint(BaseModel):
    """Of one branch, before one version of one service. `at` is the database's clock.

    Attributes:
        branch: its partition in the ledger (`database_settings.branch_key`).
        recorded_at: by our clock; of a deployment's: when that began, so that a second event makes no second point.
        by: a pipeline's `rollback checkpoint`, before the migrations ran; or a deployment's start, perhaps after.
        timeline: Neon's identity of the history that `lsn` is a position in (`model.branch_history`); None: not known.
        shipped: the migrations of the version, as the pipeline read them; None: nobody told.
        schema_sha256: key of the stored `ReleaseSchema` with the tables and the journal at that point.
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
        """What a restore needs of it."""
        return RestorePoint(at=self.at, lsn=self.lsn, timeline=self.timeline)


def find_start_point(release: Release, points: Iterable[RecordedPoint]) -> RecordedPoint | None:
    """The point before a release: the pipeline's last one before its first deployment, else the deployment's own."""
    return next(iter(points_before(release, points)), None)


def points_before(release: Release, points: Iterable[RecordedPoint]) -> tuple[RecordedPoint, ...]:
    """All points before a release, best first: the pipeline's, newest first, then the one of the deployment's start.

    A pipeline job that is run again makes another checkpoint, which may come after the migrations: the one before is
    then the good one. A version that is deployed again later may have points of later times: those are not about its
    beginning.
    """
    of_it = [p for p in points if (p.service, p.version) == (release.service, release.version)]
    before = [p for p in of_it if p.by == "checkpoint" and p.recorded_at <= release.first_deployed_at]
    # Earlier ones are of another release that has the same version: the same image, deployed with other variables.
    own = [p for p in of_it if p.by == "deployment" and p.recorded_at >= release.first_deployed_at - SAME_DEPLOYMENT]
    newest_first = sorted(before, key=lambda p: p.recorded_at, reverse=True)
    return (*newest_first, *sorted(own, key=lambda p: p.recorded_at)[:1])


def choose_restore_point(
    target: Release,
    releases: Iterable[Release],
    points: Iterable[RecordedPoint],
    fits: Callable[[RecordedPoint], bool],
) -> tuple[RecordedPoint | None, Release | None]:
    """The latest point that the target can work with, so that as little as possible is lost; and the release after it.

    Each release after the target has points before it. Where none of them is known to fit, it is the one at which the
    target's own time ended: what ran there was the target. None: nothing was deployed after it, or no point is known.
    A release's earlier points count only from the target's own time: before that, the data was another release's.

    Args:
        fits: whether the target is known to work with the tables that were there at a point.
    """
    known = tuple(points)
    later = [r for r in releases if r.service == target.service and r.first_deployed_at > target.first_deployed_at]
    later.sort(key=lambda r: r.first_deployed_at, reverse=True)
    for release in later:
        before = points_before(release, known)
        candidates = (*before[:1], *(p for p in before[1:] if p.recorded_at >= target.first_deployed_at))
        point = next((p for p in candidates if fits(p)), None)
        if point is not None:
            return point, release
    return (find_start_point(later[-1], known), later[-1]) if later else (None, None)
