"""Promotion: the checks that it shares with Verify, and the baseline of error lines that it records."""

from datetime import timedelta
from typing import Any

from fakes.database_checks import FakeDatabaseChecks
from simulations.database import KEY
from simulations.fake_ports import DEGRADED
from simulations.service import PROMOTED, Simulation, deployment_event, start_simulation
from support.builders import NOW, SERVICE
from support.stand_ins import UnavailablePort

from rollback.check import Check
from rollback.domain.releases.log_baseline import LogBaseline
from rollback.domain.settings.database import DatabaseSettings
from rollback.promotion.promote import PromotionCursor, judge_bake, record_deployment

NAMESPACE = f"macro-ai-production-{SERVICE}/rollback"


def baking(**ports: Any) -> tuple[Simulation, PromotionCursor]:
    """A service whose v2 bakes with traffic, and logs two error lines."""
    simulation = start_simulation()
    simulation.replace(**ports)
    simulation.alarms.recover(DEGRADED)
    cursor = record_deployment(deployment_event("SERVICE_DEPLOYMENT_COMPLETED"), simulation.ports)
    for minute in range(20):
        at = simulation.clock.now() + timedelta(minutes=minute)
        simulation.alarms.serve(simulation.services.target_groups[0], 50, at)
        simulation.alarms.log(NAMESPACE, 2.0 if minute == 3 else 0.0, at)
    simulation.pass_time(minutes=15)
    return simulation, cursor


def baseline_of_v2(simulation: Simulation) -> LogBaseline | None:
    return next(r.log_baseline for r in simulation.ledger.releases(SERVICE) if r.version == "v2")


def with_database(checks: Any) -> tuple[Simulation, PromotionCursor]:
    simulation, cursor = baking(database_checks=checks)
    database = DatabaseSettings(project_id="local", branch_id="br-1", api_key_secret_arn=KEY, writers=())
    simulation.replace(settings=simulation.ports.settings.model_copy(update={"database": database}))
    return simulation, cursor


def test_the_error_lines_and_requests_of_the_bake_are_recorded_with_the_release() -> None:
    simulation, cursor = baking()
    judge_bake(cursor, simulation.ports)
    assert simulation.state_of("v2") == PROMOTED
    baseline = baseline_of_v2(simulation)
    assert baseline == LogBaseline(since=NOW, until=NOW + timedelta(minutes=15), errors=2, requests=750)


def test_a_release_is_promoted_without_a_baseline_if_no_line_of_the_log_arrived() -> None:
    simulation, cursor = baking()
    simulation.alarms._errors.clear()
    judge_bake(cursor, simulation.ports)
    assert (simulation.state_of("v2"), baseline_of_v2(simulation)) == (PROMOTED, None)


def test_a_release_is_promoted_without_a_baseline_if_the_metric_cant_be_read() -> None:
    simulation, cursor = baking()
    real = simulation.alarms

    class Alarms:
        def __getattr__(self, name: str) -> Any:
            return getattr(UnavailablePort("alarms") if name == "error_logs_between" else real, name)

    simulation.replace(alarms=Alarms())
    judge_bake(cursor, simulation.ports)
    assert (simulation.state_of("v2"), baseline_of_v2(simulation)) == (PROMOTED, None)


def test_a_failed_check_of_the_database_extends_the_bake() -> None:
    checks = FakeDatabaseChecks()
    simulation, cursor = with_database(checks)
    failure = Check.failed("database-statement users", "expected 't', Postgres returned 'f'")
    checks.answers = {release.fingerprint: (failure,) for release in simulation.ledger.releases(SERVICE)}
    assert "database-statement users: expected 't'" in judge_bake(cursor, simulation.ports).summary
    assert simulation.state_of("v2") == "candidate"


def test_a_database_that_gives_no_answer_prevents_no_promotion() -> None:
    simulation, cursor = with_database(UnavailablePort("database_checks"))
    judge_bake(cursor, simulation.ports)
    assert simulation.state_of("v2") == PROMOTED
