"""A deploy pipeline for the local environment, in a process of its own or in that of the cloud."""

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import boto3

from local_cloud.processes import owned_folders
from rollback.domain.settings.environment import ServiceSettings
from rollback.errors import InvalidRequest
from rollback.operations.deploy_check import check_deploy
from rollback.ports.all_ports import AllPorts
from rollback_cli.demo.pipeline import Pipeline
from rollback_cli.deployed_stack import DeployedStack
from rollback_cli.local_environment.behaviours import Behaviour, find_behaviour, with_statements

_TAG = re.compile(r"[a-zA-Z0-9_][a-zA-Z0-9_.-]{0,127}")
_FIRST_COUNT = 2  # tasks of the first release: the stack creates the service with none
_MIGRATIONS = 2  # that the demo's repository has


class LocalPipeline(Pipeline):
    """Ships releases from a process whose variables name the embedded cloud."""

    def __init__(self, service: ServiceSettings) -> None:
        self._session, self._service = boto3.Session(), service

    def client(self, service: str) -> Any:
        """Return a boto3 client for the embedded cloud."""
        return self._session.client(service)  # type: ignore[call-overload]

    @property
    def service(self) -> ServiceSettings:
        """Settings of the service."""
        return self._service


def check_version(version: str) -> None:
    """Check that a version can be the tag of an image.

    Raises:
        InvalidRequest: it can't.
    """
    if not _TAG.fullmatch(version):
        raise InvalidRequest(
            f"version {version!r} can't be the tag of an image: write up to 128 letters, digits, `.`, `_` and `-`, "
            "as in v1.2.3; nothing was shipped"
        )


def ship_release(
    pipeline: Pipeline,
    deployed: DeployedStack,
    ports: AllPorts,
    version: str,
    behaves: str,
    *,
    should_migrate: bool = False,
) -> Behaviour:
    """Ship a release as a pipeline does: push, check, checkpoint and migrate, register, update the service.

    Args:
        pipeline: pipeline of the service.
        deployed: stack of the environment.
        ports: adapters of the environment.
        version: version of the release, the tag of its image.
        behaves: name of its behaviour.
        should_migrate: whether the release has the repository's next migration.

    Returns:
        The behaviour of the release.

    Raises:
        InvalidRequest: the version or the behaviour is not valid, a rollback is in progress, or there is nothing to
            migrate.
    """
    check_version(version)
    behaviour = find_behaviour(behaves)
    if _is_pushed(pipeline, version):
        raise InvalidRequest(
            f"{version} was shipped already, and a version names one image: choose another version; nothing was shipped"
        )
    migrations = 0
    if deployed.settings.database is not None:
        applied = count_applied(pipeline)
        should_migrate = should_migrate or not applied  # the first one creates the tables
        migrations = applied + should_migrate
        if migrations > _MIGRATIONS:
            raise InvalidRequest(
                "--migrate: every migration of the repository is applied already: ship without it, or roll the "
                "database back first; nothing was shipped"
            )
        behaviour = with_statements(behaviour, statements(migrations, version))
    elif should_migrate:
        raise InvalidRequest(
            "--migrate needs a database: run `rollback local down`, then `rollback local up --deploy --database`; "
            "nothing was shipped"
        )
    pipeline.push(version, dict(behaviour.image))
    decision = check_deploy(pipeline.service.name, pipeline.image(version), ports)
    if not decision.is_allowed:
        _delete_image(pipeline, version)
        raise InvalidRequest(f"{decision.reason}; nothing was shipped")
    if should_migrate:
        folder = owned_folders.make("migrations")
        try:
            _migrate(pipeline, version, folder / "drizzle", migrations)
        finally:
            owned_folders.remove(folder)
    count = pipeline.describe_service()["desiredCount"]
    pipeline.ship(version, desired_count=None if count else _FIRST_COUNT)
    return behaviour


def _is_pushed(pipeline: Pipeline, version: str) -> bool:
    images = pipeline.client("ecr").get_paginator("list_images").paginate(repositoryName=pipeline.repository)
    return any(image.get("imageTag") == version for page in images for image in page["imageIds"])


def _delete_image(pipeline: Pipeline, version: str) -> None:
    ecr = pipeline.client("ecr")
    ecr.batch_delete_image(repositoryName=pipeline.repository, imageIds=[{"imageTag": version}])


def _migrate(pipeline: Pipeline, version: str, folder: Path, migrations: int) -> None:
    from rollback_cli.demo.database.migrations import check_out  # noqa: PLC0415 - imports psycopg

    check_out(folder, migrations)
    pipeline.checkpoint(version, folder)
    pipeline.migrate(folder)


def count_applied(pipeline: Pipeline) -> int:
    """Return how many of the migrations the database has that the tasks use."""
    import psycopg  # noqa: PLC0415 - only an environment with a database needs it

    with psycopg.connect(pipeline.connection_uri()) as session:
        (journal,) = session.execute(b"SELECT to_regclass('drizzle.__drizzle_migrations')").fetchone() or (None,)
        if journal is None:
            return 0
        (count,) = session.execute(b"SELECT count(*) FROM drizzle.__drizzle_migrations").fetchone() or (0,)
        return int(count)


def statements(migrations: int, version: str) -> Mapping[str, str]:
    """Return the SQL of a release's requests, by the migrations that it has: the second one drops a column."""
    name = f"by {version}"  # a tag has no quote
    if migrations < _MIGRATIONS:
        return {
            "reads": "SELECT id, email FROM users ORDER BY id LIMIT 5",
            "writes": f"INSERT INTO users (email, name) VALUES (gen_random_uuid() || '@example.com', '{name}')",  # noqa: S608 - a tag
        }
    return {
        "reads": "SELECT id FROM users ORDER BY id LIMIT 5",
        "writes": f"INSERT INTO users (name) VALUES ('{name}')",  # noqa: S608 - a tag
    }
