"""Promises of the port to Neon, kept on the fake and on the client with the local Neon."""

from collections.abc import Iterable, Iterator
from datetime import timedelta

import pytest
from contract.neon_projects import ContractProject, FakeProject, LocalProject

from local_cloud.neon.project import Limits
from rollback.domain.database.progress import OriginalBranch
from rollback.resources.database.errors import (
    AlreadyExists,
    BackupNameRequired,
    BranchHasChildren,
    BranchNotReady,
    BranchProtected,
    NotFound,
    OutcomeUnknown,
    ProjectLocked,
    RequestRefused,
    RetryLater,
    SessionRefused,
    Unreachable,
)
from rollback.resources.database.neon import Branch, BranchChange, Operation
from rollback.resources.database.wal_position import Lsn

LIMITS = Limits(root_branches=3, subscription_type="free_v3")


@pytest.fixture(params=["fake", "local"])
def project(request: pytest.FixtureRequest) -> Iterator[ContractProject]:
    if request.param == "fake":
        yield FakeProject(LIMITS)
        return
    local = LocalProject(request.getfixturevalue("local_neon"), LIMITS)
    yield local
    local.close()


def main(project: ContractProject) -> Branch:
    branch = project.databases.branch_named("main")
    assert branch is not None
    return branch


def branch_by_id(project: ContractProject, branch_id: str) -> Branch:
    branch = project.databases.branch(branch_id)
    assert branch is not None
    return branch


def child(project: ContractProject, name: str = "staging") -> Branch:
    """Create a branch of main with a compute, and wait until it is ready."""
    created = project.databases.create_branch(name, main(project).id, with_endpoint=True)
    project.settle()
    return branch_by_id(project, created.branch.id)


def uri(project: ContractProject, branch: Branch) -> str:
    return project.databases.connection_uri(branch.id, "app", "app_owner").get_secret_value()


def test_a_project_has_a_history_retention_and_a_limit_of_root_branches(project: ContractProject) -> None:
    info = project.databases.project()
    assert (info.history_retention_seconds, info.root_branch_limit) == (86_400, 3)


def test_a_branch_is_found_by_its_whole_name_and_by_its_id(project: ContractProject) -> None:
    staging = child(project, "staging")
    assert project.databases.branch_named("stag") is None
    assert project.databases.branch_named("staging") == staging
    assert project.databases.branch("br-none") is None
    assert {branch.name for branch in project.databases.branches()} == {"main", "staging"}


def test_a_new_branch_has_its_parents_data_and_changes_independently(project: ContractProject) -> None:
    root = main(project)
    project.write(root.id, 1)
    staging = child(project)
    project.write(root.id, 2)
    project.write(staging.id, 3)
    assert (project.rows(root.id), project.rows(staging.id)) == ([1, 2], [1, 3])
    assert (staging.parent_id, staging.is_root, staging.is_ready) == (root.id, False, True)


def test_a_branch_has_a_compute_only_if_the_request_asks_for_it(project: ContractProject) -> None:
    root = main(project)
    change = project.databases.create_branch("a", root.id)
    project.settle()
    with_one = project.databases.create_branch("b", root.id, with_endpoint=True)
    assert (change.endpoints, len(with_one.endpoints)) == ((), 1)
    project.settle()
    with pytest.raises(NotFound):
        project.databases.connection_uri(change.branch.id, "app", "app_owner")
    new_endpoint = project.databases.create_endpoint(change.branch.id)
    project.settle()
    assert project.databases.endpoints(change.branch.id)[0].id == new_endpoint.endpoint.id
    with pytest.raises(AlreadyExists):
        project.databases.create_endpoint(change.branch.id)


@pytest.mark.parametrize("by", ["lsn", "time"])
def test_a_branch_from_a_position_has_the_data_committed_by_then(project: ContractProject, by: str) -> None:
    root = main(project)
    project.write(root.id, 1)
    lsn, at = project.position(root.id)
    project.write(root.id, 2)
    preview = project.databases.create_branch("preview", root.id, lsn if by == "lsn" else at)
    project.settle()
    assert project.rows(preview.branch.id) == [1]
    resolved = branch_by_id(project, preview.branch.id).parent_lsn
    assert resolved is not None
    assert resolved >= lsn


