"""One embedded cloud and one local Neon per test process: starting one takes a second or two."""

from collections.abc import Iterator

import pytest
from contract.neon_projects import LocalProject

from local_cloud.deployment.server import LocalCloud
from local_cloud.neon.project import Limits
from local_cloud.neon.server import LocalNeon


@pytest.fixture(scope="session")
def cloud() -> Iterator[LocalCloud]:
    with LocalCloud(scale=100) as running:
        yield running


@pytest.fixture(scope="session")
def local_neon() -> Iterator[LocalNeon]:
    with LocalNeon() as running:
        yield running


@pytest.fixture
def project(local_neon: LocalNeon) -> Iterator[LocalProject]:
    """A project with the limits of Neon's answers, for one test."""
    project = LocalProject(local_neon, Limits())
    yield project
    project.close()


@pytest.fixture
def root(project: LocalProject) -> str:
    """Id of the root branch of the test's project."""
    branch = project.databases.branch_named("main")
    assert branch is not None
    return branch.id
