"""States of commits and deployments that a rollback calls for.

A commit status is a verdict on the commit, not on the rollback: `failure` means "was rolled back". A check mark at a
commit that was just rolled back would mislead readers and branch protection (decision 38).
"""

import re
from dataclasses import dataclass
from typing import assert_never

from rollback.domain.approval.gate import DecisionKind
from rollback.domain.releases.release import Release
from rollback.domain.request import RollbackType
from rollback.domain.rollback import Outcome, Rollback
from rollback.resources.github.commit_status import DESCRIPTION_LIMIT, CommitState, CommitStatus
from rollback.resources.github.deployment import DeploymentState, DeploymentStatus
from rollback.text import one_line

_LAST_BMP_CHARACTER = "\uffff"  # GitHub refused characters above in descriptions (docs/assumptions.md)


_SHA = re.compile(r"[0-9a-f]{7,40}", re.ASCII)


@dataclass(frozen=True)
class DeploymentVerdict:
    """Status of the newest deployment of one commit."""

    commit: str
    status: DeploymentStatus


def bad_commit(rollback: Rollback) -> str | None:
    """Return the commit of the release that the rollback replaces; None: it is not known, or no release is replaced."""
    if rollback.plan is None or rollback.plan.target is None or rollback.request.type is RollbackType.DATABASE:
        return None
    if rollback.is_drill:  # a drill replaces no release
        return None
    return commit_of(rollback.plan.running)


def commit_of(release: Release) -> str | None:
    """Return a release's commit if it is the SHA of one, or its beginning; a pipeline may record any text."""
    commit = (release.commit or "").lower()
    return commit if _SHA.fullmatch(commit) else None


def commit_status(rollback: Rollback, context: str, target_url: str) -> CommitStatus | None:
    """Return the status of the bad commit; None: the rollback says nothing about it.

    A rollback that only plans, or that was suppressed, is no verdict on a commit. Once another rollback took it over,
    that one sets the status.
    """
    plan = rollback.plan
    if plan is None or plan.target is None or bad_commit(rollback) is None or rollback.never_acts:
        return None
    if rollback.taken_over_by is not None:
        return None
    place = f"in {rollback.environment}"
    versions = f"{plan.running.version} → {plan.target.version}"
    match rollback.outcome:
        case None:
            if plan.refusals(forced=rollback.is_forced_by_operator):
                return None
            fact = "waits for an approval" if rollback.is_at_gate else "is under way"
            state, text = CommitState.PENDING, f"Rollback {place} {fact}: {versions}"
        case Outcome.SUCCEEDED:
            state, text = CommitState.FAILURE, f"Rolled back {place}: {versions}"
        case Outcome.REJECTED:
            state, text = _end_of_gate(rollback, place)
        case Outcome.FAILED:
            state, text = CommitState.ERROR, f"Rollback {place} failed: an operator has to act ({versions})"
        case Outcome.ABORTED:
            state, text = CommitState.ERROR, f"Rollback {place} was aborted ({versions})"
        case Outcome.REFUSED:
            state, text = CommitState.ERROR, f"Rollback {place} was refused: an operator has to act ({versions})"
        case Outcome.SUPERSEDED:
            state, text = CommitState.ERROR, f"Rollback {place} ended: a newer release was deployed"
        case Outcome.SUPPRESSED | Outcome.PLANNED:
            return None
        case other:
            assert_never(other)
    return CommitStatus(state=state, context=context, description=short_description(text), target_url=target_url)


def _end_of_gate(rollback: Rollback, place: str) -> tuple[CommitState, str]:
    """Return a check mark only if a person chose to keep the release: silence is no verdict on it."""
    decision = rollback.approval.decision if rollback.approval is not None else None
    if decision is not None and decision.kind is DecisionKind.REJECTED:
        return CommitState.SUCCESS, f"Kept {place}: an approver declined the rollback"
    return CommitState.ERROR, f"Rollback {place} did not begin: nobody decided in time"


def deployment_verdicts(rollback: Rollback, log_url: str) -> tuple[DeploymentVerdict, ...]:
    """List the deployment statuses that a successful rollback calls for; else none.

    The replaced release's deployment has failed. The target's deployment is the successful one again, so that the
    GitHub environment shows as active what runs. Releases of one commit share a deployment, which has failed. After
    any other outcome, what runs is for people to judge.
    """
    plan = rollback.plan
    if rollback.outcome is not Outcome.SUCCEEDED or bad_commit(rollback) is None or plan is None:
        return ()
    failed = f"Rolled back to {_target_version(plan.target)} by {rollback.id}"
    active = f"Active again: {plan.running.version} was rolled back by {rollback.id}"
    verdicts = [(plan.running, DeploymentState.FAILURE, failed), (plan.target, DeploymentState.SUCCESS, active)]
    return tuple(
        DeploymentVerdict(
            commit,
            DeploymentStatus(state=state, description=short_description(text), log_url=log_url),
        )
        for release, state, text in verdicts
        if release is not None
        and (commit := commit_of(release)) is not None
        and (state is DeploymentState.FAILURE or commit != commit_of(plan.running))
    )


def short_description(text: str) -> str:
    """Turn a text into a description that GitHub takes: one line, at most 140 characters."""
    plain = "".join(character if character <= _LAST_BMP_CHARACTER else "?" for character in text)
    return one_line(plain, DESCRIPTION_LIMIT)


def _target_version(target: Release | None) -> str:
    return target.version if target is not None else "another release"