def test_a_running_operation_locks_the_whole_project(project: ContractProject) -> None:
    root = main(project)
    with project.hold_operations():
        change = project.databases.create_branch("a", root.id)
        assert not have_succeeded(project, change)
        assert not branch_by_id(project, change.branch.id).is_ready
        with pytest.raises(ProjectLocked):
            project.databases.create_branch("b", root.id)
        with pytest.raises(ProjectLocked):
            project.databases.update_branch(root.id, protected=True)
    project.settle()
    assert have_succeeded(project, change)
    assert branch_by_id(project, change.branch.id).is_ready
    assert project.databases.branch_named("b") is None


def have_succeeded(project: ContractProject, change: BranchChange) -> bool:
    return all(project.databases.operation(identity).has_succeeded for identity in ids(change.operations))


def ids(operations: Iterable[Operation]) -> list[str]:
    return [operation.id for operation in operations]


@pytest.mark.parametrize("by", ["lsn", "time"])
def test_a_root_restored_to_its_own_past_keeps_its_address_and_its_state_in_a_backup(
    project: ContractProject, by: str
) -> None:
    root = main(project)
    project.write(root.id, 1)
    lsn, at = project.position(root.id)
    project.write(root.id, 2)
    original_address = (uri(project, root), project.databases.endpoints(root.id)[0].host)
    project.databases.restore(root.id, root.id, lsn if by == "lsn" else at, "backup")
    project.settle()
    backup, restored = project.databases.branch_named("backup"), branch_by_id(project, root.id)
    assert backup is not None
    assert (project.rows(root.id), project.rows(backup.id)) == ([1], [1, 2])
    assert (uri(project, restored), project.databases.endpoints(root.id)[0].host) == original_address
    assert (restored.name, restored.default, restored.is_root, backup.is_root) == ("main", True, True, True)
    assert restored.is_ready
    project.write(root.id, 3)
    assert project.rows(root.id) == [1, 3]


def test_a_restored_branch_shows_the_time_of_its_restore(project: ContractProject) -> None:
    root, t0 = main(project), project.now()
    assert root.last_reset_at is None
    lsn, _ = project.position(root.id)
    with project.hold_operations():
        project.databases.restore(root.id, root.id, lsn, "backup")
        accepted_at = branch_by_id(project, root.id).last_reset_at
        assert accepted_at is not None
        assert t0.replace(microsecond=0) <= accepted_at < t0 + timedelta(hours=1)  # Neon's times have whole seconds
        assert project.databases.branch_named("backup") is not None
    project.settle()


def test_the_children_of_a_restored_branch_move_to_its_backup(project: ContractProject) -> None:
    root, staging = main(project), child(project)
    lsn, _ = project.position(root.id)
    project.databases.restore(root.id, root.id, lsn, "backup")
    project.settle()
    backup = project.databases.branch_named("backup")
    assert backup is not None
    assert branch_by_id(project, staging.id).parent_id == backup.id


def test_history_before_a_restore_is_in_the_backup_only(project: ContractProject) -> None:
    root = main(project)
    earlier, _ = project.position(root.id)
    project.write(root.id, 1)
    lsn, _ = project.position(root.id)
    project.write(root.id, 2)
    project.databases.restore(root.id, root.id, lsn, "backup")
    project.settle()
    with pytest.raises(RequestRefused):
        project.databases.restore(root.id, root.id, earlier, "second")
    backup = project.databases.branch_named("backup")
    assert backup is not None
    project.databases.restore(root.id, backup.id, earlier, "second")
    project.settle()
    assert project.rows(root.id) == []


def test_a_reset_is_a_restore_from_the_parent_and_keeps_nothing(project: ContractProject) -> None:
    root, staging = main(project), child(project)
    project.write(staging.id, 7)
    project.write(root.id, 1)
    original_uri = uri(project, staging)
    project.databases.restore(staging.id, root.id)
    project.settle()
    assert project.rows(staging.id) == [1]
    assert uri(project, staging) == original_uri
    assert {branch.name for branch in project.databases.branches()} == {"main", "staging"}


def test_a_branch_restored_from_another_becomes_its_child(project: ContractProject) -> None:
    root, staging = main(project), child(project)
    lsn, _ = project.position(root.id)
    project.databases.restore(root.id, root.id, lsn, "bad")
    project.settle()
    project.write(root.id, 1)
    project.databases.restore(staging.id, root.id, preserve_under_name="staging-backup")
    project.settle()
    backup = project.databases.branch_named("staging-backup")
    assert backup is not None
    assert branch_by_id(project, staging.id).parent_id == root.id
    assert branch_by_id(project, backup.parent_id or "").name == "bad"
    assert project.rows(staging.id) == [1]


