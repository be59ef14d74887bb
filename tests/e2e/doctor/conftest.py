"""One deployed environment with a database, for all tests of the doctor."""

from collections.abc import Iterator

import pytest
from e2e.conftest import POLICY, cloud_process, pointed_at
from e2e.live import DeployedEnvironment, wait_for


@pytest.fixture(scope="module")
def cloud() -> Iterator[dict[str, str]]:
    """Environment variables of the clients of the cloud, which has a Neon project beside it."""
    with cloud_process(POLICY, with_database=True) as variables:
        yield variables


@pytest.fixture(scope="module")
def deployed(cloud: dict[str, str]) -> Iterator[DeployedEnvironment]:
    """Deployed environment whose one release runs, is promoted, and has been observed with its database."""
    with pointed_at(cloud):
        live = DeployedEnvironment()
        live.promote(live.release().version)
        database = live.deployed.settings.database
        assert database is not None
        wait_for(lambda: set(live.alarm_states().values()) == {"OK"})
        wait_for(lambda: live.ports.ledger.observation(database.branch_key(None)))
        yield live
