"""Verdict from the ledger: plain SQL files of another writer count if they came after the release."""

from datetime import timedelta

import pytest
from simulations.database import ADDS, FIRST, DatabaseSimulation
from support.builders import SERVICE

from rollback.domain.database.migration_impact import unknown
from rollback.domain.database.release_schema import ShippedMigration
from rollback.domain.database.restore_points import RecordedPoint
from rollback.schema.verdict_from_ledger import schema_verdict

REWRITES = ShippedMigration(
    tag="one.sql", created_at=1, hash="e" * 64, impact=unknown("rows of jobs are rewritten"), tool="sql", id="one.sql"
)


@pytest.mark.parametrize(("was_there_before", "compatibility"), [(True, "compatible"), (False, "unknown")])
def test_a_plain_file_of_another_service_counts_only_if_it_came_after_the_release(
    was_there_before: bool, compatibility: str
) -> None:
    simulation = DatabaseSimulation(second=ADDS)
    v1, v2 = (next(r for r in simulation.ledger.releases(SERVICE) if r.version == name) for name in ("v1", "v2"))
    times = [v2.first_deployed_at, *([v1.first_deployed_at - timedelta(hours=1)] if was_there_before else [])]
    for at in times:
        simulation.ledger.put_restore_point(
            RecordedPoint(
                branch=simulation.branch_key,
                service="worker",
                version=f"w {at}",
                at=at,
                lsn=simulation.neon.position("br-1")[0],
                recorded_at=at,
                by="checkpoint",
                shipped=(REWRITES,),
            )
        )
    verdict = schema_verdict(v1, simulation.ports, v2)
    assert FIRST.tool == "drizzle"
    assert verdict is not None
    assert verdict.compatibility == compatibility, verdict.reason
