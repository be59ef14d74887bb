"""The plan of a rollback: the running release, the target, and the checks that allow or refuse the rollback."""

from datetime import datetime

from pydantic import AwareDatetime, BaseModel, ConfigDict, Field

from rollback.check import Check, Verdict
from rollback.domain.changes.planned_changes import PlannedChanges
from rollback.domain.database.plan import DatabasePlan
from rollback.domain.releases.release import Release, ReleaseState
from rollback.domain.releases.release_names import NameMatch, describe_release, find_last_known_good, find_release
from rollback.domain.request import Request, RollbackType, Trigger
from rollback.domain.settings.policy import Policy

_MAX_LISTED = 8


class ServiceBaseline(BaseModel):
    """The service before a drill, which must be the same after it."""

    model_config = ConfigDict(frozen=True, extra="ignore")  # a newer version may have written it

    definition_arn: str
    desired_count: int
    deployment_id: str = Field(description="PRIMARY's; the drill's restart replaces it")
    rollback_target: str = Field(default="", description="version to which a real rollback would go; empty: none")


class Plan(BaseModel):
    """The plan of a rollback; nothing is changed before the plan is made."""

    model_config = ConfigDict(frozen=True, extra="ignore")  # a newer version may have written it

    running: Release
    target: Release | None
    database: DatabasePlan | None = None
    checks: tuple[Check, ...]
    skipped_last_known_good: str = Field(
        default="", description="version of the last known good, if it can't be run and the target is another release"
    )
    is_operator_choice: bool = Field(
        default=False,
        description="an operator named the target or an undo, for this rollback or the one that it continues",
    )
    baseline: ServiceBaseline | None = Field(
        default=None, description="the service before a drill; None: the rollback is no drill"
    )
    newest_deployment_at: AwareDatetime | None = Field(
        default=None, description="when the newest deployment that the plan knew of began, as ECS reports it"
    )
    changes: PlannedChanges | None = Field(
        default=None,
        description="changes that the rollback would make; None: not listed, since the rollback made them at once",
        exclude_if=lambda value: value is None,
    )

    @property
    def summary(self) -> str:
        """The running and the target version, and the database's part, for display."""
        if self.baseline is not None:
            return self._drill_summary(self.baseline)
        versions = f"{self.running.version} → {self.target.version if self.target else 'nothing'}"
        if self.database is None:
            return versions
        keeps_release = self.target is not None and self.target.fingerprint == self.running.fingerprint
        return self.database.in_words if keeps_release else f"{versions}, {self.database.in_words}"

    def _drill_summary(self, baseline: ServiceBaseline) -> str:
        version = self.running.version
        if self.database is not None:
            return f"drill: the restore point before {version} was checked on a preview branch; {version} keeps running"
        return f"drill: restart of {version}; a rollback would go to {baseline.rollback_target or 'no release'}"

    def refusals(self, *, forced: bool) -> tuple[Check, ...]:
        """Failed checks that forbid acting.

        Args:
            forced: whether `--force` overrides forceable checks.
        """
        return tuple(c for c in self.checks if c.verdict is Verdict.FAIL and not (forced and c.is_forceable))


def choose_target(request: Request, releases: tuple[Release, ...], running: Release) -> NameMatch:
    """Choose the target: the last known good, or the release that the request names (`release_names`)."""
    if request.target_version is None:
        return find_last_known_good(releases, running.fingerprint)
    return find_release(request.target_version, releases, running.fingerprint)


