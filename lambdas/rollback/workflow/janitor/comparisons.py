"""End data-loss analyses that are overdue, since their execution stopped or crashed.

The database function resumes younger ones (`workflow.resumed_comparisons`).
"""

from collections.abc import Iterator
from contextlib import suppress
from datetime import timedelta

from rollback.database.data_loss.step import stop_comparison
from rollback.domain.rollback import Rollback
from rollback.errors import Conflict
from rollback.ports.all_ports import AllPorts
from rollback.workflow.report_steps import REPORT_RUNNER
from rollback.workflow.route import Step, next_step


def end_overdue_comparison(rollback: Rollback, ports: AllPorts) -> Iterator[str]:
    """End a comparison that exceeds its time limit, and report what is known.

    Args:
        rollback: a concluded rollback whose data loss report is due.
        ports: ports under the rollback's own settings.
    """
    comparison = rollback.database.data_loss_analysis if rollback.database is not None else None
    if comparison is None:
        return
    database, policy, now = ports.settings.database, ports.settings.policy, ports.clock.now()
    minutes = database.data_loss_timeout_minutes if database is not None else 0
    limit = timedelta(minutes=minutes) + 2 * timedelta(seconds=policy.database_timeout_seconds)
    with suppress(Conflict):
        if comparison.ended_at is None and now - comparison.began_at > limit:
            stopped_rollback = stop_comparison(rollback, "its execution ended before the comparison did", now)
            rollback = ports.ledger.save(stopped_rollback)
        if next_step(rollback) is Step.CONCLUDE:
            cursor = REPORT_RUNNER.run(rollback.id, Step.CONCLUDE, ports)
            yield f"{rollback.id}: data loss, {cursor.next}"
