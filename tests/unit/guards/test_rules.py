"""Decisions of each guard, with the whole check: name, verdict, evidence, and the time of the recheck."""

from datetime import datetime, timedelta
from typing import Any

import pytest
from support.builders import NOW, SERVICE, release, rollback

from rollback.check import Check, Verdict
from rollback.domain.ledger.index import ChangeEntry, ObligationsEntry
from rollback.domain.obligation import Obligation, ObligationKind
from rollback.domain.operator import Pause
from rollback.domain.request import RollbackType, Trigger
from rollback.domain.rollback import Outcome, Rollback
from rollback.domain.settings.policy import Policy
from rollback.domain.stored import ReadResult
from rollback.errors import UnreadableItem
from rollback.guards.rules import (
    check_desired_count,
    check_enough_traffic,
    check_history,
    check_no_fix_in_flight,
    check_not_left_at_zero,
    check_not_paused,
    check_outage_visible,
    longest_window,
    skip_guards_on_takeover,
)

POLICY = Policy(
    recheck_minutes=5,
    cooldown_minutes=10,
    correlation_window_minutes=60,
    attempt_window_minutes=120,
    attempts_per_window=2,
    service_timeout_minutes=15,
    min_requests_to_judge=20,
    traffic_window_minutes=5,
)
SECOND, MINUTE = timedelta(seconds=1), timedelta(minutes=1)
LATER = NOW + 5 * MINUTE  # when a suppressed trigger is rechecked
EARLIER = f"{SERVICE}-20260301T025000Z-00000001"
OTHER = "worker-20260301T025000Z-00000002"
V1, V2 = release("v1"), release("v2")
RUNS = frozenset({V1.fingerprint})
FENCE = Obligation(kind=ObligationKind.FENCE, before={"desired_count": 4})
LEFT_FENCE = FENCE.model_copy(update={"handed_to": "operator"})
LEFT_SCALING = LEFT_FENCE.model_copy(update={"kind": ObligationKind.SCALING})
NO_OBLIGATIONS: ReadResult[ObligationsEntry] = ReadResult(())
DAMAGED: ReadResult[ObligationsEntry] = ReadResult(
    (), (UnreadableItem("obligations / b", "damaged"), UnreadableItem("obligations / c", "damaged"))
)
ALARM, MANUAL = rollback(), rollback(trigger=Trigger.MANUAL)


def entries(*obligations: Obligation, by: str = EARLIER, **changes: Any) -> ReadResult[ObligationsEntry]:
    """Build the ledger's entry of the obligations of an ended rollback of the service."""
    fields = {
        "service": SERVICE,
        "rollback_id": by,
        "rollback_service": SERVICE,
        "is_open": False,
        "outcome": Outcome.ABORTED,
        "reason": "ada stopped it",
        "obligations": obligations,
    }
    return ReadResult((ObligationsEntry.model_validate({**fields, **changes}),))


def is_suppressed(check: Check) -> bool:
    """Return whether a check suppresses the trigger until the next recheck."""
    return (check.verdict, check.suppresses, check.recheck_due_at) == (Verdict.FAIL, True, LATER)


# A takeover and a pause


def test_a_takeover_skips_every_guard_and_names_the_rollback_that_it_continues() -> None:
    checks = skip_guards_on_takeover(rollback(id=EARLIER))
    names = ["cooldown-is-over", "one-step-per-window", "attempt-budget", "no-fix-on-its-way"]
    reason = f"continues {EARLIER}; the guards judged {EARLIER} when it began"
    assert checks == [Check.skipped(name, reason) for name in names]


def test_a_pause_suppresses_an_alarm_and_is_skipped_for_an_operator() -> None:
    pause = Pause(service=SERVICE, since=NOW, by="ada", reason="load test")
    check = check_not_paused(ALARM, pause, POLICY, NOW)
    assert is_suppressed(check)
    assert check.name == "not-paused"
    operator_check = check_not_paused(MANUAL, pause, POLICY, NOW)
    assert operator_check == Check.skipped("not-paused", "requested by an operator")
    assert check_not_paused(ALARM, None, POLICY, NOW) == Check.passed("not-paused", "automatic rollbacks are on")


