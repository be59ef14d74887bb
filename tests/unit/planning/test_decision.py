"""Decision of a plan: its checks and the mode decide the outcome, and when the trigger is looked at again."""

from datetime import timedelta
from typing import Any

import pytest
from simulations.fake_ports import make_ports
from support.builders import NOW, SERVICE, release, rollback

from rollback.check import Check, Verdict
from rollback.domain.plan import Plan
from rollback.domain.request import Request
from rollback.domain.rollback import Outcome, Rollback, TriggerEvent
from rollback.domain.settings.policy import Policy
from rollback.names import DESIRED_COUNT_CHECK
from rollback.planning.pipeline import decide

EVENT = TriggerEvent(id="e1", at=NOW, alarm="a-degraded")
SOON, LATER = NOW + timedelta(minutes=1), NOW + timedelta(minutes=5)
FORCED = Request(service=SERVICE, force=True)
PASSED = Check.passed("target-is-identified", "it is in the ledger")
WARNED = Check.warned("target-is-good", "v1 was never promoted")
REFUSING = Check.failed("target-differs", "v1 runs already")
FORCEABLE = Check.failed("target-is-good", "v1 is quarantined", is_forceable=True)
COOLDOWN = Check.failed("cooldown-is-over", "one has only just ended", suppresses=True, recheck_due_at=SOON)
PAUSED = Check.failed("not-paused", "paused by ada", suppresses=True, recheck_due_at=LATER)
FOR_GOOD = Check.failed("release-is-the-cause", "not the release", suppresses=True)


def at_zero(desired_count: int, verdict: Verdict = Verdict.FAIL) -> Check:
    return Check(
        name=DESIRED_COUNT_CHECK,
        verdict=verdict,
        reason="no task is wanted",
        evidence={"desired_count": desired_count},
        suppresses=True,
        recheck_due_at=SOON,
    )


def decided(
    *checks: Check, mode: str = "act", resumed: Rollback | None = None, **changes: Any
) -> tuple[Rollback, Plan]:
    """The rollback of an alarm after its plan with these checks, and that plan."""
    plan = Plan(running=release("v2"), target=release("v1"), checks=checks)
    policy = Policy.model_validate({"mode": mode})
    before = rollback(**{"event": EVENT, "wait_seconds": 7, **changes})
    return decide(before, plan, make_ports(policy), resumed=resumed), plan


def test_a_plan_without_a_failed_check_goes_on_at_once_and_says_where() -> None:
    after, plan = decided(PASSED, WARNED)
    assert (after.outcome, after.reason, after.plan) == (None, "v2 → v1", plan)
    assert (after.wait_seconds, after.recheck_at) == (0, None)


@pytest.mark.parametrize(
    ("mode", "request_", "reason"),
    [
        ("observe", Request(service=SERVICE), "the environment only observes: v2 → v1"),
        ("act", Request(service=SERVICE, dry_run=True), "dry run: v2 → v1"),
        ("observe", Request(service=SERVICE, dry_run=True), "dry run: v2 → v1"),
    ],
)
def test_a_dry_run_and_an_observing_environment_end_with_the_plan(mode: str, request_: Request, reason: str) -> None:
    after, plan = decided(PASSED, mode=mode, request=request_)
    assert (after.outcome, after.reason, after.plan) == (Outcome.PLANNED, reason, plan)


@pytest.mark.parametrize(
    ("checks", "outcome", "reason", "recheck_at"),
    [
        ((PASSED, REFUSING, FORCEABLE), Outcome.REFUSED, "v1 runs already; v1 is quarantined", None),
        ((COOLDOWN,), Outcome.SUPPRESSED, "one has only just ended", SOON),
        ((PAUSED, COOLDOWN), Outcome.SUPPRESSED, "paused by ada; one has only just ended", LATER),
        ((REFUSING, COOLDOWN), Outcome.SUPPRESSED, "one has only just ended", SOON),
        ((COOLDOWN, FOR_GOOD), Outcome.SUPPRESSED, "one has only just ended; not the release", None),
        ((FOR_GOOD,), Outcome.SUPPRESSED, "not the release", None),
    ],
)
def test_a_plan_is_suppressed_until_its_last_reason_is_over_and_else_refused(
    checks: tuple[Check, ...], outcome: Outcome, reason: str, recheck_at: object
) -> None:
    for mode in ("act", "observe"):
        after, plan = decided(*checks, mode=mode)
        assert (after.outcome, after.reason, after.recheck_at) == (outcome, reason, recheck_at)
        assert (after.plan, after.wait_seconds, after.zero_desired_seen_at) == (plan, 0, None)


def test_a_suppression_without_an_event_is_final() -> None:
    after, _ = decided(COOLDOWN, event=None)
    assert (after.outcome, after.recheck_at) == (Outcome.SUPPRESSED, None)


def test_force_in_the_request_or_in_the_resumed_rollback_overrides_only_forceable_checks() -> None:
    assert decided(FORCEABLE, request=FORCED)[0].outcome is None
    assert decided(FORCEABLE, resumed=rollback(request=FORCED))[0].outcome is None
    assert decided(FORCEABLE, resumed=rollback())[0].outcome is Outcome.REFUSED
    assert decided(REFUSING, request=FORCED)[0].outcome is Outcome.REFUSED


@pytest.mark.parametrize("others", [(), (PASSED,), (REFUSING,), (PAUSED,)])
def test_a_team_s_zero_suppresses_the_rollback_before_any_other_check_and_is_remembered(
    others: tuple[Check, ...],
) -> None:
    after, plan = decided(*others, at_zero(0), request=FORCED)
    assert (after.outcome, after.reason, after.plan) == (Outcome.SUPPRESSED, "no task is wanted", plan)
    assert (after.recheck_at, after.zero_desired_seen_at, after.wait_seconds) == (SOON, NOW, 0)


def test_tasks_that_are_wanted_again_end_the_memory_of_a_team_s_zero() -> None:
    after, _ = decided(at_zero(1), zero_desired_seen_at=NOW)
    assert (after.outcome, after.zero_desired_seen_at) == (Outcome.SUPPRESSED, None)


@pytest.mark.parametrize("verdict", [Verdict.PASS, Verdict.SKIPPED])
def test_a_desired_count_that_is_no_objection_does_not_end_the_rollback(verdict: Verdict) -> None:
    assert decided(at_zero(0, verdict))[0].outcome is None
