"""Crashes of a recreate before and after every external call, and a lost answer to every change."""

import json
from datetime import timedelta
from typing import Any
from urllib.parse import urlsplit

import pytest
from faults.scenarios.branch import KEY, NAME, OTHER, SECRET, RecreateScenario, backup_of
from faults.scenarios.crash import FaultInjector, crash_points
from faults.scenarios.database import BAD, GOOD, STAGED, WORKER
from faults.scenarios.database_endings import raise_error
from pydantic import SecretStr
from support.builders import SERVICE
from support.database_progress import narrow

from rollback.check import Check
from rollback.domain.database.progress import DatabaseOutcome, RecreateProgress
from rollback.domain.rollback import Outcome
from rollback.errors import CallRefused, ExternalServiceError
from rollback.resources.database.errors import AccessRefused, ProjectLocked, RequestRefused


def count_calls_without_crash() -> int:
    recreate = RecreateScenario()
    recreate.run_until_ended()
    return recreate.outside.calls


CALLS = count_calls_without_crash()


def assert_recreated_once(recreate: RecreateScenario, *, fenced: bool = True) -> None:
    assert recreate.progress.database_outcome is DatabaseOutcome.RESTORED, recreate.progress.why_not
    new, old = recreate.named, recreate.old
    assert new is not None
    assert old is not None
    assert {b.id for b in recreate.neon.branches()} == {recreate.source_id, new.id, old.id}, "exactly one new branch"
    assert new.parent_id == recreate.source_id
    assert recreate.neon.rows(new.id) == GOOD + BAD
    assert recreate.neon.rows(old.id) == [*GOOD, *BAD, STAGED]
    assert (old.name, recreate.progress.backup_id) == (backup_of(recreate), old.id)
    assert recreate.progress.current_branch_id == new.id
    assert old.expires_at is not None
    accepted = recreate.progress.accepted_at
    assert accepted is not None
    assert old.expires_at == accepted.replace(microsecond=0) + timedelta(days=7)
    assert recreate.secret_has_address_of(new.id)
    assert narrow(recreate.progress, RecreateProgress).is_redeploy_needed
    assert recreate.writers.desired_counts() == dict.fromkeys((SERVICE, WORKER), 0 if fenced else 2)


def assert_as_it_was(recreate: RecreateScenario) -> None:
    old = recreate.old
    assert recreate.progress.database_outcome is DatabaseOutcome.REFUSED, recreate.progress.why_not
    assert old is not None
    assert {b.id for b in recreate.neon.branches()} == {recreate.source_id, old.id}
    assert (old.name, old.expires_at, recreate.neon.rows(old.id)) == (NAME, None, [*GOOD, *BAD, STAGED])
    assert recreate.secret_has_address_of(old.id)
    assert recreate.progress.backup_id is None
    if isinstance(recreate.progress, RecreateProgress):
        assert (recreate.progress.is_redeploy_needed, recreate.progress.branch_id) == (False, None)
    recreate.unfence()
    assert recreate.writers.desired_counts() == {SERVICE: 2, WORKER: 2}


def test_a_recreate_leaves_the_services_fenced() -> None:
    recreate = RecreateScenario()
    recreate.run_until_ended()
    assert_recreated_once(recreate)
    assert recreate.neon.calls == ["update_branch", "create_branch", "expire_branch"]
    recreate.unfence(Outcome.SUCCEEDED)
    assert recreate.writers.desired_counts() == {SERVICE: 2, WORKER: 2}


@pytest.mark.parametrize(("kill_at", "after"), crash_points(CALLS))
def test_a_recreate_killed_at_any_call_and_resumed_recreates_exactly_once(kill_at: int, after: bool) -> None:
    recreate = RecreateScenario(FaultInjector(kill_at, after=after))
    recreate.run_until_ended()
    assert_recreated_once(recreate)


LOST = ("update_branch", "create_branch", "expire_branch")


@pytest.mark.parametrize("lost_calls", [(call,) for call in LOST] + [LOST])
def test_a_recreate_makes_no_change_twice_although_an_answer_is_lost(lost_calls: tuple[str, ...]) -> None:
    recreate = RecreateScenario()
    for call in lost_calls:
        recreate.neon.lose_next(call)
    recreate.run_until_ended()
    assert_recreated_once(recreate)
    assert recreate.neon.calls.count("create_branch") == 1


