"""Rules of approvals: reasons, persons, patterns and changed facts."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError
from support.builders import SERVICE, release

from rollback.approval.rules import reasons_for_approval
from rollback.check import Check
from rollback.domain.approval.compare import changed_facts
from rollback.domain.approval.gate import ApprovedFacts
from rollback.domain.approval.identity import Identity
from rollback.domain.approval.policy import ApprovalPolicy, ApprovalReason
from rollback.domain.approval.rules import refuse_decision
from rollback.domain.plan import Plan
from rollback.domain.releases.release import ReleaseState
from rollback.domain.request import Request, RollbackType
from rollback.domain.settings.policy import Policy
from rollback.schema.compatibility_check import CHECK_NAME

ALL = ApprovalPolicy(required_for=tuple(ApprovalReason))
ADA = Identity(arn="arn:aws:sts::111122223333:assumed-role/OnCall/ada", is_verified=True)
GRACE = Identity(arn="arn:aws:sts::111122223333:assumed-role/OnCall/grace", is_verified=True)
FACTS = ApprovedFacts(
    type="full",
    running="2" * 64,
    running_version="v2",
    target="1" * 64,
    target_version="v1",
    strategy="restore",
    branch="br-main",
    restore_point="0/1 at 03:00",
    source=None,
    schema_verdict="breaking",
    overridden=("target-is-good",),
)


def reasons(policy: ApprovalPolicy, *checks: Check, **request: object) -> tuple[str, ...]:
    plan = Plan(running=release("v2"), target=release("v1"), checks=checks)
    return reasons_for_approval(Request(service=SERVICE, **request), plan, (), policy)


@pytest.mark.parametrize(
    ("kind", "expected"),
    [
        (RollbackType.SERVICE, ()),
        (RollbackType.EMERGENCY, ()),
        (RollbackType.DATABASE, (ApprovalReason.DATABASE,)),
        (RollbackType.FULL, (ApprovalReason.FULL,)),
    ],
)
def test_by_default_every_rollback_of_data_needs_an_approval(
    kind: RollbackType, expected: tuple[ApprovalReason, ...]
) -> None:
    assert reasons(ApprovalPolicy(), type=kind) == expected
    assert reasons(ApprovalPolicy(required_for=()), type=kind) == ()


def test_force_is_no_approval_and_may_need_one_itself() -> None:
    assert reasons(ALL, force=True) == (ApprovalReason.FORCED,)
    assert reasons(ApprovalPolicy(), type="full", force=True) == (ApprovalReason.FULL,)


def test_a_schema_that_breaks_the_target_or_is_unknown_needs_an_approval() -> None:
    assert reasons(ALL, Check.failed(CHECK_NAME, "breaks", is_forceable=True)) == (ApprovalReason.SCHEMA,)
    assert reasons(ALL, Check.warned(CHECK_NAME, "breaks")) == (ApprovalReason.SCHEMA,)
    assert reasons(ALL, Check.passed(CHECK_NAME, "fits")) == ()


def test_a_quarantined_target_needs_an_approval() -> None:
    plan = Plan(running=release("v2"), target=release("v1", state=ReleaseState.QUARANTINED), checks=())
    assert reasons_for_approval(Request(service=SERVICE), plan, (), ALL) == (ApprovalReason.QUARANTINED_TARGET,)


@given(st.sets(st.sampled_from(list(ApprovalReason))), st.booleans(), st.sampled_from(list(RollbackType)))
def test_no_setting_makes_an_emergency_wait_and_no_reason_counts_that_is_not_set(
    required: set[ApprovalReason], force: bool, kind: RollbackType
) -> None:
    found = reasons(ApprovalPolicy(required_for=tuple(required)), type=kind, force=force)
    assert set(found) <= required
    assert kind is not RollbackType.EMERGENCY or found == ()


@pytest.mark.parametrize(
    ("pattern", "matches"),
    [
        ("arn:aws:iam::111122223333:role/OnCall", True),
        ("arn:aws:iam::*:role/On*", True),
        ("arn:aws:sts::111122223333:assumed-role/OnCall/*", True),
        ("arn:aws:sts::111122223333:assumed-role/OnCall/ada", True),
        ("arn:aws:sts::111122223333:assumed-role/OnCall/grace", False),
        ("arn:aws:iam::111122223333:role/OnCal", False),
        ("arn:aws:iam::111122223333:role/teams/OnCall", False),  # STS leaves the role's path out
        ("arn:aws:iam::444455556666:role/OnCall", False),
        ("arn:aws:iam::111122223333:role/.*", False),
    ],
)
def test_a_pattern_names_a_role_a_session_or_a_part_of_them(pattern: str, matches: bool) -> None:
    assert ADA.matches((pattern,)) is matches
    refusal = refuse_decision(ApprovalPolicy(approvers=(pattern,)), ADA, None)
    assert (refusal is None) is matches


def test_a_user_is_matched_by_the_own_arn_only() -> None:
    user = Identity(arn="arn:aws:iam::111122223333:user/ada", is_verified=True)
    assert user.principals == (user.arn,)


def test_four_eyes_tell_two_sessions_of_one_role_apart() -> None:
    policy = ApprovalPolicy(four_eyes=True)
    assert refuse_decision(policy, GRACE, ADA) is None
    assert "another person decides" in str(refuse_decision(policy, ADA, ADA))
    assert "AWS can't tell" in str(refuse_decision(policy, GRACE, Identity.unverified("grace")))
    assert "no proof of identity" in str(refuse_decision(policy, Identity.unverified("grace"), ADA))
    assert refuse_decision(policy, GRACE, None) is None


@pytest.mark.parametrize("pattern", ["OnCall", "*", "arn:aws:s3:::bucket", "arn:aws:iam::11112222333x:role/A", ""])
def test_a_pattern_that_names_no_principal_is_refused(pattern: str) -> None:
    with pytest.raises(ValidationError, match="allowed are ARNs of users, roles and assumed roles"):
        ApprovalPolicy(approvers=(pattern,))


def test_the_former_setting_names_the_new_one() -> None:
    with pytest.raises(ValidationError, match="database_approval is no setting any more: write `approval`"):
        Policy.model_validate({"database_approval": "none"})


@pytest.mark.parametrize(
    ("change", "text"),
    [
        ({"type": "service"}, "the type is service, approved was full"),
        ({"running": "3" * 64, "running_version": "v3"}, "v3 (333333333333) runs"),
        ({"target": None, "target_version": ""}, "the target is none, approved was v1 (111111111111)"),
        ({"strategy": None}, "the database's part is none, approved was restore"),
        ({"branch": "br-2"}, "the branch is br-2, approved was br-main"),
        ({"restore_point": "0/2 at 03:01"}, "the restore point is 0/2 at 03:01, approved was 0/1 at 03:00"),
        ({"source": "br-backup"}, "the source is br-backup, approved was none"),
        ({"migrations": ("0002",)}, "the down-migrations are 0002, approved were none"),
        ({"schema_verdict": "unknown"}, "the schema verdict is unknown, approved was breaking"),
        ({"overridden": ("target-is-good", "traffic")}, "--force would override traffic"),
    ],
)
def test_each_fact_that_changed_is_named(change: dict[str, object], text: str) -> None:
    (difference,) = changed_facts(FACTS, FACTS.model_copy(update=change))
    assert difference.startswith(text)


def test_equal_facts_and_fewer_objections_change_nothing() -> None:
    assert changed_facts(FACTS, FACTS) == ()
    assert changed_facts(FACTS, FACTS.model_copy(update={"overridden": ()})) == ()


@pytest.mark.parametrize(
    ("one", "other", "is_same"),
    [
        ("assumed-role/starter/alice", "assumed-role/approver/alice", True),
        ("assumed-role/starter/alice", "assumed-role/approver/Alice", True),
        ("assumed-role/starter/alice", "assumed-role/approver/bob", False),
        ("assumed-role/starter/alice", "federated-user/alice", False),
    ],
)
def test_one_session_name_in_two_roles_is_one_person(one: str, other: str, is_same: bool) -> None:
    first, second = (
        Identity(arn=f"arn:aws:sts::123456789012:{arn}", account="123456789012", is_verified=True)
        for arn in (one, other)
    )
    assert first.is_same_person(second) is is_same
    assert second.is_same_person(first) is is_same


def test_one_session_name_in_two_accounts_may_be_two_persons() -> None:
    first, second = (
        Identity(arn=f"arn:aws:sts::{account}:assumed-role/on-call/alice", account=account, is_verified=True)
        for account in ("123456789012", "210987654321")
    )
    assert not first.is_same_person(second)