def draft_plan(
    request: Request,
    trigger: Trigger,
    releases: tuple[Release, ...],
    running: Release,
    policy: Policy,
    now: datetime,
    target: Release | None = None,
    *,
    is_continuation: bool = False,
    triggered_at: datetime | None = None,
) -> Plan:
    """Draft the plan with the checks that need only the ledger; the plan pipeline adds the checks of AWS.

    Args:
        request: the request.
        trigger: the trigger.
        releases: releases that the request may mean.
        running: the release to replace.
        policy: the environment's policy.
        now: the present time.
        target: target release that a resumed rollback or the standing plan chose; None: `draft_plan` chooses.
        is_continuation: the rollback continues another, which judged the running release when it began.
        triggered_at: time of the event that triggered the rollback; None: no event did.
    """
    match = NameMatch(target) if target is not None else choose_target(request, releases, running)
    target = match.release
    if request.type is RollbackType.DATABASE:  # the release stays: the database's part chooses the data
        return Plan(running=running, target=running, checks=())
    checks = [check_target_exists(match, releases)]
    if target is not None:
        checks += [
            _check_target_differs(target, running, releases, is_undo=request.undo is not None),
            _check_target_is_good(target, is_undo=request.undo is not None),
        ]
    if trigger is not Trigger.MANUAL and not is_continuation:
        checks.append(_check_release_is_cause(running, policy, now, triggered_at))
    return Plan(running=running, target=target, checks=tuple(checks))


def check_target_exists(match: NameMatch, releases: tuple[Release, ...]) -> Check:
    """Check that the requested name means one release; a failed check lists the releases that the name may mean."""
    target = match.release
    if target is not None:
        reason = f"release {target.version} is in the ledger ({target.state})"
        return Check.passed("target-is-identified", reason, evidence={"fingerprint": target.fingerprint})
    if match.candidates:
        evidence = {"candidates": [describe_release(release, releases) for release in match.candidates]}
        return Check.failed("target-is-identified", match.reason, evidence=evidence)
    reason = f"there is no release to go back to: {match.reason}"
    known_versions = sorted({r.version for r in releases})
    return Check.failed("target-is-identified", reason, evidence={"known": known_versions})


def _check_target_differs(target: Release, running: Release, releases: tuple[Release, ...], *, is_undo: bool) -> Check:
    """Check that the target does not run already; an undo only warns, since its data is restored."""
    is_same_release = target.fingerprint == running.fingerprint
    others_of_version = [r for r in releases if r.version == target.version and r.fingerprint != target.fingerprint]
    if is_same_release and others_of_version:  # several releases have this version: name them all
        named_others = "; ".join(describe_release(other, releases) for other in others_of_version[:_MAX_LISTED])
        reason = (
            f"{describe_release(running, releases)} runs already; to go back to another one, name it: {named_others}"
        )
    elif is_same_release:
        reason = f"{running.version} runs already"
    else:
        reason = f"{running.version} runs, {target.version} is another release"
    objection = Verdict.WARN if is_undo else Verdict.FAIL
    return Check(name="target-differs", verdict=objection if is_same_release else Verdict.PASS, reason=reason)


def _check_target_is_good(target: Release, *, is_undo: bool) -> Check:
    """Check the target's evidence. An undo brings back a release that is suspect since its rollback left it."""
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
    return Check(name="target-is-good", verdict=verdict, reason=reason, is_forceable=True)


def _check_release_is_cause(running: Release, policy: Policy, now: datetime, triggered_at: datetime | None) -> Check:
    minutes = (now - running.first_deployed_at).total_seconds() / 60
    evidence = {"state": running.state, "minutes_since_first_deployed": round(minutes, 1)}
    if running.is_proven_and_old(now, policy.correlation_window_minutes, triggered_at):
        reason = (
            f"not the release: {running.version} is promoted and has been deployed for {minutes:.0f} minutes, longer "
            f"than the correlation window of {policy.correlation_window_minutes:g}; look for another cause"
        )
        return Check.failed("release-is-the-cause", reason, evidence=evidence, suppresses=True)
    since = " since the trigger only" if running.is_promoted_after(triggered_at) else ""
    reason = (
        f"{running.version} is {running.state}{since} and was first deployed {minutes:.0f} minutes ago: it may be the "
        "cause"
    )
    return Check.passed("release-is-the-cause", reason, evidence=evidence)