# A service at zero tasks


@pytest.mark.parametrize(
    ("entries", "end"),
    [
        (entries(LEFT_FENCE), "ended (aborted), and left the start of the tasks to an operator"),
        (entries(LEFT_SCALING, LEFT_FENCE), "ended (aborted), and left the start of the tasks to an operator"),
        (entries(FENCE, by=OTHER, rollback_service="worker", is_open=True), "is not concluded"),
    ],
)
def test_rule_3_a_fence_that_keeps_the_service_at_zero_suppresses_an_alarm(
    entries: ReadResult[ObligationsEntry], end: str
) -> None:
    check = check_not_left_at_zero(ALARM, 0, entries, POLICY, NOW)
    assert is_suppressed(check)
    assert check.name == "not-left-at-zero"
    by = entries.items[0].rollback_id
    assert check.reason == f"{by} stopped all tasks of {SERVICE}, and {end}: ada stopped it"


@pytest.mark.parametrize(
    "entries",
    [
        NO_OBLIGATIONS,
        entries(LEFT_SCALING),
        entries(FENCE),
        entries(FENCE, is_open=True),
        entries(LEFT_FENCE, is_open=True),
        entries(LEFT_SCALING, by=OTHER, rollback_service="worker", is_open=True),
    ],
    ids=["nothing", "scaling only", "a fence that is not left", "an open rollback", "resumed", "no fence of another"],
)
def test_a_service_at_zero_passes_without_a_fence_that_was_left_to_an_operator_or_is_of_another_service(
    entries: ReadResult[ObligationsEntry],
) -> None:
    check = check_not_left_at_zero(ALARM, 0, entries, POLICY, NOW)
    assert check == Check.passed("not-left-at-zero", "no rollback left the service at zero tasks")


def test_a_service_at_zero_is_suppressed_while_its_obligations_can_t_be_read() -> None:
    check = check_not_left_at_zero(ALARM, 0, DAMAGED, POLICY, NOW)
    assert is_suppressed(check)
    assert check.reason.endswith("can't be read: obligations / b, obligations / c")


@pytest.mark.parametrize(("new", "desired_count"), [(ALARM, 1), (MANUAL, 0), (MANUAL, 1)])
def test_a_left_fence_suppresses_neither_an_operator_nor_a_service_with_desired_tasks(
    new: Rollback, desired_count: int
) -> None:
    check = check_not_left_at_zero(new, desired_count, entries(LEFT_FENCE), POLICY, NOW)
    assert check.verdict is Verdict.PASS


# The desired count


def test_a_team_s_zero_suppresses_an_alarm() -> None:
    check = check_desired_count(ALARM, 0, entries(LEFT_SCALING), POLICY, NOW)
    assert is_suppressed(check)
    assert (check.name, check.evidence) == ("desired-count-is-above-zero", {"desired_count": 0})


@pytest.mark.parametrize(
    ("new", "entries"),
    [
        (ALARM, entries(FENCE)),
        (ALARM, entries(LEFT_SCALING, FENCE)),
        (ALARM, DAMAGED),
        (rollback(obligations=(FENCE,)), NO_OBLIGATIONS),
    ],
    ids=["a fence", "a fence among others", "unreadable", "its own fence"],
)
def test_a_zero_that_a_rollback_may_have_made_is_not_the_team_s(
    new: Rollback, entries: ReadResult[ObligationsEntry]
) -> None:
    check = check_desired_count(new, 0, entries, POLICY, NOW)
    assert check == Check.skipped(
        "desired-count-is-above-zero", "a rollback stopped the tasks of the service, or may have stopped them"
    )


def test_tasks_have_time_to_start_after_the_desired_count_was_raised_from_zero() -> None:
    check = check_desired_count(rollback(zero_desired_seen_at=NOW - MINUTE), 1, NO_OBLIGATIONS, POLICY, NOW)
    assert is_suppressed(check)
    assert (check.name, check.evidence) == ("desired-count-is-above-zero", {"desired_count": 1})
    assert "the tasks have 5 minutes to start" in check.reason