def test_a_backup_undoes_its_restore_and_can_then_not_be_deleted(project: ContractProject) -> None:
    root = main(project)
    lsn, _ = project.position(root.id)
    project.write(root.id, 1)
    project.databases.restore(root.id, root.id, lsn, "backup")
    project.settle()
    backup = project.databases.branch_named("backup")
    assert backup is not None
    project.databases.restore(root.id, backup.id, preserve_under_name="undone")
    project.settle()
    undone = project.databases.branch_named("undone")
    assert undone is not None
    assert (project.rows(root.id), project.rows(undone.id)) == ([1], [])
    with pytest.raises(BranchHasChildren):
        project.databases.delete_branch(backup.id)
    with pytest.raises(RequestRefused):
        project.databases.delete_branch(undone.id)


def test_a_restore_that_would_lose_data_is_refused(project: ContractProject) -> None:
    root, staging = main(project), child(project)
    lsn, _ = project.position(root.id)
    of_staging, _ = project.position(staging.id)
    with pytest.raises(BackupNameRequired):
        project.databases.restore(root.id, root.id, lsn)
    with pytest.raises(BackupNameRequired):
        project.databases.restore(root.id, staging.id)
    with pytest.raises(RequestRefused):
        project.databases.restore(root.id, root.id, preserve_under_name="backup")
    with pytest.raises(AlreadyExists):
        project.databases.restore(root.id, root.id, lsn, "staging")
    with pytest.raises(RequestRefused):
        project.databases.restore(staging.id, staging.id, of_staging, "only-roots-have-a-past")
    assert {branch.name for branch in project.databases.branches()} == {"main", "staging"}


def test_a_restore_to_a_position_outside_the_history_is_refused(project: ContractProject) -> None:
    root = main(project)
    project.write(root.id, 1)
    lsn, at = project.position(root.id)
    for position in (Lsn(1), Lsn(lsn.number + (1 << 30)), at - timedelta(days=2), at + timedelta(days=2)):
        with pytest.raises(RequestRefused):
            project.databases.restore(root.id, root.id, position, "backup")
    assert project.databases.branch_named("backup") is None


def test_more_roots_than_the_plan_allows_are_refused(project: ContractProject) -> None:
    root = main(project)
    for name in ("first", "second"):
        lsn, _ = project.position(root.id)
        project.databases.restore(root.id, root.id, lsn, name)
        project.settle()
    lsn, _ = project.position(root.id)
    with pytest.raises(RequestRefused):
        project.databases.restore(root.id, root.id, lsn, "third")


def test_a_protected_branch_is_neither_restored_nor_deleted(project: ContractProject) -> None:
    staging = child(project)
    project.databases.update_branch(staging.id, protected=True)
    assert branch_by_id(project, staging.id).protected
    with pytest.raises(BranchProtected):
        project.databases.restore(staging.id, main(project).id)
    with pytest.raises(BranchProtected):
        project.databases.delete_branch(staging.id)
    project.databases.update_branch(staging.id, protected=False)
    project.databases.restore(staging.id, main(project).id)
    project.settle()
    assert not branch_by_id(project, staging.id).protected


def test_a_child_of_a_protected_branch_gets_a_new_password_and_keeps_it(project: ContractProject) -> None:
    """Neon, "Protected branches": new ones for a child that is made; since 2024-09-06 kept when it is restored."""
    root, twin = main(project), child(project, "twin")
    project.databases.update_branch(root.id, protected=True)
    staging = child(project)
    password, of_twin = password_of(uri(project, root)), password_of(uri(project, twin))
    assert of_twin == password
    own = password_of(uri(project, staging))
    assert own != password
    project.write(staging.id, 1)
    project.databases.restore(staging.id, root.id)
    project.settle()
    assert password_of(uri(project, staging)) == own
    assert project.rows(staging.id) == []
    project.write(staging.id, 7)
    assert project.rows(staging.id) == [7]


def password_of(address: str) -> str:
    return address.split("@", maxsplit=1)[0].rsplit(":", maxsplit=1)[1]


def test_a_restricted_branch_names_the_reason_and_is_not_restored(project: ContractProject) -> None:
    staging = child(project)
    project.restrict(staging.id, "restore", "it is being archived")
    assert branch_by_id(project, staging.id).why_not("restore") == "it is being archived"
    with pytest.raises(RequestRefused):
        project.databases.restore(staging.id, main(project).id)


def test_a_branch_is_renamed_unless_the_name_is_taken(project: ContractProject) -> None:
    staging = child(project)
    assert project.databases.update_branch(staging.id, name="stage").branch.name == "stage"
    with pytest.raises(AlreadyExists):
        project.databases.update_branch(staging.id, name="main")
    with pytest.raises(AlreadyExists):
        project.databases.create_branch("stage", main(project).id)
    assert project.databases.branch_named("stage") is not None


