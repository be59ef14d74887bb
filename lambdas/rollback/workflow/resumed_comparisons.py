"""Resume data-loss analyses whose execution stopped or crashed.

The database function resumes them on its own schedule, since only that function queries the database. The janitor ends
those that are overdue (`workflow.janitor.comparisons`).
"""

from collections.abc import Iterator
from contextlib import suppress
from datetime import timedelta

from rollback.database.data_loss.step import resume_comparison
from rollback.domain.rollback import Rollback
from rollback.errors import Conflict
from rollback.leases.holder import find_rollback
from rollback.ports.all_ports import AllPorts
from rollback.workflow.database_steps import DATABASE_RUNNER
from rollback.workflow.route import Step, next_step

_INVOCATION_GRACE = timedelta(minutes=2)  # a live execution invokes the function again within this time after a timeout


def resume_abandoned_comparisons(ports: AllPorts) -> Iterator[str]:
    """Run one round of every abandoned comparison.

    Yields:
        Each action, in one line.

    Raises:
        ExternalServiceError: Neon, Postgres or the ledger do not answer; the next schedule tries again.
    """
    for entry in ports.ledger.pending().items:
        rollback = find_rollback(entry.rollback_id, ports) if not entry.is_open else None
        if rollback is None or not _is_comparison_abandoned(rollback, ports.for_settings(rollback.settings)):
            continue
        with suppress(Conflict):  # an execution continues the comparison
            yield f"{rollback.id}: data loss, {_resume_comparison(rollback, ports)}"


def _is_comparison_abandoned(rollback: Rollback, ports: AllPorts) -> bool:
    comparison = rollback.database.data_loss_analysis if rollback.database is not None else None
    if comparison is None or next_step(rollback) is not Step.DATA_LOSS:
        return False
    limit = timedelta(seconds=ports.settings.policy.database_timeout_seconds) + _INVOCATION_GRACE
    return comparison.is_resumed or ports.clock.now() - comparison.seen_at > limit


def _resume_comparison(rollback: Rollback, ports: AllPorts) -> str:
    comparison = rollback.database.data_loss_analysis if rollback.database is not None else None
    if comparison is not None and not comparison.is_resumed:
        rollback = ports.ledger.save(resume_comparison(rollback, comparison, ports.clock.now()))
    is_done = DATABASE_RUNNER.run(rollback.id, Step.DATA_LOSS, ports).next is not Step.DATA_LOSS
    return "compared" if is_done else "not yet"
