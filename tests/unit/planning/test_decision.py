"""Decision of a plan: its checks and the mode decide the outcome and the time of the recheck."""

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


def desired_count_check(desired_count: int, verdict: Verdict = Verdict.FAIL) -> Check:
    return Check(
        name=DESIRED_COUNT_CHECK,
        verdict=verdict,
        reason="no task is wanted",
        evidence={"desired_count": desired_count},
        suppresses=True,
        recheck_due_at=SOON,
    )


def decide_plan(
    *checks: Check, mode: str = "act", resumed: Rollback | None = None, **changes: Any
) -> tuple[Rollback, Plan]:
    """Decide a plan with these checks for the rollback of an alarm; return that rollback and the plan."""
    plan = Plan(running=release("v2"), target=release("v1"), checks=checks)
    policy = Policy.model_validate({"mode": mode})
    admitted_rollback = rollback(**{"event": EVENT, "wait_seconds": 7, **changes})
    return decide(admitted_rollback, plan, make_ports(policy), resumed=resumed), plan


def test_a_plan_without_a_failed_check_proceeds_at_once_and_names_its_target() -> None:
    decided_rollback, plan = decide_plan(PASSED, WARNED)
    assert (decided_rollback.outcome, decided_rollback.reason, decided_rollback.plan) == (None, "v2 → v1", plan)
    assert (decided_rollback.wait_seconds, decided_rollback.recheck_at) == (0, None)


@pytest.mark.parametrize(
    ("mode", "request_", "reason"),
    [
        ("observe", Request(service=SERVICE), "the environment only observes: v2 → v1"),
        ("act", Request(service=SERVICE, dry_run=True), "dry run: v2 → v1"),
        ("observe", Request(service=SERVICE, dry_run=True), "dry run: v2 → v1"),
    ],
)
def test_a_dry_run_and_an_observing_environment_end_with_the_plan(mode: str, request_: Request, reason: str) -> None:
    decided_rollback, plan = decide_plan(PASSED, mode=mode, request=request_)
    assert (decided_rollback.outcome, decided_rollback.reason) == (Outcome.PLANNED, reason)
    assert decided_rollback.plan is not None
    assert decided_rollback.plan.changes is not None
    assert decided_rollback.plan.model_copy(update={"changes": None}) == plan


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
        decided_rollback, plan = decide_plan(*checks, mode=mode)
        assert (decided_rollback.outcome, decided_rollback.reason, decided_rollback.recheck_at) == (
            outcome,
            reason,
            recheck_at,
        )
        assert (decided_rollback.plan, decided_rollback.wait_seconds, decided_rollback.zero_desired_seen_at) == (
            plan,
            0,
            None,
        )


def test_a_suppression_without_an_event_is_final() -> None:
    decided_rollback, _ = decide_plan(COOLDOWN, event=None)
    assert (decided_rollback.outcome, decided_rollback.recheck_at) == (Outcome.SUPPRESSED, None)


def test_force_in_the_request_or_in_the_resumed_rollback_overrides_only_forceable_checks() -> None:
    assert decide_plan(FORCEABLE, request=FORCED)[0].outcome is None
    assert decide_plan(FORCEABLE, resumed=rollback(request=FORCED))[0].outcome is None
    assert decide_plan(FORCEABLE, resumed=rollback())[0].outcome is Outcome.REFUSED
    assert decide_plan(REFUSING, request=FORCED)[0].outcome is Outcome.REFUSED


@pytest.mark.parametrize("other_checks", [(), (PASSED,), (REFUSING,), (PAUSED,)])
def test_a_team_s_zero_suppresses_the_rollback_before_any_other_check_and_is_recorded(
    other_checks: tuple[Check, ...],
) -> None:
    decided_rollback, plan = decide_plan(*other_checks, desired_count_check(0), request=FORCED)
    assert (decided_rollback.outcome, decided_rollback.reason, decided_rollback.plan) == (
        Outcome.SUPPRESSED,
        "no task is wanted",
        plan,
    )
    assert (decided_rollback.recheck_at, decided_rollback.zero_desired_seen_at, decided_rollback.wait_seconds) == (
        SOON,
        NOW,
        0,
    )


def test_the_record_of_a_team_s_zero_ends_when_the_desired_count_is_raised() -> None:
    decided_rollback, _ = decide_plan(desired_count_check(1), zero_desired_seen_at=NOW)
    assert (decided_rollback.outcome, decided_rollback.zero_desired_seen_at) == (Outcome.SUPPRESSED, None)


@pytest.mark.parametrize("verdict", [Verdict.PASS, Verdict.SKIPPED])
def test_a_desired_count_that_is_no_objection_does_not_end_the_rollback(verdict: Verdict) -> None:
    assert decide_plan(desired_count_check(0, verdict))[0].outcome is None