def test_a_renamed_branch_keeps_its_data_and_address_and_another_may_have_its_name(project: ContractProject) -> None:
    old = child(project)
    project.write(old.id, 1)
    original_uri = uri(project, old)
    project.lose_next("update_branch")
    with pytest.raises(OutcomeUnknown):
        project.databases.update_branch(old.id, name="backup")
    assert branch_by_id(project, old.id).name == "backup"
    until = project.now() + timedelta(days=3)
    new = project.databases.create_branch("staging", main(project).id, with_endpoint=True, expires_at=until).branch
    project.settle()
    assert (new.name, new.expires_at) == ("staging", until.replace(microsecond=0))
    assert (project.rows(old.id), project.rows(new.id)) == ([1], [])
    assert uri(project, old) == original_uri != uri(project, new)
    with pytest.raises(AlreadyExists):
        project.databases.update_branch(old.id, name="staging")


def test_a_branch_is_restored_from_its_own_child_which_moves_to_the_backup(project: ContractProject) -> None:
    root = main(project)
    project.write(root.id, 1)
    branch = project.databases.create_branch("kept", root.id).branch
    project.settle()
    project.write(root.id, 2)
    project.databases.restore(root.id, branch.id, None, "backup")
    project.settle()
    backup = project.databases.branch_named("backup")
    assert backup is not None
    assert (project.rows(root.id), project.rows(backup.id), project.rows(branch.id)) == ([1], [1, 2], [1])
    assert (branch_by_id(project, root.id).parent_id, branch_by_id(project, branch.id).parent_id) == (
        branch.id,
        backup.id,
    )


def test_the_expiry_of_a_branch_can_be_set_and_removed(project: ContractProject) -> None:
    staging, until = child(project), project.now() + timedelta(days=7)
    project.databases.expire_branch(staging.id, until)
    assert branch_by_id(project, staging.id).expires_at == until.replace(microsecond=0)
    project.databases.expire_branch(staging.id, None)
    assert branch_by_id(project, staging.id).expires_at is None


def test_a_branch_is_deleted_once_and_only_after_its_children(project: ContractProject) -> None:
    root, staging = main(project), child(project)
    grandchild = project.databases.create_branch("preview", staging.id).branch
    project.settle()
    with pytest.raises(RequestRefused):
        project.databases.delete_branch(root.id)
    with pytest.raises(BranchHasChildren):
        project.databases.delete_branch(staging.id)
    assert project.databases.delete_branch(grandchild.id) is not None
    project.settle()
    assert project.databases.delete_branch(grandchild.id) is None
    assert project.databases.delete_branch(staging.id) is not None
    project.settle()
    assert [branch.name for branch in project.databases.branches()] == ["main"]


def test_a_restore_that_lost_its_answer_is_visible_in_branches_and_operations(project: ContractProject) -> None:
    root, t0 = main(project), project.now()
    lsn, _ = project.position(root.id)
    project.write(root.id, 1)
    project.lose_next("restore")
    with pytest.raises(OutcomeUnknown):
        project.databases.restore(root.id, root.id, lsn, "backup")
    assert project.databases.branch_named("backup") is not None
    assert OriginalBranch.of(root, ()).is_reset(branch_by_id(project, root.id))
    assert "create_timeline" in {operation.action for operation in project.databases.operations_since(t0)}
    project.settle()
    assert project.rows(root.id) == []
    with pytest.raises(AlreadyExists):
        project.databases.restore(root.id, root.id, project.position(root.id)[0], "backup")


def test_a_throttled_request_changes_nothing_and_names_the_wait(project: ContractProject) -> None:
    root = main(project)
    project.reject_next("create_branch", retry_after_seconds=7)
    with pytest.raises(RetryLater) as error:
        project.databases.create_branch("a", root.id)
    assert error.value.retry_after_seconds == 7
    assert project.databases.branch_named("a") is None
    project.databases.create_branch("a", root.id)
    project.settle()


def test_an_operation_counts_as_failed_after_a_minute_without_a_retry(project: ContractProject) -> None:
    project.fail_next("create_branch")
    change = project.databases.create_branch("a", main(project).id, with_endpoint=True)
    project.settle()
    failed, cancelled = map(project.databases.operation, ids(change.operations))
    assert (failed.status, cancelled.status) == ("failed", "cancelled")
    assert failed.error
    assert not failed.has_failed(failed.updated_at + timedelta(seconds=59))
    assert failed.has_failed(failed.updated_at + timedelta(seconds=60))
    assert not branch_by_id(project, change.branch.id).is_ready
    with pytest.raises(BranchNotReady):
        project.databases.restore(change.branch.id, main(project).id)


