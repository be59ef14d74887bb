"""A recreate is killed before and after every external call, and every change loses its answer once."""

import json
from datetime import timedelta
from typing import Any
from urllib.parse import urlsplit

import pytest
from builders import SERVICE
from progress import narrow
from pydantic import SecretStr

from faults.branch_scenario import KEY, NAME, OTHER, SECRET, RecreateScenario, backup_of
from faults.crash import FaultInjector, crash_points
from faults.database_endings import raise_error
from faults.database_scenario import BAD, GOOD, STAGED, WORKER
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
    assert {b.id for b in recreate.neon.branches()} == {recreate.source_id, new.id, old.id}, "one new branch, no more"
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


def test_undisturbed_it_recreates_once_and_leaves_the_services_fenced() -> None:
    recreate = RecreateScenario()
    recreate.run_until_ended()
    assert_recreated_once(recreate)
    assert recreate.neon.calls == ["update_branch", "create_branch", "expire_branch"]
    recreate.unfence(Outcome.SUCCEEDED)
    assert recreate.writers.desired_counts() == {SERVICE: 2, WORKER: 2}


@pytest.mark.parametrize(("kill_at", "after"), crash_points(CALLS))
def test_killed_at_any_call_and_resumed_it_recreates_exactly_once(kill_at: int, after: bool) -> None:
    recreate = RecreateScenario(FaultInjector(kill_at, after=after))
    recreate.run_until_ended()
    assert_recreated_once(recreate)


LOST = ("update_branch", "create_branch", "expire_branch")


@pytest.mark.parametrize("lost", [(one,) for one in LOST] + [LOST])
def test_though_the_answer_to_a_change_is_lost_it_is_not_made_twice(lost: tuple[str, ...]) -> None:
    recreate = RecreateScenario()
    for call in lost:
        recreate.neon.lose_next(call)
    recreate.run_until_ended()
    assert_recreated_once(recreate)
    assert recreate.neon.calls.count("create_branch") == 1


@pytest.mark.parametrize("kill_at", range(1, CALLS + 1))
def test_killed_at_any_call_of_a_run_whose_creation_lost_its_answer_it_recreates_exactly_once(kill_at: int) -> None:
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
    recreate.judge_preview(unfit)
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
def test_what_fails_half_way_is_taken_back_and_says_why(halfway: str) -> None:
    recreate = HALFWAY[halfway]()
    recreate.run_until_ended()
    assert halfway in (recreate.progress.why_not or "")
    assert_as_it_was(recreate)


@pytest.mark.parametrize(("halfway", "kill_at", "after"), [(h, *m) for h in HALFWAY for m in crash_points(calls_of(h))])
def test_killed_at_any_call_while_it_fails_half_way_everything_is_as_it_was(
    halfway: str, kill_at: int, after: bool
) -> None:
    recreate = HALFWAY[halfway](FaultInjector(kill_at, after=after))
    recreate.run_until_ended()
    if halfway == "limit exceeded" and recreate.progress.database_outcome is DatabaseOutcome.RESTORED:
        assert_recreated_once(recreate, fenced=False)  # killed after the refusal, it asked again, and was not refused
        return
    assert_as_it_was(recreate)


def test_a_secret_that_can_not_be_written_leaves_the_old_branch_in_its_place() -> None:
    recreate = RecreateScenario()
    recreate.secrets.write = raise_error(ExternalServiceError("PutSecretValue: AccessDenied"))  # type: ignore[method-assign]
    recreate.run_until_ended()
    assert "AccessDenied" in (recreate.progress.why_not or "")
    assert_as_it_was(recreate)


def test_a_secret_that_may_not_be_written_is_not_tried_twice() -> None:
    recreate = RecreateScenario()
    asked: list[str] = []

    def denied(arn: str, value: SecretStr, token: str) -> None:
        asked.append(token)
        raise CallRefused("AWS refused secretsmanager:PutSecretValue")

    recreate.secrets.write = denied  # type: ignore[method-assign]
    recreate.run_until_ended()
    assert len(asked) == 1
    assert "secretsmanager:PutSecretValue" in (recreate.progress.why_not or "")
    assert_as_it_was(recreate)


def test_a_secret_that_was_written_though_the_answer_was_lost_is_found_written() -> None:
    recreate = RecreateScenario()
    write, lost = recreate.secrets.write, iter([True])

    def once_without_an_answer(arn: str, value: SecretStr, token: str) -> None:
        write(arn, value, token)
        if next(lost, False):
            raise ExternalServiceError("PutSecretValue got no answer")

    recreate.secrets.write = once_without_an_answer  # type: ignore[method-assign]
    recreate.run_until_ended()
    assert_recreated_once(recreate)
    assert len(recreate.secrets.writes) == 1


