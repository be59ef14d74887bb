"""A branch recreated, deleted and stepped down on the local Neon with real Postgres, and the undo of each."""

import json
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
from contract.neon_projects import LocalProject
from fakes.aws.ecs_services import FakeServices
from fakes.aws.ecs_tasks import FakeTasks
from fakes.aws.secrets import FakeSecrets
from fakes.clock import FakeClock
from fakes.ledger import FakeLedger
from pydantic import SecretStr
from simulations.fake_ports import make_ports
from support.builders import SERVICE, definition, release, rollback
from support.database_progress import narrow

from local_cloud.neon.project import Limits
from local_cloud.neon.server import ROLE, LocalNeon
from rollback.check import Check, Verdict
from rollback.database.delete.reconciler import delete
from rollback.database.down_migrations.reconciler import run_down_migrations
from rollback.database.preflight.branch_context import BranchContext
from rollback.database.recreate.reconciler import recreate
from rollback.database.restore.reset import reset
from rollback.domain.database.branch_settings import BranchSettings
from rollback.domain.database.plan import DatabasePlan
from rollback.domain.database.progress import DatabaseOutcome, DatabaseProgress, DownMigrationProgress, backup_name
from rollback.domain.plan import Plan
from rollback.domain.rollback import Rollback
from rollback.domain.settings.database import DatabaseSettings, Strategy
from rollback.ports.all_ports import AllPorts
from rollback.resources.database.live_schema import LiveSchema
from rollback.resources.database.migration_journal import Migration
from rollback.resources.database.neon import Branch

NAME = "preview/pr-42"
SECRET = "arn:aws:secretsmanager:eu-west-1:123456789012:secret:pr-42-AbCdEf"


@pytest.fixture
def project(local_neon: LocalNeon) -> Iterator[LocalProject]:
    local = LocalProject(local_neon, Limits())
    yield local
    local.close()


class StrategyHarness:
    """A service that writes to a branch, and the ports that a rollback of the branch sees."""

    def __init__(self, project: LocalProject, **settings: Any) -> None:
        self.project = project
        self.clock, self.ledger = FakeClock(project.now()), FakeLedger()
        self.services, self.secrets = FakeServices(self.clock), FakeSecrets()
        self.tasks = FakeTasks(self.services)
        self.definition_arn = self.services.register_release(definition("v2"), "family")
        self.services.run(self.definition_arn)
        fields = {
            "project_id": project.id, "database": "app", "role": ROLE,
            "api_key_secret_arn": "arn:aws:secretsmanager:eu-west-1:123456789012:secret:neon",
        }  # fmt: skip
        database = DatabaseSettings.model_validate({**fields, **settings})
        ports = make_ports(
            clock=self.clock, ledger=self.ledger, services=self.services, secrets=self.secrets, tasks=self.tasks
        )
        self.ports: AllPorts = replace(ports, settings=ports.settings.model_copy(update={"database": database}))
        self.begin(rollback().id)

    def begin(self, identity: str) -> None:
        """Build another rollback."""
        self.ledger.release_lease(SERVICE, rollback().id)
        lease = self.ledger.acquire(SERVICE, identity, self.clock.now(), self.clock.now() + timedelta(hours=1))
        assert lease is not None
        self.document = rollback(id=identity, lease_counter=lease.counter)

    def context(self, branch_id: str, **more: Any) -> BranchContext:
        target = BranchSettings.of(self.ports.settings, branch_id)
        return BranchContext(target, self.project.databases, self.project.sql, **more)

    def run_until_ended(self, step: Callable[[Rollback], Rollback]) -> DatabaseProgress:
        for _ in range(200):
            self.document = step(self.document)
            progress = self.document.database
            if progress is not None and progress.ended_at is not None:
                return progress
            if self.document.wait_seconds:
                self.services.tick()
                self.project.settle()
        raise AssertionError(f"no end: {self.document.database}")

    def named(self, name: str) -> Branch:
        branch = self.project.databases.branch_named(name)
        assert branch is not None
        return branch


def preview_of(project: LocalProject) -> Branch:
    root = project.databases.branch_named("main")
    assert root is not None
    project.write(root.id, 1)
    branch = project.databases.create_branch(NAME, root.id, with_endpoint=True).branch
    project.settle()
    project.write(branch.id, 2)
    return branch