@pytest.mark.parametrize("kill_at", range(1, CALLS + 1))
def test_a_recreate_killed_at_any_call_after_its_creation_lost_its_answer_recreates_once(kill_at: int) -> None:
    recreate = RecreateScenario(FaultInjector(kill_at))
    recreate.neon.lose_next("create_branch")
    recreate.run_until_ended()
    assert_recreated_once(recreate)


def unfit(_schema: object, _journal: object) -> tuple[Check, ...]:
    return (Check.failed("target-fits-restored-schema", "a column is missing"),)


def refused_creation(outside: FaultInjector | None = None) -> RecreateScenario:
    recreate = RecreateScenario(outside)
    recreate.without_writers()
    recreate.neon.refuse_next("create_branch", RequestRefused("branches limit exceeded"))
    return recreate


def unfit_copy(outside: FaultInjector | None = None) -> RecreateScenario:
    recreate = RecreateScenario(outside)
    recreate.without_writers()
    recreate.check_tables(unfit)
    return recreate


def failed_creation(outside: FaultInjector | None = None) -> RecreateScenario:
    recreate = RecreateScenario(outside)
    recreate.without_writers()
    recreate.neon.fail_next("create_branch")
    return recreate


HALFWAY = {
    "limit exceeded": refused_creation,
    "a column is missing": unfit_copy,
    "did not get ready": failed_creation,
}


def calls_of(halfway: str) -> int:
    recreate = HALFWAY[halfway]()
    recreate.run_until_ended()
    return recreate.outside.calls


@pytest.mark.parametrize("halfway", HALFWAY)
def test_a_recreate_that_fails_half_way_is_reverted_and_gives_the_reason(halfway: str) -> None:
    recreate = HALFWAY[halfway]()
    recreate.run_until_ended()
    assert halfway in (recreate.progress.why_not or "")
    assert_as_it_was(recreate)


@pytest.mark.parametrize(("halfway", "kill_at", "after"), [(h, *m) for h in HALFWAY for m in crash_points(calls_of(h))])
def test_a_recreate_killed_at_any_call_while_it_fails_half_way_is_reverted(
    halfway: str, kill_at: int, after: bool
) -> None:
    recreate = HALFWAY[halfway](FaultInjector(kill_at, after=after))
    recreate.run_until_ended()
    if halfway == "limit exceeded" and recreate.progress.database_outcome is DatabaseOutcome.RESTORED:
        # The process was killed after the refusal, asked again and was not refused.
        assert_recreated_once(recreate, fenced=False)
        return
    assert_as_it_was(recreate)


def test_a_recreate_that_can_not_write_the_secret_is_reverted() -> None:
    recreate = RecreateScenario()
    recreate.secrets.write = raise_error(ExternalServiceError("PutSecretValue: AccessDenied"))  # type: ignore[method-assign]
    recreate.run_until_ended()
    assert "AccessDenied" in (recreate.progress.why_not or "")
    assert_as_it_was(recreate)


def test_a_recreate_tries_a_refused_write_of_the_secret_once() -> None:
    recreate = RecreateScenario()
    calls: list[str] = []

    def denied(arn: str, value: SecretStr, token: str) -> None:
        calls.append(token)
        raise CallRefused("AWS refused secretsmanager:PutSecretValue")

    recreate.secrets.write = denied  # type: ignore[method-assign]
    recreate.run_until_ended()
    assert len(calls) == 1
    assert "secretsmanager:PutSecretValue" in (recreate.progress.why_not or "")
    assert_as_it_was(recreate)


def test_a_recreate_finds_a_secret_that_was_written_without_an_answer() -> None:
    recreate = RecreateScenario()
    write, losses = recreate.secrets.write, iter([True])

    def once_without_an_answer(arn: str, value: SecretStr, token: str) -> None:
        write(arn, value, token)
        if next(losses, False):
            raise ExternalServiceError("PutSecretValue got no answer")

    recreate.secrets.write = once_without_an_answer  # type: ignore[method-assign]
    recreate.run_until_ended()
    assert_recreated_once(recreate)
    assert len(recreate.secrets.writes) == 1


def test_a_recreate_names_the_branch_to_delete_where_neon_lets_none_expire() -> None:
    recreate = RecreateScenario()
    recreate.neon.refuse_next("expire_branch", AccessRefused("403: early access"))
    recreate.run_until_ended()
    assert recreate.progress.database_outcome is DatabaseOutcome.RESTORED
    assert any(backup_of(recreate) in note and "early access" in note for note in recreate.progress.notes)