def test_a_desired_count_of_one_passes_and_an_operator_may_start_a_rollback_at_zero() -> None:
    alarm_check = check_desired_count(ALARM, 1, NO_OBLIGATIONS, POLICY, NOW)
    assert alarm_check == Check.passed(
        "desired-count-is-above-zero", "the desired count is 1", evidence={"desired_count": 1}
    )
    operator_check = check_desired_count(MANUAL, 0, NO_OBLIGATIONS, POLICY, NOW)
    assert operator_check == Check.skipped(
        "desired-count-is-above-zero", "requested by an operator", evidence={"desired_count": 0}
    )


# The outage alarm against ELB

MISSING, MISSING_TOO, ERRORS = "a-no-healthy-targets", "a-no-healthy-targets-2", "a-error-rate"


def test_an_outage_alarm_is_suppressed_if_every_target_group_has_the_desired_number_of_healthy_targets() -> None:
    check = check_outage_visible([MISSING_TOO, MISSING], {"tg-1": 2, "tg-2": 3}, 2, POLICY, NOW)
    assert is_suppressed(check)
    assert check.name == "outage-is-seen"
    assert check.evidence == {"in_alarm": [MISSING, MISSING_TOO], "healthy": {"tg-1": 2, "tg-2": 3}}
    assert check.reason.startswith(f"{MISSING}, {MISSING_TOO} sees no healthy target, but ELB reports 2 or more")


@pytest.mark.parametrize(
    ("in_alarm", "healthy", "desired_count", "reason"),
    [
        ([MISSING], {"tg-1": 1, "tg-2": 3}, 2, "nothing contradicts the alarm"),
        ([MISSING], {}, 2, "nothing contradicts the alarm"),
        ([MISSING], {"tg-1": 0}, 0, "nothing contradicts the alarm"),
        ([MISSING, ERRORS], {"tg-1": 2}, 2, "alarms other than those about missing targets confirm the outage"),
        ([ERRORS], {"tg-1": 2}, 2, "alarms other than those about missing targets confirm the outage"),
        ([], {"tg-1": 2}, 2, "alarms other than those about missing targets confirm the outage"),
    ],
)
def test_an_outage_alarm_is_believed_unless_elb_contradicts_missing_targets(
    in_alarm: list[str], healthy: dict[str, int], desired_count: int, reason: str
) -> None:
    check = check_outage_visible(in_alarm, healthy, desired_count, POLICY, NOW)
    assert (check.name, check.verdict) == ("outage-is-seen", Verdict.PASS)
    assert check.reason.startswith(reason)
    assert check.evidence == {"in_alarm": sorted(in_alarm), "healthy": healthy}


# A deployment after the alarm


@pytest.mark.parametrize(
    ("began", "in_alarm_since", "verdict"),
    [
        (NOW - MINUTE, NOW - MINUTE - SECOND, Verdict.FAIL),
        (NOW - MINUTE, NOW - MINUTE, Verdict.PASS),
        (NOW - MINUTE, NOW, Verdict.PASS),
        (None, NOW, Verdict.PASS),
        (NOW - 15 * MINUTE, NOW - 20 * MINUTE, Verdict.FAIL),
        (NOW - 15 * MINUTE - SECOND, NOW - 20 * MINUTE, Verdict.PASS),
        (NOW - MINUTE, None, Verdict.SKIPPED),
    ],
)
def test_a_deployment_may_be_a_fix_if_it_began_after_the_alarm_and_is_within_its_timeout(
    began: datetime | None, in_alarm_since: datetime | None, verdict: Verdict
) -> None:
    check = check_no_fix_in_flight(ALARM, began, in_alarm_since, POLICY, NOW)
    assert (check.name, check.verdict) == ("no-fix-on-its-way", verdict)
    assert is_suppressed(check) is (verdict is Verdict.FAIL)


