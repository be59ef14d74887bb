"""Refusals of a restore: each names its cause and the next step, and changes nothing."""

from datetime import timedelta

import pytest
from faults.scenarios.database import RestoreScenario
from faults.scenarios.database_endings import assert_nothing_was_changed, raise_error

from rollback.check import Check, Verdict
from rollback.database.preflight.preflight import preflight_of_restore
from rollback.domain.database.progress import DatabaseOutcome, RestorePoint
from rollback.resources.database.errors import AccessRefused, NotFound


def test_an_unknown_branch_is_refused_with_the_names_of_the_project_s_branches() -> None:
    restore = RestoreScenario()
    target = restore.context.settings.model_copy(update={"branch_id": "br-typo"})
    context = restore.context.__class__(target, restore.neon, restore.sql)
    (access, check) = preflight_of_restore(restore.point, context, restore.clock.now())
    assert (access.verdict, check.name, check.verdict) == (Verdict.PASS, "branch-exists", Verdict.FAIL)
    assert (
        f"no branch br-typo for this: put the right id into the settings; its branches: main ({restore.branch_id})"
        in check.reason
    )


@pytest.mark.parametrize("error", [AccessRefused("401: check the key"), NotFound("404: check the project id")])
def test_a_wrong_key_and_an_unknown_project_are_refused(error: Exception, monkeypatch: pytest.MonkeyPatch) -> None:
    restore = RestoreScenario()
    monkeypatch.setattr(restore.neon, "project", raise_error(error))
    assert_nothing_was_changed(restore, "database-is-accessible", str(error))


def test_a_restore_point_outside_neons_history_is_refused() -> None:
    restore = RestoreScenario()
    restore.point = RestorePoint(at=restore.clock.now() - timedelta(hours=30))
    assert_nothing_was_changed(restore, "restore-point-is-in-window", "is not within what Neon keeps of main")


def test_a_restore_point_that_is_about_to_leave_the_history_is_refused() -> None:
    restore = RestoreScenario()
    restore.neon.retention_seconds = 10 * 60
    assert_nothing_was_changed(restore, "margin of 15 minutes")


def test_a_restore_point_before_an_earlier_restore_is_refused_naming_its_backup() -> None:
    restore = RestoreScenario()
    restore.neon.update_branch(restore.branch_id, protected=False)
    restore.neon.restore(restore.branch_id, restore.branch_id, restore.point.at, "rollback-backup-earlier")
    restore.neon.settle()
    restore.neon.calls.clear()
    (check,) = failed_checks(restore)
    assert check.name == "restore-point-is-in-window"
    assert "before main was last restored" in check.reason
    assert "rollback-backup-earlier" in check.reason


def test_a_hotfix_deployed_within_the_margin_after_a_restore_can_be_rolled_back() -> None:
    restore = RestoreScenario()
    restore.neon.update_branch(restore.branch_id, protected=False)
    restore.neon.restore(restore.branch_id, restore.branch_id, restore.point.at, "rollback-backup-earlier")
    restore.neon.settle()
    restore.clock.pass_time(minutes=8)
    restore.point = RestorePoint(at=restore.clock.now())
    restore.clock.pass_time(minutes=5)
    assert restore.context.settings.window_margin_minutes == 15
    assert failed_checks(restore) == ()


def test_a_restore_above_the_limit_of_root_branches_is_refused() -> None:
    restore = RestoreScenario()
    restore.neon.root_branch_limit = 3
    for name in ("rollback-backup-1", "rollback-backup-2"):
        restore.neon._branches[name] = restore.branch.model_copy(update={"id": name, "name": name})
    (check,) = failed_checks(restore)
    assert check.name == "backup-has-room"
    assert "3 of 3 root branches" in check.reason
    assert "rollback-backup-1, rollback-backup-2" in check.reason


@pytest.mark.parametrize("plan", ["UNKNOWN", "direct_sales_v3", "aws_marketplace"])
def test_an_unknown_neon_plan_is_a_warning_and_neon_decides(plan: str) -> None:
    """Enterprise plans have their own limits, and an operator could not override our refusal at 03:00."""
    restore = RestoreScenario()
    restore.neon.subscription_type = plan
    for name in ("rollback-backup-1", "rollback-backup-2"):
        restore.neon._branches[name] = restore.branch.model_copy(update={"id": name, "name": name})
    assert failed_checks(restore) == ()
    (room_check,) = [check for check in checks_of(restore) if check.name == "backup-has-room"]
    assert room_check.verdict is Verdict.WARN
    assert f"the plan {plan} allows is not known" in room_check.reason
    restore.run_until_ended()
    assert restore.progress.database_outcome is DatabaseOutcome.RESTORED
    assert any(room_check.reason in note for note in restore.progress.notes)


def test_a_branch_of_an_unknown_plan_is_not_overwritten_at_neons_branch_limit() -> None:
    restore = RestoreScenario()
    restore.neon.subscription_type, restore.neon.root_branch_limit = "direct_sales_v3", 1
    restore.run_until_ended()
    assert restore.progress.database_outcome is DatabaseOutcome.REFUSED
    assert "root branches limit exceeded" in (restore.progress.why_not or "")
    assert restore.progress.backup_id is None


def test_child_branches_move_with_the_backup_and_the_report_names_them() -> None:
    """Neon's guide, "Instant restore": all child branches are moved to the newly created branch."""
    restore = RestoreScenario()
    restore.neon.create_branch("staging", restore.branch_id)
    restore.neon.settle()
    assert failed_checks(restore) == ()
    restore.run_until_ended()
    assert restore.progress.database_outcome is DatabaseOutcome.RESTORED
    assert (
        "children-stay: staging move from main to its backup, and keep the data that the restore replaces"
        in restore.progress.notes
    )


def test_child_branches_refuse_an_unforced_restore_if_the_settings_say_so() -> None:
    restore = RestoreScenario(children="refuse")
    restore.neon.create_branch("staging", restore.branch_id)
    restore.neon.settle()
    restore.neon.calls.clear()
    (check,) = failed_checks(restore)
    assert check.is_forceable
    assert "staging would move from main to its backup" in check.reason
    assert_nothing_was_changed(restore, "children-stay")


def test_a_branch_with_a_parent_and_one_that_neon_restricts_are_refused() -> None:
    restore = RestoreScenario()
    restore.neon._update(restore.branch_id, parent_id="br-parent")
    assert [check.name for check in failed_checks(restore)] == ["branch-is-root"]
    restricted = RestoreScenario()
    restricted.neon.restrict(restricted.branch_id, "restore", "an import runs")
    assert_nothing_was_changed(restricted, "branch-can-be-restored", "an import runs")


def checks_of(restore: RestoreScenario) -> tuple[Check, ...]:
    return preflight_of_restore(restore.point, restore.real, restore.clock.now())


def failed_checks(restore: RestoreScenario) -> tuple[Check, ...]:
    return tuple(check for check in checks_of(restore) if check.verdict is Verdict.FAIL)


def test_a_restore_that_may_be_made_passes_every_check() -> None:
    restore = RestoreScenario()
    assert failed_checks(restore) == ()
