"""Prospects of a release that `rollback local ship` deploys: what will happen to it, and what stands in the way."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta

from rollback.domain.ledger.index import ChangeEntry
from rollback.domain.releases.release import Release, ReleaseState
from rollback.domain.request import OPERATOR_TRIGGERS
from rollback.domain.settings.policy import Policy
from rollback_cli.local_environment.behaviours import Behaviour


@dataclass(frozen=True)
class Situation:
    """State of the service before a release is shipped.

    Attributes:
        releases: releases of the service.
        changes: rollbacks that changed the service lately.
        is_paused: whether an operator has paused automatic rollbacks.
        has_traffic: whether the local cloud sends requests by itself.
        now: time of the look.
    """

    releases: tuple[Release, ...]
    changes: tuple[ChangeEntry, ...]
    is_paused: bool
    has_traffic: bool
    now: datetime


def prospects(
    version: str, behaviour: Behaviour, situation: Situation, policy: Policy, environment: str
) -> Iterator[str]:
    """Yield what will happen, a line each, and the commands to follow it."""
    yield f"{version} is being deployed. It {behaviour.description}."
    yield f"Then: {behaviour.expectation}"
    if not behaviour.is_good:
        yield from _obstacles(situation, policy, environment)
    if not situation.has_traffic:
        yield "The local cloud sends no requests, and alarms need some: run `rollback local traffic`."
    yield f"To follow it: rollback status {environment}, rollback history {environment}"


def _obstacles(situation: Situation, policy: Policy, environment: str) -> Iterator[str]:
    if not any(release.state is ReleaseState.PROMOTED for release in situation.releases):
        yield (
            "But no release is promoted yet, so a rollback is refused: no release is known to be good. Ship a healthy "
            f"one first, and wait until `rollback versions {environment}` lists it as promoted."
        )
    if situation.is_paused:
        yield f"But automatic rollbacks are paused: `rollback resume {environment} --reason …` lets them act again."
    until = _one_step_until(situation.changes, policy)
    if until is not None and until > situation.now:
        yield (
            f"But an automatic rollback is less than {policy.correlation_window_minutes:g} minutes old. Before "
            f"{until:%H:%M:%S} UTC another one to the same release may be refused, and an operator is paged."
        )


def _one_step_until(changes: Iterable[ChangeEntry], policy: Policy) -> datetime | None:
    """Return the end of the window in which rule 7 allows no second automatic step back."""
    window = timedelta(minutes=policy.correlation_window_minutes)
    automatic = [change for change in changes if change.has_acted and change.trigger not in OPERATOR_TRIGGERS]
    return max((change.admitted_at + window for change in automatic), default=None)