@pytest.mark.parametrize("trigger", sorted(set(Trigger) - {Trigger.ALARM}))
def test_a_trigger_other_than_an_alarm_does_not_wait_for_a_fix(trigger: Trigger) -> None:
    check = check_no_fix_in_flight(rollback(trigger=trigger), NOW - MINUTE, NOW - 2 * MINUTE, POLICY, NOW)
    assert check == Check.skipped("no-fix-on-its-way", "no alarm triggered the rollback")


# Traffic


@pytest.mark.parametrize(
    ("in_alarm", "requests", "verdict"),
    [
        (["b", "a"], 19.0, Verdict.FAIL),
        (["a"], 0.0, Verdict.FAIL),
        (["a"], 20.0, Verdict.PASS),
        (["a"], None, Verdict.PASS),
        (["a", "tasks"], 1.0, Verdict.SKIPPED),
        (["tasks"], 1.0, Verdict.SKIPPED),
        ([], 1.0, Verdict.SKIPPED),
    ],
)
def test_alarms_about_rates_alone_need_the_policy_s_number_of_requests(
    in_alarm: list[str], requests: float | None, verdict: Verdict
) -> None:
    check = check_enough_traffic(in_alarm, ["a", "b", "c"], requests, POLICY, NOW)
    assert (check.name, check.verdict) == ("enough-traffic", verdict)
    assert is_suppressed(check) is (verdict is Verdict.FAIL)
    assert check.evidence == {"in_alarm": sorted(in_alarm), "requests": requests}


def test_all_rate_alarms_at_once_need_requests_too() -> None:
    assert is_suppressed(check_enough_traffic(["a", "b"], ["a", "b"], 19.0, POLICY, NOW))


@pytest.mark.parametrize(("requests", "reason"), [(20.0, "20 requests"), (None, "the number of requests is not known")])
def test_an_unknown_number_of_requests_passes_and_is_reported_as_unknown(requests: float | None, reason: str) -> None:
    assert check_enough_traffic(["a"], ["a"], requests, POLICY, NOW).reason == reason


# Earlier rollbacks


def change(number: int, minutes_ago: float, **changes: Any) -> ChangeEntry:
    """Build the entry of an automatic rollback to v1 that acted and was concluded at once."""
    at = NOW - timedelta(minutes=minutes_ago)
    fields = {
        "rollback_id": f"rollback-{number}",
        "trigger": Trigger.ALARM,
        "type": RollbackType.SERVICE,
        "created_at": at,
        "admitted_at": at,
        "concluded_at": at,
        "outcome": Outcome.SUCCEEDED,
        "has_acted": True,
        "target_fingerprint": V1.fingerprint,
        "target_version": "v1",
    }
    return ChangeEntry.model_validate({**fields, **changes})


def history(
    *changes: ChangeEntry, unreadable: tuple[UnreadableItem, ...] = (), new: Rollback = ALARM
) -> dict[str, Check]:
    """Return the checks of the history by name, while v1 runs."""
    earlier = ReadResult(changes, unreadable)
    return {check.name: check for check in check_history(new, RUNS, RUNS, earlier, POLICY, NOW)}


def failing(checks: dict[str, Check]) -> set[str]:
    return {name for name, check in checks.items() if check.verdict is Verdict.FAIL}


def test_an_operator_s_request_skips_each_check_of_the_history_by_name() -> None:
    names = ("cooldown-is-over", "one-step-per-window", "attempt-budget")
    expected = {name: Check.skipped(name, "requested by an operator") for name in names}
    assert history(change(1, 1), change(2, 2), new=MANUAL) == expected


def test_the_longest_window_is_the_longer_of_the_two() -> None:
    assert longest_window(POLICY) == timedelta(minutes=120)
    longer = POLICY.model_copy(update={"correlation_window_minutes": 180})
    assert longest_window(longer) == timedelta(minutes=180)


