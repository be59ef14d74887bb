"""The plan of a rollback: from what, to what, and the checks that allowed or refused it."""

from datetime import datetime

from pydantic import BaseModel, ConfigDict

from rollback.model.check import Check, Verdict
from rollback.model.database_plan import DatabasePlan
from rollback.model.names import SYNONYMS_OF_LAST_KNOWN_GOOD
from rollback.model.policy import Policy
from rollback.model.release import Release, ReleaseState, last_known_good
from rollback.model.request import Request, RollbackType, Trigger


class Plan(BaseModel):
    """What would be done; nothing is changed before a plan stands."""

    model_config = ConfigDict(frozen=True, extra="ignore")  # a newer version may have written it

    running: Release
    target: Release | None
    database: DatabasePlan | None = None
    checks: tuple[Check, ...]

    @property
    def way(self) -> str:
        """From what to what, in versions; and where the data goes."""
        versions = f"{self.running.version} → {self.target.version if self.target else 'nothing'}"
        if self.database is None:
            return versions
        stays = self.target is not None and self.target.fingerprint == self.running.fingerprint
        return self.database.in_words if stays else f"{versions}, {self.database.in_words}"

    def refusals(self, *, forced: bool) -> tuple[Check, ...]:
        """Checks that forbid acting."""
        return tuple(c for c in self.checks if c.verdict is Verdict.FAIL and not (forced and c.forceable))


def choose_target(request: Request, releases: tuple[Release, ...], running: Release) -> Release | None:
    """The release to go back to: the last known good, or the newest one with the version that was asked for."""
    if request.target_version is None or request.target_version in SYNONYMS_OF_LAST_KNOWN_GOOD:
        return last_known_good(releases, running.fingerprint)
    named = [r for r in releases if r.version == request.target_version]
    return max(named, key=lambda r: r.first_deployed_at, default=None)


def judge(
    request: Request,
    trigger: Trigger,
    releases: tuple[Release, ...],
    running: Release,
    policy: Policy,
    now: datetime,
    target: Release | None = None,
    *,
    goes_on: bool = False,
) -> Plan:
    """The plan as far as the ledger alone can judge it; checks that look at AWS are added by the Plan step.

    Args:
        target: chosen already (by the rollback that this one goes on with, or from the standing plan).
        goes_on: that release is being left already, for reasons that were judged then.
    """
    target = target or choose_target(request, releases, running)
    if request.type is RollbackType.DATABASE:  # what runs stays; to whose data one goes back is the database's part
        return Plan(running=running, target=running, checks=())
    checks = [_target_exists(request, releases, target)]
    if target is not None:
        checks += [
            _target_is_another(target, running, is_undo=request.undo is not None),
            _target_is_good(target, is_undo=request.undo is not None),
        ]
    if trigger is not Trigger.MANUAL and not goes_on:
        checks.append(_release_is_suspicious(running, policy, now))
    return Plan(running=running, target=target, checks=tuple(checks))


def _target_exists(request: Request, releases: tuple[Release, ...], target: Release | None) -> Check:
    if target is not None:
        reason = f"release {target.version} is in the ledger ({target.state})"
        return Check(
            name="target-exists", verdict=Verdict.PASS, reason=reason, evidence={"fingerprint": target.fingerprint}
        )
    known = sorted({r.version for r in releases})
    wanted = request.target_version or "the last known good"
    listed = ", ".join(known) or "none"
    reason = f"there is no release to go back to: {wanted} is not in the ledger; known versions: {listed}"
    return Check(name="target-exists", verdict=Verdict.FAIL, reason=reason, evidence={"known": known})


def _target_is_another(target: Release, running: Release, *, is_undo: bool) -> Check:
    """A rollback that failed half way may never have come to leave what an undo of it brings back: the data counts."""
    same = target.fingerprint == running.fingerprint
    reason = (
        f"{running.version} runs already" if same else f"{running.version} runs, {target.version} is another release"
    )
    against = Verdict.WARN if is_undo else Verdict.FAIL
    return Check(name="target-differs", verdict=against if same else Verdict.PASS, reason=reason)


def _target_is_good(target: Release, *, is_undo: bool) -> Check:
    """An undo brings back what its rollback left, which is suspect for that very reason."""
    match target.state:
        case ReleaseState.PROMOTED:
            verdict, reason = Verdict.PASS, f"{target.version} was promoted on {target.state_since:%Y-%m-%d %H:%M} UTC"
        case ReleaseState.CANDIDATE:
            verdict, reason = Verdict.WARN, f"{target.version} was never promoted: there is no evidence that it is good"
        case ReleaseState.SUSPECT | ReleaseState.QUARANTINED:
            verdict, reason = (
                Verdict.WARN if is_undo else Verdict.FAIL,
                f"{target.version} is {target.state}: {target.state_reason or 'a rollback left it'}",
            )
    return Check(name="target-is-good", verdict=verdict, reason=reason, forceable=True)


def _release_is_suspicious(running: Release, policy: Policy, now: datetime) -> Check:
    minutes = (now - running.first_deployed_at).total_seconds() / 60
    evidence = {"state": running.state, "minutes_since_first_deployed": round(minutes, 1)}
    if running.is_proven_and_old(now, policy.correlation_window_minutes):
        reason = (
            f"not the release: {running.version} is promoted and has been deployed for {minutes:.0f} minutes, longer "
            f"than the correlation window of {policy.correlation_window_minutes:g}; look for another cause"
        )
        return Check(
            name="release-is-the-cause", verdict=Verdict.FAIL, reason=reason, evidence=evidence, suppresses=True
        )
    reason = (
        f"{running.version} is {running.state} and was first deployed {minutes:.0f} minutes ago: it may be the cause"
    )
    return Check(name="release-is-the-cause", verdict=Verdict.PASS, reason=reason, evidence=evidence)
