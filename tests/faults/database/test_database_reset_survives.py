"""Crashes of a reset from a configured source before and after every external call, and lost answers."""

import pytest
from faults.scenarios.crash import FaultInjector, crash_points
from faults.scenarios.database import BAD, GOOD, STAGED, WORKER, ResetScenario
from support.builders import SERVICE

from rollback.check import Verdict
from rollback.database.preflight.preflight import preflight_of_reset
from rollback.domain.database.progress import DatabaseOutcome
from rollback.domain.obligation import ObligationKind
from rollback.domain.rollback import Outcome


def count_calls_without_crash() -> int:
    reset = ResetScenario()
    reset.run_until_ended()
    return reset.outside.calls


CALLS = count_calls_without_crash()


def assert_reset_once(reset: ResetScenario) -> None:
    assert reset.progress.database_outcome is DatabaseOutcome.RESTORED, reset.progress.why_not
    assert reset.neon.rows(reset.branch_id) == GOOD + BAD
    assert reset.neon.rows(reset.source_id) == GOOD + BAD
    assert (reset.branch.protected, reset.branch.parent_id) == (True, reset.source_id)
    others = [b for b in reset.neon.branches() if b.id not in (reset.branch_id, reset.source_id)]
    assert others == [reset.backup]
    assert reset.neon.rows(others[0].id) == [*GOOD, *BAD, STAGED]
    assert ObligationKind.BRANCH_PROTECTION not in {o.kind for o in reset.open_obligations()}
    reset.unfence(Outcome.SUCCEEDED)
    assert reset.writers.desired_counts() == {SERVICE: 2, WORKER: 2}


@pytest.mark.parametrize(("kill_at", "after"), crash_points(CALLS))
def test_a_reset_killed_at_any_call_and_resumed_resets_exactly_once(kill_at: int, after: bool) -> None:
    reset = ResetScenario(FaultInjector(kill_at, after=after))
    reset.run_until_ended()
    assert_reset_once(reset)


@pytest.mark.parametrize("lost_call", ["update_branch", "restore"])
def test_a_reset_resets_exactly_once_although_an_answer_is_lost(lost_call: str) -> None:
    reset = ResetScenario()
    reset.neon.lose_next(lost_call)
    reset.run_until_ended()
    assert_reset_once(reset)
    assert reset.neon.calls == ["update_branch", "restore", "update_branch"]


def failed_checks(reset: ResetScenario, source_id: str) -> list[tuple[str, str]]:
    checks = preflight_of_reset(source_id, reset.real, reset.clock.now())
    return [(check.name, check.reason) for check in checks if check.verdict is Verdict.FAIL]


def test_a_reset_ignores_the_new_parent_after_a_restore_of_the_source() -> None:
    reset = ResetScenario()
    reset.neon.update_branch(reset.source_id, protected=False)
    reset.neon.restore(reset.source_id, reset.source_id, reset.point.at, "bad")
    reset.neon.settle()
    assert reset.branch.parent_id != reset.source_id, "the bad backup is its parent now"
    reset.run_until_ended()
    assert reset.neon.rows(reset.branch_id) == GOOD


def test_a_changing_source_an_unknown_source_and_the_branch_itself_are_refused() -> None:
    reset = ResetScenario()
    assert failed_checks(reset, reset.source_id) == []
    ((name, reason),) = failed_checks(reset, "br-typo")
    assert (name, "no branch br-typo" in reason) == ("source-exists", True)
    assert failed_checks(reset, reset.branch_id)[0][0] == "source-exists"
    reset.neon.update_branch(reset.source_id, protected=False)
    reset.neon.restore(reset.source_id, reset.source_id, reset.point.at, "bad")
    ((name, reason),) = failed_checks(reset, reset.source_id)
    assert (name, "main is being changed" in reason) == ("source-is-quiet", True)


def test_a_reset_of_the_source_from_its_branch_is_refused() -> None:
    reset = ResetScenario()
    target = reset.real.settings.model_copy(update={"branch_id": reset.source_id, "children": "move"})
    swapped = reset.real.__class__(target, reset.neon, reset.sql)
    checks = preflight_of_reset(reset.branch_id, swapped, reset.clock.now())
    (check,) = [check for check in checks if check.verdict is Verdict.FAIL]
    assert "main is the project's default branch" in check.reason
