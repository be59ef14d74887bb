"""One embedded cloud and one local Neon per test process: starting one takes a second or two."""

from collections.abc import Iterator

import pytest

from local_cloud.deployment.server import LocalCloud
from local_cloud.neon.server import LocalNeon


@pytest.fixture(scope="session")
def cloud() -> Iterator[LocalCloud]:
    with LocalCloud(scale=100) as running:
        yield running


@pytest.fixture(scope="session")
def local_neon() -> Iterator[LocalNeon]:
    with LocalNeon() as running:
        yield running
