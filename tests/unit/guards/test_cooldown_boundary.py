"""Boundaries in time of the guards that examine earlier rollbacks: to which side the boundary itself belongs."""

from datetime import datetime, timedelta

import pytest
from support.builders import NOW, SERVICE, release, rollback

from rollback.check import Check, Verdict
from rollback.domain.ledger.index import build_change_entry
from rollback.domain.plan import Plan
from rollback.domain.rollback import Outcome, Rollback
from rollback.domain.service_progress import ServiceProgress
from rollback.domain.settings.policy import Policy
from rollback.domain.stored import ReadResult
from rollback.guards.rules import check_history

POLICY = Policy(cooldown_minutes=10, correlation_window_minutes=60, attempt_window_minutes=120, attempts_per_window=1)
SECOND = timedelta(seconds=1)
V1, V2 = release("v1"), release("v2")
RUNS = frozenset({V1.fingerprint})


def succeeded_rollback(admitted_at: datetime, concluded_at: datetime | None) -> Rollback:
    """Build an automatic rollback from v2 to v1 that changed ECS; without `concluded_at` the rollback is open."""
    return rollback(
        id=f"{SERVICE}-{admitted_at:%Y%m%dT%H%M%SZ}-00000001",
        created_at=admitted_at,
        admitted_at=admitted_at,
        plan=Plan(running=V2, target=V1, checks=()),
        service=ServiceProgress(started_at=admitted_at, escalation_level_since=admitted_at, acted_at=admitted_at),
        outcome=Outcome.SUCCEEDED if concluded_at is not None else None,
        concluded_at=concluded_at,
    )


def check(name: str, earlier: Rollback, *, policy: Policy = POLICY, now: datetime = NOW) -> Check:
    entry = build_change_entry(earlier)
    assert entry is not None
    checks = check_history(rollback(), RUNS, RUNS, ReadResult((entry,)), policy, now)
    (matching_check,) = (candidate for candidate in checks if candidate.name == name)
    return matching_check


@pytest.mark.parametrize(
    ("since_conclusion", "verdict"),
    [
        (timedelta(minutes=10) - SECOND, Verdict.FAIL),
        (timedelta(minutes=10), Verdict.PASS),
        (timedelta(minutes=10) + SECOND, Verdict.PASS),
    ],
)
def test_the_cooldown_ends_exactly_when_its_minutes_have_passed(since_conclusion: timedelta, verdict: Verdict) -> None:
    concluded_at = NOW - since_conclusion
    assert check("cooldown-is-over", succeeded_rollback(concluded_at - SECOND, concluded_at)).verdict is verdict


def test_the_recheck_that_a_cooldown_names_finds_the_cooldown_over() -> None:
    earlier = succeeded_rollback(NOW - timedelta(minutes=5), NOW - timedelta(minutes=4))
    cooldown = check("cooldown-is-over", earlier)
    assert cooldown.recheck_due_at == NOW + timedelta(minutes=6)
    assert check("cooldown-is-over", earlier, now=cooldown.recheck_due_at).verdict is Verdict.PASS


def test_a_cooldown_of_zero_minutes_suppresses_no_trigger() -> None:
    policy = POLICY.model_copy(update={"cooldown_minutes": 0})
    assert check("cooldown-is-over", succeeded_rollback(NOW, NOW), policy=policy).verdict is Verdict.PASS


def test_the_cooldown_of_an_open_rollback_begins_now() -> None:
    cooldown = check("cooldown-is-over", succeeded_rollback(NOW - timedelta(hours=1), None))
    assert cooldown.verdict is Verdict.FAIL
    assert cooldown.recheck_due_at == NOW + timedelta(minutes=10)


@pytest.mark.parametrize(
    ("since_admission", "verdict"),
    [(timedelta(minutes=60), Verdict.FAIL), (timedelta(minutes=60) + SECOND, Verdict.PASS)],
)
def test_rule_7_an_automatic_step_back_counts_to_the_last_second_of_the_window(
    since_admission: timedelta, verdict: Verdict
) -> None:
    earlier = succeeded_rollback(NOW - since_admission, NOW - since_admission)
    assert check("one-step-per-window", earlier).verdict is verdict


@pytest.mark.parametrize(
    ("since_admission", "verdict"),
    [(timedelta(minutes=120), Verdict.FAIL), (timedelta(minutes=120) + SECOND, Verdict.PASS)],
)
def test_an_attempt_counts_to_the_last_second_of_its_window(since_admission: timedelta, verdict: Verdict) -> None:
    earlier = succeeded_rollback(NOW - since_admission, NOW - since_admission)
    assert check("attempt-budget", earlier).verdict is verdict
