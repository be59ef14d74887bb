"""One embedded cloud per test process: starting one takes about a second, and moto's state is the process's."""

from collections.abc import Iterator

import pytest

from local_cloud.server import LocalCloud


@pytest.fixture(scope="session")
def cloud() -> Iterator[LocalCloud]:
    with LocalCloud(scale=100) as running:
        yield running
