"""A plan warns, from the last observation, of a restore's side effects on child branches and IP limits."""

from simulations.database import BRANCH, DatabaseSimulation

from rollback.check import Check, Verdict
from rollback.database.observation.observe import observe
from rollback.reports.database import format_database
from rollback.resources.database.neon import AllowedIps


def simulation_with_child_and_ip_limit() -> DatabaseSimulation:
    database_simulation = DatabaseSimulation()
    database_simulation.neon.create_branch("staging", BRANCH)
    database_simulation.neon.settle()
    database_simulation.neon.allowed_ips = AllowedIps(ips=("203.0.113.0/24",), protected_branches_only=True)
    assert observe(database_simulation.ports) is not None
    return database_simulation


def find_check(checks: tuple[Check, ...], name: str) -> Check:
    return next(check for check in checks if check.name == name)


def test_plan_and_report_name_child_branches_that_move_and_ip_limits_that_are_lifted() -> None:
    database_simulation = simulation_with_child_and_ip_limit()
    rollback = database_simulation.read(database_simulation.run())
    assert rollback.plan is not None
    children, limits = (find_check(rollback.plan.checks, name) for name in ("children-stay", "ip-limits-hold"))
    assert (children.verdict, limits.verdict) == (Verdict.WARN, Verdict.WARN)
    assert "staging move from main to its backup" in children.reason
    assert "any address reaches it" in limits.reason
    report = "\n".join(format_database(rollback))
    assert "staging move from main to its backup" in report
    assert "any address reaches it" in report


def test_a_plan_without_child_branches_and_ip_limits_has_no_warnings_about_them() -> None:
    database_simulation = DatabaseSimulation()
    assert observe(database_simulation.ports) is not None
    rollback = database_simulation.read(database_simulation.run())
    assert rollback.plan is not None
    assert {"children-stay", "ip-limits-hold"}.isdisjoint(check.name for check in rollback.plan.checks)
