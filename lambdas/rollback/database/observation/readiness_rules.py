"""Could the database go back, if the way back needed it? Told from the last look at it; kept with the standing plan."""

from datetime import datetime, timedelta

from rollback.check import Check, Verdict
from rollback.domain.database.branch_observation import Observation
from rollback.domain.database.schema_verdict import Compatibility, SchemaVerdict

CHECK_NAME = "restore-point"
_MISSED_OBSERVATIONS = 2  # one may be late; two are none


def unchecked_restore_point(why: str) -> Check:
    """There is no database whose way back could be looked at ahead of need."""
    return Check.skipped(CHECK_NAME, why)


def check_restore_available(
    seen: Observation | None, service: str, verdict: SchemaVerdict | None, observe_minutes: float, now: datetime
) -> Check:
    """One check out of those of the last look that are about a service.

    A restore point that leaves Neon's history is a matter of days where nothing is deployed: it fails the way back
    only where the service can't go back alone.

    Args:
        verdict: of the way back's target on the live schema; None: there is no target.
    """
    if seen is None:
        return _check(Verdict.WARN, "the database has not been looked at yet: it is in the schedule's next round")
    age = now - seen.observed_at
    if age > _MISSED_OBSERVATIONS * timedelta(minutes=observe_minutes):
        reason = (
            f"the database was last looked at on {seen.observed_at:%Y-%m-%d %H:%M} UTC, "
            f"{age.total_seconds() / 60:.0f} minutes ago: look at the database function's log"
        )
        return _check(Verdict.WARN, reason)
    against = [c for c in seen.checks_for(service) if c.verdict in (Verdict.FAIL, Verdict.WARN)]
    if not against:
        return _check(Verdict.PASS, f"the database could go back, seen {seen.observed_at:%Y-%m-%d %H:%M} UTC")
    reason = "; ".join(f"{c.name}: {c.reason}" for c in against)
    if all(c.verdict is Verdict.WARN for c in against):
        return _check(Verdict.WARN, reason)
    if verdict is None or verdict.compatibility is Compatibility.COMPATIBLE:
        return _check(Verdict.WARN, f"the service can go back alone, but the database could not: {reason}")
    return _check(Verdict.FAIL, f"the way back needs the database, and it could not go back: {reason}")


def _check(verdict: Verdict, reason: str) -> Check:
    return Check(name=CHECK_NAME, verdict=verdict, reason=reason)