def test_a_recreated_branch_has_the_sources_rows_and_the_old_branch_keeps_its_rows(project: LocalProject) -> None:
    old = preview_of(project)
    root = project.databases.branch_named("main")
    assert root is not None
    harness = StrategyHarness(
        project, branch_pattern="preview/pr-{pr}", connection_secret_arn=SECRET, connection_secret_key="URL"
    )
    harness.secrets.values[SECRET] = SecretStr(json.dumps({"URL": project.uri(old.id), "KEY": "kept"}))
    plan = DatabasePlan(strategy=Strategy.RECREATE, branch=NAME, source_branch_id=root.id)
    context = harness.context(old.id)
    project.lose_next("update_branch")
    project.lose_next("create_branch")
    progress = harness.run_until_ended(lambda document: recreate(document, plan, context, harness.ports))
    assert progress.database_outcome is DatabaseOutcome.RESTORED, progress.why_not
    new, backup = harness.named(NAME), harness.named(backup_name(harness.document.id))
    assert (project.rows(new.id), project.rows(backup.id), backup.id) == ([1], [1, 2], old.id)
    assert json.loads(harness.secrets.values[SECRET].get_secret_value()) == {"URL": project.uri(new.id), "KEY": "kept"}
    assert backup.expires_at is not None


def test_a_deletion_removes_the_branch_and_keeps_its_source(project: LocalProject) -> None:
    old = preview_of(project)
    harness = StrategyHarness(project, branch_pattern="preview/pr-{pr}")
    plan = DatabasePlan(strategy=Strategy.DELETE, branch=NAME)
    project.lose_next("delete_branch")
    progress = harness.run_until_ended(lambda document: delete(document, plan, harness.context(old.id), harness.ports))
    assert progress.database_outcome is DatabaseOutcome.DELETED, progress.why_not
    assert [branch.name for branch in project.databases.branches()] == ["main"]


JOURNAL = (
    "CREATE SCHEMA drizzle; CREATE TABLE drizzle.__drizzle_migrations (id serial, hash text, created_at bigint); "
    "INSERT INTO drizzle.__drizzle_migrations (hash, created_at) VALUES ('a', 1), ('b', 2); "
    "ALTER TABLE written ADD COLUMN nick text DEFAULT 'x'"
)
DOWN = "ALTER TABLE written DROP COLUMN nick; DELETE FROM drizzle.__drizzle_migrations WHERE hash = 'b'"


def test_down_migrations_change_the_schema_in_place_and_an_undo_restores_schema_and_data(project: LocalProject) -> None:
    root = project.databases.branch_named("main")
    assert root is not None
    project.write(root.id, 1)
    project.run(root.id, JOURNAL)
    address = project.uri(root.id)
    harness = StrategyHarness(project, branch_id=root.id, down_command=("pnpm", "db:down", "{tag}"))

    def down(log: list[str]) -> int:
        project.run(root.id, DOWN)
        log.append("stepped down 0002_nick")
        return 0

    def knows_the_first(schema: LiveSchema, journal: tuple[Migration, ...] | None) -> tuple[Check, ...]:
        fits = [row.created_at for row in journal or ()] == [1] and "nick" not in schema.tables["public.written"]
        return (Check(name="fits", verdict=Verdict.PASS if fits else Verdict.FAIL, reason=f"{journal}"),)

    harness.tasks.commands["pnpm db:down 0002_nick"] = down
    plan = DatabasePlan(strategy=Strategy.DOWN_MIGRATIONS, branch=root.id, migrations=("0002_nick",))
    planned = Plan(running=release("v2", definition_arn=harness.definition_arn), target=None, database=plan, checks=())
    harness.document = harness.document.evolve(plan=planned)
    context = harness.context(root.id, check_tables=knows_the_first)
    project.lose_next("create_branch")
    progress = harness.run_until_ended(lambda document: run_down_migrations(document, plan, context, harness.ports))
    assert progress.database_outcome is DatabaseOutcome.RESTORED, progress.why_not
    assert project.uri(root.id) == address
    assert project.rows(root.id) == [1]
    assert [run.logs for run in narrow(progress, DownMigrationProgress).ran] == [("stepped down 0002_nick",)]
    backup = harness.named(backup_name(harness.document.id))
    assert project.run(backup.id, "SELECT nick FROM written") == [("x",)]

    undone = harness.document.id
    harness.begin(f"{SERVICE}-20260301T040000Z-11111111")
    undoing = harness.context(root.id)
    progress = harness.run_until_ended(
        lambda document: reset(document, backup.id, undoing, harness.ports, undone_rollback_id=undone)
    )
    assert progress.database_outcome is DatabaseOutcome.RESTORED, progress.why_not
    assert project.run(root.id, "SELECT nick FROM written") == [("x",)]
    assert project.uri(root.id) == address
    assert harness.named(backup_name(undone)).expires_at is None, "the branch comes from it now"