def test_operations_since_a_time_are_listed_newest_first(project: ContractProject) -> None:
    t0 = project.now()
    child(project)
    operations = project.databases.operations_since(t0)
    assert [operation.action for operation in operations] == ["start_compute", "create_branch"]
    assert project.databases.operations_since(t0 + timedelta(hours=1)) == ()
    with pytest.raises(NotFound):
        project.databases.operation("d8ac46eb-a757-42b1-9907-f78322ee394e")


def test_a_compute_is_active_after_a_restart(project: ContractProject) -> None:
    (endpoint,) = project.databases.endpoints(child(project).id)
    project.databases.restart_endpoint(endpoint.id)
    project.settle()
    assert project.databases.endpoints(endpoint.branch_id)[0].current_state == "active"
    with pytest.raises(NotFound):
        project.databases.restart_endpoint("ep-none")


# Refusals of Neon


def test_a_missing_role_has_no_address(project: ContractProject) -> None:
    root = main(project)
    with pytest.raises(NotFound):
        project.databases.connection_uri(root.id, "app", "no-such-role")
    with pytest.raises(NotFound):
        project.databases.connection_uri("br-none", "app", "app_owner")


def test_a_pooled_address_differs_and_refuses_the_sessions_of_the_rollback(project: ContractProject) -> None:
    """PgBouncer refuses the statement timeout that our sessions set: our sessions use the direct host only."""
    root = main(project)
    pooled = project.databases.connection_uri(root.id, "app", "app_owner", pooled=True)
    direct = project.databases.connection_uri(root.id, "app", "app_owner")
    assert pooled != direct
    assert "-pooler." in pooled.get_secret_value()
    assert project.sql.head(direct).lsn
    with pytest.raises((Unreachable, SessionRefused)):
        project.sql.client_sessions(pooled)


def test_a_missing_database_has_no_address(project: ContractProject) -> None:
    root = main(project)
    with pytest.raises(NotFound):
        project.databases.connection_uri(root.id, "no-such-database", "app_owner")


def test_a_protected_branch_a_parent_and_the_default_branch_can_not_expire(project: ContractProject) -> None:
    """Neon documentation, "Branch expiration": the restrictions, and a time within 30 days."""
    root, staging = main(project), child(project)
    until = project.now() + timedelta(days=7)
    for at in (project.now(), project.now() + timedelta(days=31)):
        with pytest.raises(RequestRefused):
            project.databases.expire_branch(staging.id, at)
        with pytest.raises(RequestRefused):
            project.databases.create_branch("preview", root.id, expires_at=at)
    with pytest.raises(RequestRefused):
        project.databases.expire_branch(root.id, until)
    with pytest.raises(RequestRefused):
        project.databases.create_branch("preview", root.id, protected=True, expires_at=until)
    project.databases.create_branch("grandchild", staging.id)
    project.settle()
    with pytest.raises(RequestRefused):
        project.databases.expire_branch(staging.id, until)
    assert branch_by_id(project, staging.id).expires_at is None


def test_a_branch_with_an_expiry_can_get_no_child_and_no_protection(project: ContractProject) -> None:
    root, staging = main(project), child(project)
    project.databases.expire_branch(staging.id, project.now() + timedelta(days=7))
    with pytest.raises(RequestRefused):
        project.databases.create_branch("grandchild", staging.id)
    with pytest.raises(RequestRefused):
        project.databases.restore(root.id, staging.id, preserve_under_name="backup")
    with pytest.raises(RequestRefused):
        project.databases.update_branch(staging.id, protected=True)
    project.databases.expire_branch(staging.id, None)
    project.databases.restore(root.id, staging.id, preserve_under_name="backup")


def test_the_plan_limits_the_number_of_protected_branches(project: ContractProject) -> None:
    """Neon documentation, "Protected branches": 2 on the plan Launch, 5 on Scale."""
    root = main(project)
    for name in "abcde":
        project.databases.create_branch(name, root.id, protected=True)
        project.settle()
    with pytest.raises(RequestRefused):
        project.databases.update_branch(root.id, protected=True)
    with pytest.raises(RequestRefused):
        project.databases.create_branch("f", root.id, protected=True)
    assert not branch_by_id(project, root.id).protected