def test_a_kept_backup_does_not_expire_although_its_branch_was_to() -> None:
    recreate = RecreateScenario(backup_days=None)
    until = recreate.clock.now() + timedelta(days=3)
    recreate.neon.expire_branch(recreate.branch_id, until)
    recreate.run_until_ended()
    assert recreate.progress.database_outcome is DatabaseOutcome.RESTORED
    assert recreate.old is not None
    assert recreate.named is not None
    assert recreate.old.expires_at is None
    assert recreate.named.expires_at == until.replace(microsecond=0), (
        "the new branch takes the expiry of the old branch"
    )


def test_a_recreate_waits_for_a_locked_project() -> None:
    recreate = RecreateScenario()
    for call in ("update_branch", "create_branch", "expire_branch"):
        recreate.neon.refuse_next(call, ProjectLocked(f"{call}: 423"))
    recreate.run_until_ended()
    assert_recreated_once(recreate)


def test_a_recreate_keeps_another_branch_of_its_name_and_the_old_data() -> None:
    recreate = RecreateScenario()
    update = recreate.neon.update_branch

    def rename_and_create_another(branch_id: str, **changes: Any) -> Any:
        changed = update(branch_id, **changes)
        recreate.neon.create_branch(NAME, recreate.branch_id, with_endpoint=True)
        recreate.neon.settle()
        return changed

    recreate.neon.update_branch = rename_and_create_another  # type: ignore[method-assign]
    recreate.run_until_ended()
    assert recreate.progress.database_outcome is DatabaseOutcome.FAILED
    assert "was created during the rollback" in (recreate.progress.why_not or "")
    assert recreate.old is not None
    assert recreate.old.name == backup_of(recreate)
    assert recreate.secret_has_address_of(recreate.branch_id), "services still reach the old branch"


def reason_of_refusal(recreate: RecreateScenario) -> str:
    recreate.neon.calls.clear()
    recreate.run_until_ended()
    assert recreate.progress.database_outcome is DatabaseOutcome.REFUSED
    assert recreate.neon.calls == []
    assert recreate.open_obligations() == ()
    return recreate.progress.why_not or ""


def test_a_protected_branch_a_parent_and_the_default_branch_are_not_recreated() -> None:
    recreate = RecreateScenario()
    recreate.neon.update_branch(recreate.branch_id, protected=True)
    assert "is protected" in reason_of_refusal(recreate)
    recreate = RecreateScenario()
    recreate.neon.create_branch("child", recreate.branch_id)
    recreate.neon.settle()
    assert "has children (child)" in reason_of_refusal(recreate)
    recreate = RecreateScenario()
    recreate.plan = recreate.plan.model_copy(update={"source_branch_id": recreate.branch_id})
    target = recreate.context.settings.model_copy(update={"branch_id": recreate.source_id})
    recreate.context = recreate.context.__class__(target, recreate.neon, recreate.sql)
    assert "default branch" in reason_of_refusal(recreate)


def test_a_branch_whose_name_does_not_match_the_pattern_is_not_recreated() -> None:
    recreate = RecreateScenario()
    recreate.neon.update_branch(recreate.branch_id, name="preview/pr-42/backup")
    assert "preview/pr-42/backup does not match preview/pr-{pr}" in reason_of_refusal(recreate)


def test_a_recreate_from_a_missing_or_changing_source_is_refused() -> None:
    recreate = RecreateScenario()
    recreate.plan = recreate.plan.model_copy(update={"source_branch_id": "br-gone"})
    assert "source-exists: project fake has no branch br-gone" in reason_of_refusal(recreate)
    recreate = RecreateScenario()
    recreate.neon._begin(recreate.source_id, "import_data")  # a compute's start would change no data
    assert "main is being changed (import_data)" in reason_of_refusal(recreate)


def test_a_recreate_whose_services_have_no_secret_for_the_new_host_is_refused() -> None:
    no_secret = {"connection_secret_arn": None, "connection_secret_key": None}
    assert "set connection_secret_arn" in reason_of_refusal(RecreateScenario(settings=no_secret))
    recreate = RecreateScenario()
    recreate.secrets.values[SECRET] = SecretStr("postgresql://no-json")
    reason = reason_of_refusal(recreate)
    assert f"no JSON object with the key '{KEY}'" in reason
    assert "no-json" not in reason


