"""A production restore on the local Neon with real Postgres, and the branches after it."""

from collections.abc import Iterator
from datetime import timedelta

import pytest
from contract.neon_projects import LocalProject
from fakes.aws.ecs_services import FakeServices
from fakes.clock import FakeClock
from fakes.ledger import FakeLedger
from simulations.fake_ports import make_ports
from support.builders import SERVICE, definition, rollback

from local_cloud.neon.project import Limits
from local_cloud.neon.server import LocalNeon
from rollback.database.preflight.branch_context import BranchContext
from rollback.database.restore.reconciler import restore
from rollback.database.restore.reset import reset
from rollback.domain.database.branch_settings import BranchSettings
from rollback.domain.database.progress import DatabaseOutcome, RestorePoint, backup_name
from rollback.domain.rollback import Rollback
from rollback.ports.all_ports import AllPorts


@pytest.fixture
def project(local_neon: LocalNeon) -> Iterator[LocalProject]:
    local = LocalProject(local_neon, Limits())
    yield local
    local.close()


def admitted(project: LocalProject) -> tuple[AllPorts, FakeServices, Rollback]:
    clock, ledger = FakeClock(project.now()), FakeLedger()
    services = FakeServices(clock)
    services.run(services.register_release(definition("v1"), "family"))
    lease = ledger.acquire(SERVICE, rollback().id, clock.now(), clock.now() + timedelta(hours=1))
    assert lease is not None
    ports = make_ports(clock=clock, ledger=ledger, services=services)
    return ports, services, rollback(lease_counter=lease.counter)


def test_a_restore_keeps_later_rows_in_the_backup_and_keeps_the_address(project: LocalProject) -> None:
    root = project.databases.branch_named("main")
    assert root is not None
    project.write(root.id, 1)
    _, at = project.position(root.id)
    project.write(root.id, 2)
    project.define(root.id, "written_in_haste")
    project.databases.update_branch(root.id, protected=True)
    project.settle()
    address = project.uri(root.id)
    ports, services, document = admitted(project)
    target = BranchSettings(
        branch_id=root.id, database="app", role="app_owner", writers=ports.settings.services, window_margin_minutes=0
    )
    context = BranchContext(target, project.databases, project.sql)
    project.lose_next("restore")
    for _ in range(200):
        document = restore(document, RestorePoint(at=at), context, ports)
        assert document.database is not None
        if document.database.ended_at is not None:
            break
        if document.wait_seconds:
            services.tick()
            project.settle()
    assert document.database is not None
    assert document.database.database_outcome is DatabaseOutcome.RESTORED, document.database.why_not
    after, backup = (project.databases.branch_named(name) for name in ("main", backup_name(document.id)))
    assert after is not None
    assert backup is not None
    assert (after.id, after.protected, project.uri(after.id)) == (root.id, True, address)
    assert (project.rows(after.id), project.rows(backup.id)) == ([1], [1, 2])
    assert {branch.id for branch in project.databases.branches()} == {after.id, backup.id}


def test_a_reset_takes_the_source_s_rows_and_keeps_the_branch_s_own_in_the_backup(project: LocalProject) -> None:
    root = project.databases.branch_named("main")
    assert root is not None
    staging = project.databases.create_branch("staging", root.id, with_endpoint=True).branch
    project.settle()
    project.write(root.id, 1)
    project.write(staging.id, 2)
    address = project.uri(staging.id)
    ports, services, document = admitted(project)
    target = BranchSettings(branch_id=staging.id, database="app", role="app_owner", writers=ports.settings.services)
    context = BranchContext(target, project.databases, project.sql)
    for _ in range(200):
        document = reset(document, root.id, context, ports)
        assert document.database is not None
        if document.database.ended_at is not None:
            break
        if document.wait_seconds:
            services.tick()
            project.settle()
    assert document.database is not None
    assert document.database.database_outcome is DatabaseOutcome.RESTORED, document.database.why_not
    backup = project.databases.branch_named(backup_name(document.id))
    assert backup is not None
    assert (project.rows(staging.id), project.rows(backup.id), project.rows(root.id)) == ([1], [2], [1])
    assert project.uri(staging.id) == address
