"""A plan tells, from the last look at the database, what a restore does besides: to children, and to IP limits."""

from database_simulation import BRANCH, DatabaseSimulation

from rollback.check import Check, Verdict
from rollback.database.observation.observe import observe
from rollback.reports.database import format_database
from rollback.resources.database.neon import AllowedIps


def stage() -> DatabaseSimulation:
    stage = DatabaseSimulation()
    stage.neon.create_branch("staging", BRANCH)
    stage.neon.settle()
    stage.neon.allowed_ips = AllowedIps(ips=("203.0.113.0/24",), protected_branches_only=True)
    assert observe(stage.world) is not None
    return stage


def named(checks: tuple[Check, ...], name: str) -> Check:
    return next(check for check in checks if check.name == name)


def test_the_plan_and_the_report_name_the_children_that_move_and_the_limits_that_lift() -> None:
    looked = stage()
    ended = looked.read(looked.run())
    assert ended.plan is not None
    children, limits = (named(ended.plan.checks, name) for name in ("children-stay", "ip-limits"))
    assert (children.verdict, limits.verdict) == (Verdict.WARN, Verdict.WARN)
    assert "staging move from main to its backup" in children.reason
    assert "any address reaches it" in limits.reason
    report = "\n".join(format_database(ended))
    assert "staging move from main to its backup" in report
    assert "any address reaches it" in report


def test_without_children_and_limits_the_plan_says_nothing_of_them() -> None:
    plain = DatabaseSimulation()
    assert observe(plain.world) is not None
    ended = plain.read(plain.run())
    assert ended.plan is not None
    assert {"children-stay", "ip-limits"}.isdisjoint(check.name for check in ended.plan.checks)
