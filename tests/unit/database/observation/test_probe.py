"""Measurements of the database: with each observation, or more often; their result starts nothing."""

from datetime import timedelta
from typing import Any

import pytest
from simulations.migrations import BRANCH, MigrationSimulation
from support.builders import NOW, rollback
from support.stand_ins import UnavailablePort

from rollback.database.observation.probe import probe_database
from rollback.database.observation.schedule import observe_if_due
from rollback.domain.settings.environment import Settings
from rollback.errors import ExternalServiceError
from rollback.reports.database_probe import format_database_probe
from rollback.resources.database.errors import Unreachable
from rollback.resources.database.probe import DatabaseProbe, SessionTimes


class WakingSql:
    """Postgres whose first sessions fail, as those with a suspended compute may."""

    def __init__(self, real: object, failures: int) -> None:
        self._real, self.failures, self.sessions = real, failures, 0

    def measure(self, address: Any) -> SessionTimes:
        self.sessions += 1
        if self.sessions <= self.failures:
            raise Unreachable("no session")
        return SessionTimes(connect_milliseconds=900, query_milliseconds=4)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._real, name)


def simulation_with(failures: int, **database: Any) -> tuple[MigrationSimulation, WakingSql]:
    simulation = MigrationSimulation()
    sql = WakingSql(simulation.ports.sql, failures)
    settings = simulation.ports.settings
    assert settings.database is not None
    changed = settings.database.model_copy(update=database)
    simulation.replace(sql=sql, settings=settings.model_copy(update={"database": changed}))
    return simulation, sql


@pytest.mark.parametrize(("failures", "has_answered", "attempts"), [(0, True, 1), (1, True, 2), (2, False, 2)])
def test_a_compute_that_wakes_up_gets_a_second_session_before_it_counts_as_unreachable(
    failures: int, has_answered: bool, attempts: int
) -> None:
    simulation, sql = simulation_with(failures)
    probe = probe_database(simulation.ports)
    assert probe is not None
    assert (probe.has_answered, probe.attempts, sql.sessions) == (has_answered, attempts, attempts)
    assert (probe.query_milliseconds == 4) is has_answered
    assert simulation.metrics.probes == [probe]
    assert simulation.ledger.database_probe(BRANCH) == probe


def test_without_an_address_from_neon_the_database_was_not_looked_at() -> None:
    simulation, sql = simulation_with(0)
    simulation.replace(neon=UnavailablePort("neon"))
    assert probe_database(simulation.ports) is None
    assert (sql.sessions, simulation.metrics.probes) == (0, [])


def test_a_failed_look_is_recorded_although_the_observation_then_fails() -> None:
    simulation, _ = simulation_with(2)
    simulation.replace(sql=UnavailablePort("sql"))
    with pytest.raises(ExternalServiceError):
        observe_if_due(simulation.ports)
    assert [probe.has_answered for probe in simulation.metrics.probes] == [False]


@pytest.mark.parametrize(("probe_minutes", "looks"), [(None, 1), (15, 2)])
def test_a_suspended_compute_is_woken_between_observations_only_if_the_settings_say_so(
    probe_minutes: float | None, looks: int
) -> None:
    simulation, sql = simulation_with(0, probe_minutes=probe_minutes)
    observe_if_due(simulation.ports)
    for _ in range(4):
        simulation.pass_time(minutes=5)
        observe_if_due(simulation.ports)
    assert sql.sessions == looks


def settings_with_database() -> Settings:
    simulation, _ = simulation_with(0)
    return simulation.ports.settings


@pytest.mark.parametrize(
    ("probe", "said"),
    [
        (None, "not looked at"),
        (DatabaseProbe(branch=BRANCH, at=NOW, has_answered=False, attempts=2), "did not answer, in 2 attempts"),
        (
            DatabaseProbe(branch=BRANCH, at=NOW, has_answered=True, connect_milliseconds=900.4, query_milliseconds=4.2),
            "answered; the connection took 900 ms (with the start of a suspended compute), the query 4 ms",
        ),
    ],
)
def test_a_report_says_in_one_line_whether_the_database_answered(probe: DatabaseProbe | None, said: str) -> None:
    (line,) = format_database_probe(rollback(settings=settings_with_database(), database_probe=probe))
    assert said in line


def test_a_report_without_a_database_says_nothing_about_it() -> None:
    assert list(format_database_probe(rollback())) == []


def test_the_conclusion_keeps_the_last_measurement() -> None:
    simulation, _ = simulation_with(0)
    simulation.pass_time(minutes=5)
    simulation.start_versioned_deployment("v2")
    probe = probe_database(simulation.ports)
    ended = simulation.run()
    assert probe is not None
    assert ended.database_probe == probe
    assert simulation.clock.now() - probe.at < timedelta(days=1)