def with_secret(uri: str) -> RecreateScenario:
    """Give the services a role and parameters of their own; main, the source, is protected."""
    recreate = RecreateScenario()
    host = recreate.neon.endpoints(recreate.branch_id)[0].host
    recreate.secrets.values[SECRET] = SecretStr(json.dumps({KEY: uri.format(host=host), OTHER: "kept"}))
    return recreate


def test_services_keep_their_role_and_parameters_and_get_the_childs_password() -> None:
    """https://neon.com/docs/guides/protected-branches: new passwords for the matching roles of the child."""
    recreate = with_secret("postgresql+asyncpg://app_owner:old@{host}:5432/orders?sslmode=require&timeout=5")
    recreate.run_until_ended()
    assert recreate.progress.database_outcome is DatabaseOutcome.RESTORED, recreate.progress.why_not
    assert recreate.named is not None
    uri_of_role = recreate.neon.connection_uri(recreate.named.id, "app", "app_owner").get_secret_value()
    password = urlsplit(uri_of_role).password
    host = recreate.neon.endpoints(recreate.named.id)[0].host
    written = f"postgresql+asyncpg://app_owner:{password}@{host}:5432/orders?sslmode=require&timeout=5"
    assert json.loads(recreate.secret) == {KEY: written, OTHER: "kept"}
    assert password != "old"


def test_a_recreate_whose_role_has_no_password_in_neon_is_refused() -> None:
    recreate = with_secret("postgresql://made_by_sql:old@{host}/orders")
    reason = reason_of_refusal(recreate)
    assert "services log in as made_by_sql, and Neon does not have that role's password" in reason
    assert "old@" not in reason


def test_a_role_unknown_to_neon_keeps_its_password_where_the_source_is_not_protected() -> None:
    recreate = with_secret("postgresql://made_by_sql:old@{host}/orders")
    recreate.neon.update_branch(recreate.source_id, protected=False)
    recreate.run_until_ended()
    assert recreate.progress.database_outcome is DatabaseOutcome.RESTORED, recreate.progress.why_not
    assert recreate.named is not None
    host = recreate.neon.endpoints(recreate.named.id)[0].host
    assert json.loads(recreate.secret)[KEY] == f"postgresql://made_by_sql:old@{host}/orders"


def test_a_new_branch_that_may_not_expire_is_created_without_expiry() -> None:
    recreate = RecreateScenario()
    recreate.neon.expire_branch(recreate.branch_id, recreate.clock.now() + timedelta(days=2))
    recreate.neon.expiry_refusal = "branch expiration is not supported with the Data API"
    recreate.run_until_ended()
    assert recreate.progress.database_outcome is DatabaseOutcome.RESTORED, recreate.progress.why_not
    assert recreate.named is not None
    assert recreate.named.expires_at is None
    assert any("was requested without expires_at" in note for note in recreate.progress.notes)


def test_a_recreate_without_writers_checks_foreign_sessions_and_needs_no_secret() -> None:
    no_secret = {"connection_secret_arn": None, "connection_secret_key": None}
    recreate = RecreateScenario(settings=no_secret)
    recreate.without_writers()
    recreate.sql.comes_back = {"psql"}
    with recreate.sql.connected(recreate.branch_id, "somebody", "psql"):
        recreate.run_until_ended()
    assert recreate.progress.database_outcome is DatabaseOutcome.REFUSED
    assert "connected again: psql as somebody" in (recreate.progress.why_not or "")
    recreate = RecreateScenario(settings=no_secret)
    recreate.without_writers()
    recreate.run_until_ended()
    assert recreate.progress.database_outcome is DatabaseOutcome.RESTORED
    assert not narrow(recreate.progress, RecreateProgress).is_redeploy_needed
    assert recreate.writers.desired_counts() == {SERVICE: 2, WORKER: 2}


def test_a_recreate_of_the_environments_own_branch_asks_for_new_settings() -> None:
    recreate = RecreateScenario(settings={"branch_pattern": None, "branch_id": "br-5"})
    recreate.run_until_ended()
    assert_recreated_once(recreate)
    assert any("Set database.branch_id to" in note for note in recreate.progress.notes)
