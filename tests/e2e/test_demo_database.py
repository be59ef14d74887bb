"""Database of the demo environment: real rows of a real service, and a migration that breaks the old release."""

import http.client
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlsplit

import psycopg
import pytest
from contract.local_cloud.workload import eventually
from e2e.conftest import POLICY, cloud_process, pointed_at
from e2e.live import PATIENCE_SECONDS, DeployedEnvironment

from local_cloud.elb.load import LoadGenerator
from local_cloud.listing import list_all
from rollback_cli.demo.database.migrations import check_out
from rollback_cli.demo.database.seed import BAD_RELEASE_NAME
from rollback_cli.demo.scenarios import BAD_VERSION, GOOD_VERSION, SCENARIOS

LOG_GROUP = "/aws/ecs/macro-ai-production"
SCENARIO = SCENARIOS["bad-migration"]


@pytest.fixture(scope="module")
def deployed() -> Iterator[DeployedEnvironment]:
    with cloud_process(POLICY, with_database=True) as variables, pointed_at(variables):
        yield DeployedEnvironment()


def _answer(deployed: DeployedEnvironment) -> int:
    address = urlsplit(str(deployed.service.base_url))
    connection = http.client.HTTPConnection(str(address.hostname), int(address.port or 80), timeout=10)
    try:
        connection.request("GET", "/api/status")
        return connection.getresponse().status
    finally:
        connection.close()


def _rows(deployed: DeployedEnvironment, name: str) -> int:
    with psycopg.connect(deployed.connection_uri()) as session:
        (count,) = session.execute("SELECT count(*) FROM users WHERE name = %s", [name]).fetchone() or (0,)
        return int(count)


def _ship(deployed: DeployedEnvironment, version: str) -> None:
    deployed.ship(version, desired_count=2)
    digest = deployed.digest_of(version)
    eventually(lambda: deployed.is_settled() and deployed.running_digests() == {digest}, PATIENCE_SECONDS)


@pytest.mark.e2e
def test_a_breaking_migration_fails_its_release_and_the_release_before_it(
    deployed: DeployedEnvironment, tmp_path: Path
) -> None:
    assert SCENARIO.migrations is not None
    before, after = SCENARIO.migrations
    deployed.push(GOOD_VERSION, SCENARIO.good_behaviour)
    assert deployed.migrate(check_out(tmp_path / GOOD_VERSION, before)) == ("0000_users",)
    _ship(deployed, GOOD_VERSION)
    with LoadGenerator(str(deployed.service.base_url), 25, ("/api/status",)) as load:
        eventually(lambda: _rows(deployed, "by v1.0.0") >= 3, PATIENCE_SECONDS)
        assert load.failed == 0

        deployed.push(BAD_VERSION, SCENARIO.bad_behaviour)
        assert deployed.migrate(check_out(tmp_path / BAD_VERSION, after)) == ("0001_drop_email",)
        _ship(deployed, BAD_VERSION)
        eventually(lambda: deployed.alarm_states()[deployed.alarm] == "ALARM", PATIENCE_SECONDS)
        eventually(lambda: _rows(deployed, BAD_RELEASE_NAME) >= 3, PATIENCE_SECONDS)

    _ship(deployed, GOOD_VERSION)  # its health checks pass: they don't use the database
    assert [_answer(deployed) for _ in range(6)] == [500] * 6
    lines = list_all(deployed.client("logs"), "filter_log_events", "events", logGroupName=LOG_GROUP)
    lines_of_good = [line["message"] for line in lines if f"version={GOOD_VERSION}" in line["message"]]
    assert 'UndefinedColumn: column "email" does not exist' in lines_of_good[-1]