def test_where_neon_lets_nothing_expire_it_says_what_is_to_be_deleted() -> None:
    recreate = RecreateScenario()
    recreate.neon.refuse_next("expire_branch", AccessRefused("403: early access"))
    recreate.run_until_ended()
    assert recreate.progress.database_outcome is DatabaseOutcome.RESTORED
    assert any(backup_of(recreate) in note and "early access" in note for note in recreate.progress.notes)


def test_a_backup_that_is_kept_does_not_expire_though_the_branch_was_to() -> None:
    recreate = RecreateScenario(backup_days=None)
    until = recreate.clock.now() + timedelta(days=3)
    recreate.neon.expire_branch(recreate.branch_id, until)
    recreate.run_until_ended()
    assert recreate.progress.database_outcome is DatabaseOutcome.RESTORED
    assert recreate.old is not None
    assert recreate.named is not None
    assert recreate.old.expires_at is None
    assert recreate.named.expires_at == until.replace(microsecond=0), "the new branch takes the old one's"


def test_a_locked_project_is_waited_for() -> None:
    recreate = RecreateScenario()
    for call in ("update_branch", "create_branch", "expire_branch"):
        recreate.neon.refuse_next(call, ProjectLocked(f"{call}: 423"))
    recreate.run_until_ended()
    assert_recreated_once(recreate)


def test_a_branch_that_somebody_else_makes_under_the_name_stays_and_the_old_data_too() -> None:
    recreate = RecreateScenario()
    update = recreate.neon.update_branch

    def and_a_pipeline_makes_its_own(branch_id: str, **changes: Any) -> Any:
        changed = update(branch_id, **changes)
        recreate.neon.create_branch(NAME, recreate.branch_id, with_endpoint=True)
        recreate.neon.settle()
        return changed

    recreate.neon.update_branch = and_a_pipeline_makes_its_own  # type: ignore[method-assign]
    recreate.run_until_ended()
    assert recreate.progress.database_outcome is DatabaseOutcome.FAILED
    assert "was made meanwhile" in (recreate.progress.why_not or "")
    assert recreate.old is not None
    assert recreate.old.name == backup_of(recreate)
    assert recreate.secret_has_address_of(recreate.branch_id), "services still reach the old branch"


def refused_with(recreate: RecreateScenario) -> str:
    recreate.neon.calls.clear()
    recreate.run_until_ended()
    assert recreate.progress.database_outcome is DatabaseOutcome.REFUSED
    assert recreate.neon.calls == []
    assert recreate.owed() == ()
    return recreate.progress.why_not or ""


def test_a_branch_that_is_protected_has_children_or_is_the_default_is_refused() -> None:
    recreate = RecreateScenario()
    recreate.neon.update_branch(recreate.branch_id, protected=True)
    assert "is protected" in refused_with(recreate)
    recreate = RecreateScenario()
    recreate.neon.create_branch("child", recreate.branch_id)
    recreate.neon.settle()
    assert "has children (child)" in refused_with(recreate)
    recreate = RecreateScenario()
    recreate.plan = recreate.plan.model_copy(update={"source_branch_id": recreate.branch_id})
    target = recreate.restoring.target.model_copy(update={"branch_id": recreate.source_id})
    recreate.restoring = recreate.restoring.__class__(target, recreate.neon, recreate.sql)
    assert "default branch" in refused_with(recreate)


def test_a_name_that_the_pattern_does_not_give_is_refused() -> None:
    recreate = RecreateScenario()
    recreate.neon.update_branch(recreate.branch_id, name="preview/pr-42/backup")
    assert "preview/pr-42/backup is no name that preview/pr-{pr} gives" in refused_with(recreate)


def test_a_source_that_is_missing_or_being_changed_is_refused() -> None:
    recreate = RecreateScenario()
    recreate.plan = recreate.plan.model_copy(update={"source_branch_id": "br-gone"})
    assert "no branch br-gone to copy from" in refused_with(recreate)
    recreate = RecreateScenario()
    recreate.neon._begin(recreate.source_id, "import_data")  # a compute that starts changes no data
    assert "main is being changed (import_data)" in refused_with(recreate)


