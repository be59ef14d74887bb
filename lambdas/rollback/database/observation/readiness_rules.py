"""Judge from the last observation whether the database could be restored, if a rollback needs that."""

from datetime import datetime, timedelta

from rollback.check import Check, Verdict
from rollback.domain.database.branch_observation import Observation
from rollback.domain.database.schema_verdict import Compatibility, SchemaVerdict

CHECK_NAME = "restore-point-is-available"
_MISSED_OBSERVATIONS = 2  # one observation may be late; two missing ones are a fault


def unchecked_restore_point(reason: str) -> Check:
    """Skip the check: there is no database that is observed ahead of need."""
    return Check.skipped(CHECK_NAME, reason)


def check_restore_available(
    observation: Observation | None, service: str, verdict: SchemaVerdict | None, observe_minutes: float, now: datetime
) -> Check:
    """Combine the last observation's checks of one service into one check.

    Without deployments, a restore point leaves Neon's history after some days. So a failure counts only if the service
    can't go back alone.

    Args:
        verdict: verdict on the rollback's target with the live schema; None: there is no target.
    """
    if observation is None:
        return _check(Verdict.WARN, "the database has not been observed yet: the next scheduled run observes it")
    age = now - observation.observed_at
    if age > _MISSED_OBSERVATIONS * timedelta(minutes=observe_minutes):
        reason = (
            f"the database was last observed on {observation.observed_at:%Y-%m-%d %H:%M} UTC, "
            f"{age.total_seconds() / 60:.0f} minutes ago: read the database function's log"
        )
        return _check(Verdict.WARN, reason)
    objections = [c for c in observation.checks_for(service) if c.verdict in (Verdict.FAIL, Verdict.WARN)]
    if not objections:
        return _check(
            Verdict.PASS, f"the database could be rolled back, observed {observation.observed_at:%Y-%m-%d %H:%M} UTC"
        )
    reason = "; ".join(f"{c.name}: {c.reason}" for c in objections)
    if all(c.verdict is Verdict.WARN for c in objections):
        return _check(Verdict.WARN, reason)
    if verdict is None or verdict.compatibility is Compatibility.COMPATIBLE:
        return _check(
            Verdict.WARN,
            f"the service can be rolled back without the database, but the database could not be rolled back: {reason}",
        )
    return _check(
        Verdict.FAIL, f"a rollback must include the database, and the database could not be rolled back: {reason}"
    )


def _check(verdict: Verdict, reason: str) -> Check:
    return Check(name=CHECK_NAME, verdict=verdict, reason=reason)