def test_the_cooldown_names_the_rollback_and_ignores_an_aborted_rollback() -> None:
    check = history(change(1, 1, outcome=Outcome.ABORTED), change(2, 4))["cooldown-is-over"]
    assert (check.verdict, check.suppresses) == (Verdict.FAIL, True)
    assert (check.recheck_due_at, check.evidence) == (NOW + 6 * MINUTE, {"earlier": "rollback-2"})
    assert failing(history(change(1, 1, outcome=Outcome.ABORTED))) == {"one-step-per-window"}


def test_the_cooldown_applies_to_an_operator_s_rollback_and_to_each_rollback_of_the_list() -> None:
    assert "cooldown-is-over" in failing(history(change(1, 4, trigger=Trigger.MANUAL)))
    assert "cooldown-is-over" in failing(history(change(1, 11), change(2, 9)))


def test_rule_7_a_step_back_is_final_and_names_the_rollback() -> None:
    check = history(change(1, 11, target_fingerprint=V2.fingerprint), change(2, 30))["one-step-per-window"]
    assert (check.verdict, check.suppresses, check.recheck_due_at) == (Verdict.FAIL, False, None)
    assert check.evidence == {"earlier": "rollback-2"}
    assert check.reason.startswith("rollback-2 went back to v1 within the last 60 minutes")


def test_rule_7_a_rollback_without_a_target_was_no_step_back() -> None:
    unplanned = change(1, 30, target_fingerprint=None, target_version=None)
    assert failing(history(unplanned)) == set()


def test_an_intent_whose_target_runs_counts_as_a_step_even_if_the_answer_was_not_saved() -> None:
    unsaved_intent = {"has_acted": False, "has_intent": True}
    assert failing(history(change(1, 30, **unsaved_intent))) == {"one-step-per-window"}
    assert failing(history(change(1, 30, **unsaved_intent, target_fingerprint=V2.fingerprint))) == set()
    assert failing(history(change(1, 30, **unsaved_intent, target_fingerprint=None))) == set()
    assert failing(history(change(1, 30, has_acted=False, has_intent=False))) == set()


def test_the_attempt_budget_counts_each_unreadable_record_and_its_refusal_is_final() -> None:
    other_target = {"target_fingerprint": V2.fingerprint}
    attempt, damaged = change(1, 30, **other_target), UnreadableItem("changes / b", "damaged")
    assert failing(history(attempt)) == set()
    checks = history(attempt, unreadable=(damaged,))
    assert failing(checks) == {"attempt-budget"}
    check = checks["attempt-budget"]
    assert check.evidence == {"attempts": ["rollback-1", "changes / b"]}
    assert (check.suppresses, check.recheck_due_at) == (False, None)
    assert check.reason == ("the attempt budget is spent: 2 of 2 attempts in 120 minutes; an operator has to act")
    assert history(attempt)["attempt-budget"].evidence == {"attempts": ["rollback-1"]}


def test_a_takeover_and_the_rollback_that_it_ended_are_one_attempt() -> None:
    other_target = {"target_fingerprint": V2.fingerprint}
    newer, older = change(2, 29, **other_target), change(1, 30, **other_target, taken_over_by="rollback-2")
    assert history(newer, older)["attempt-budget"].evidence == {"attempts": ["rollback-2"]}
    operator_change = change(2, 29, **other_target, trigger=Trigger.MANUAL)
    assert history(operator_change, older)["attempt-budget"].evidence == {"attempts": ["rollback-1"]}


def test_a_whole_chain_of_resumed_rollbacks_does_not_count_as_another_attempt() -> None:
    chain = (
        change(3, 3, continues_rollback_id="rollback-2"),
        change(2, 4, continues_rollback_id="rollback-1"),
        change(1, 5),
    )
    assert failing(history(*chain, new=rollback(continues_rollback_id="rollback-3"))) == set()
    checks = history(*chain, change(0, 30), new=rollback(continues_rollback_id="rollback-3"))
    assert checks["attempt-budget"].evidence == {"attempts": ["rollback-0"]}
    assert checks["one-step-per-window"].evidence == {"earlier": "rollback-0"}
