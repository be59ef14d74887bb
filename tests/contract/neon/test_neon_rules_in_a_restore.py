"""A production restore under Neon's less common rules, on the local Neon with real Postgres."""

import json
from collections.abc import Iterator
from dataclasses import replace
from datetime import timedelta
from urllib.parse import urlsplit

import httpx
import psycopg
import pytest
from contract.neon_projects import LocalProject
from contract.postgres.test_database_restore import admitted
from contract.postgres.test_database_strategies import NAME, SECRET, StrategyHarness, preview_of
from fakes.ledger import FakeLedger
from pydantic import SecretStr
from support.builders import SERVICE, rollback

from local_cloud.neon.project import Limits
from local_cloud.neon.server import LocalNeon
from rollback.database.preflight.branch_context import BranchContext
from rollback.database.recreate.reconciler import recreate
from rollback.database.restore.reconciler import restore
from rollback.database.restore.reset import reset
from rollback.domain.database.branch_settings import BranchSettings
from rollback.domain.database.plan import DatabasePlan
from rollback.domain.database.progress import DatabaseOutcome, DatabaseProgress, RestorePoint, backup_name
from rollback.domain.settings.database import Strategy


@pytest.fixture
def project(local_neon: LocalNeon) -> Iterator[LocalProject]:
    local = LocalProject(local_neon, Limits(subscription_type="direct_sales_v3"))
    yield local
    local.close()


class Restored:
    """Rows 1 (good) and 2 (bad), staging a child of production, which is protected."""

    def __init__(self, project: LocalProject) -> None:
        self.project = project
        root = project.databases.branch_named("main")
        assert root is not None
        self.root_id = root.id
        project.write(root.id, 1)
        self.point = RestorePoint(at=project.position(root.id)[1])
        project.write(root.id, 2)
        project.databases.create_branch("staging", root.id)
        project.settle()
        project.databases.update_branch(root.id, protected=True)
        self.ports, self.services, self.document = admitted(project)
        target = BranchSettings(
            branch_id=root.id, database="app", role="app_owner", writers=self.ports.settings.services,
            window_margin_minutes=0,
        )  # fmt: skip
        self.context = BranchContext(target, project.databases, project.sql)

    def run(self) -> DatabaseProgress:
        return self._until_ended(undo=None)

    def undo(self, backup_id: str) -> DatabaseProgress:
        undone, ledger, now = self.document.id, FakeLedger(), self.ports.clock.now()
        identity = f"{SERVICE}-20260301T040000Z-11111111"
        lease = ledger.acquire(SERVICE, identity, now, now + timedelta(hours=1))
        assert lease is not None
        self.ports = replace(self.ports, ledger=ledger)
        self.document = rollback(id=identity, lease_counter=lease.counter)
        return self._until_ended(undo=(backup_id, undone))

    def _until_ended(self, undo: tuple[str, str] | None) -> DatabaseProgress:
        for _ in range(200):
            if undo is None:
                self.document = restore(self.document, self.point, self.context, self.ports)
            else:
                self.document = reset(self.document, undo[0], self.context, self.ports, undone_rollback_id=undo[1])
            if self.document.database is not None and self.document.database.ended_at is not None:
                return self.document.database
            if self.document.wait_seconds:
                self.services.tick()
                self.project.settle()
        raise AssertionError("it does not end")


def test_a_restore_succeeds_with_the_data_api_an_unknown_plan_children_and_ip_limits(project: LocalProject) -> None:
    project.behaviour.expiry_refusal = "branch expiration is not supported with the Data API"
    project.settings.allowed_ips, project.settings.protected_branches_only = ("127.0.0.0/8",), True
    restored = Restored(project)
    progress = restored.run()
    assert progress.database_outcome is DatabaseOutcome.RESTORED, progress.why_not
    branches = {branch.name: branch for branch in project.databases.branches()}
    backup = branches[backup_name(restored.document.id)]
    assert set(branches) == {"main", "staging", backup.name}
    assert (branches["main"].protected, backup.protected) == (True, True)
    assert branches["staging"].parent_id == backup.id
    notes = "\n".join(progress.notes)
    for text in ("backup-has-room", "staging move from main", "IP Allow holds on protected", "without expires_at"):
        assert text in notes


def test_an_undo_from_an_archived_backup_restores_the_rows(project: LocalProject) -> None:
    """https://neon.com/docs/guides/branch-archiving: restoring from it unarchives it."""
    restored = Restored(project)
    progress = restored.run()
    assert progress.database_outcome is DatabaseOutcome.RESTORED, progress.why_not
    assert project.rows(restored.root_id) == [1]
    assert progress.backup_id is not None
    project.archive(next(b.id for b in project.databases.branches() if b.name == "staging"))
    project.archive(progress.backup_id)
    undone = restored.undo(progress.backup_id)
    assert undone.database_outcome is DatabaseOutcome.RESTORED, undone.why_not
    assert project.rows(restored.root_id) == [1, 2]


def test_a_recreated_branch_is_reached_by_the_role_of_the_services_through_the_pooler(
    project: LocalProject, local_neon: LocalNeon
) -> None:
    """Its role has a new password there, since the source is protected; its database and parameters are its own."""
    root = project.databases.branch_named("main")
    assert root is not None
    httpx.post(
        f"{local_neon.base_url}/projects/{project.id}/branches/{root.id}/roles",
        json={"role": {"name": "express_api"}},
        headers={"Authorization": f"Bearer {local_neon.api_key}"},
    ).raise_for_status()
    old = preview_of(project)
    project.databases.update_branch(root.id, protected=True)
    pooled = project.databases.connection_uri(old.id, "app", "express_api", pooled=True).get_secret_value()
    original_uri = f"{pooled}&application_name=express-api&connect_timeout=9"
    simulation = StrategyHarness(
        project, branch_pattern="preview/pr-{pr}", connection_secret_arn=SECRET, connection_secret_key="URL"
    )
    simulation.secrets.values[SECRET] = SecretStr(json.dumps({"URL": original_uri, "KEY": "kept"}))
    plan = DatabasePlan(strategy=Strategy.RECREATE, branch=NAME, source_branch_id=root.id)
    context = simulation.context(old.id)
    progress = simulation.run_until_ended(lambda document: recreate(document, plan, context, simulation.ports))
    assert progress.database_outcome is DatabaseOutcome.RESTORED, progress.why_not
    after = json.loads(simulation.secrets.values[SECRET].get_secret_value())["URL"]
    was, now = urlsplit(original_uri), urlsplit(after)
    assert (now.scheme, now.username, now.path, now.query) == (was.scheme, "express_api", was.path, was.query)
    assert now.password != was.password
    assert (now.hostname or "").partition(".")[0].endswith("-pooler")
    assert now.hostname != was.hostname
    with psycopg.connect(after) as session:
        assert session.execute("SELECT current_user, current_database()").fetchone() == ("express_api", "app")