def test_services_that_could_not_be_told_the_new_host_are_a_reason_to_refuse() -> None:
    without = {"connection_secret_arn": None, "connection_secret_key": None}
    assert "set connection_secret_arn" in refused_with(RecreateScenario(settings=without))
    recreate = RecreateScenario()
    recreate.secrets.values[SECRET] = SecretStr("postgresql://no-json")
    why = refused_with(recreate)
    assert f"no JSON object with the key '{KEY}'" in why
    assert "no-json" not in why


def with_secret(uri: str) -> RecreateScenario:
    """Services log in as a role of their own, with parameters of their own. Main, the source, is protected."""
    recreate = RecreateScenario()
    host = recreate.neon.endpoints(recreate.branch_id)[0].host
    recreate.secrets.values[SECRET] = SecretStr(json.dumps({KEY: uri.format(host=host), OTHER: "kept"}))
    return recreate


def test_services_keep_their_role_and_parameters_and_get_the_password_of_a_protected_branch_s_child() -> None:
    """https://neon.com/docs/guides/protected-branches: new passwords for the matching roles of the child."""
    recreate = with_secret("postgresql+asyncpg://app_owner:old@{host}:5432/orders?sslmode=require&timeout=5")
    recreate.run_until_ended()
    assert recreate.progress.database_outcome is DatabaseOutcome.RESTORED, recreate.progress.why_not
    assert recreate.named is not None
    of_role = recreate.neon.connection_uri(recreate.named.id, "app", "app_owner").get_secret_value()
    password = urlsplit(of_role).password
    host = recreate.neon.endpoints(recreate.named.id)[0].host
    written = f"postgresql+asyncpg://app_owner:{password}@{host}:5432/orders?sslmode=require&timeout=5"
    assert json.loads(recreate.secret) == {KEY: written, OTHER: "kept"}
    assert password != "old"


def test_a_role_whose_new_password_neon_can_t_tell_is_a_reason_to_refuse() -> None:
    recreate = with_secret("postgresql://made_by_sql:old@{host}/orders")
    why = refused_with(recreate)
    assert "made_by_sql, and Neon does not know that role's password" in why
    assert "old@" not in why


def test_a_role_that_neon_does_not_know_keeps_its_password_where_the_source_is_not_protected() -> None:
    recreate = with_secret("postgresql://made_by_sql:old@{host}/orders")
    recreate.neon.update_branch(recreate.source_id, protected=False)
    recreate.run_until_ended()
    assert recreate.progress.database_outcome is DatabaseOutcome.RESTORED, recreate.progress.why_not
    assert recreate.named is not None
    host = recreate.neon.endpoints(recreate.named.id)[0].host
    assert json.loads(recreate.secret)[KEY] == f"postgresql://made_by_sql:old@{host}/orders"


def test_a_new_branch_that_may_not_expire_is_made_without() -> None:
    recreate = RecreateScenario()
    recreate.neon.expire_branch(recreate.branch_id, recreate.clock.now() + timedelta(days=2))
    recreate.neon.expiry_refusal = "branch expiration is not supported with the Data API"
    recreate.run_until_ended()
    assert recreate.progress.database_outcome is DatabaseOutcome.RESTORED, recreate.progress.why_not
    assert recreate.named is not None
    assert recreate.named.expires_at is None
    assert any("was asked for without expires_at" in note for note in recreate.progress.notes)


def test_without_writers_only_foreign_sessions_are_looked_at_and_no_secret_is_needed() -> None:
    without = {"connection_secret_arn": None, "connection_secret_key": None}
    recreate = RecreateScenario(settings=without)
    recreate.without_writers()
    recreate.sql.comes_back = {"psql"}
    with recreate.sql.connected(recreate.branch_id, "somebody", "psql"):
        recreate.run_until_ended()
    assert recreate.progress.database_outcome is DatabaseOutcome.REFUSED
    assert "connected again: psql as somebody" in (recreate.progress.why_not or "")
    recreate = RecreateScenario(settings=without)
    recreate.without_writers()
    recreate.run_until_ended()
    assert recreate.progress.database_outcome is DatabaseOutcome.RESTORED
    assert not narrow(recreate.progress, RecreateProgress).is_redeploy_needed
    assert recreate.writers.desired_counts() == {SERVICE: 2, WORKER: 2}


def test_the_one_branch_of_an_environment_is_recreated_and_the_settings_are_to_follow() -> None:
    recreate = RecreateScenario(settings={"branch_pattern": None, "branch_id": "br-5"})
    recreate.run_until_ended()
    assert_recreated_once(recreate)
    assert any("set database.branch_id to" in note for note in recreate.progress.notes)
