"""Boundaries of rule 1, and the full description that an operator reads before a forced takeover."""

from datetime import timedelta
from typing import Any

import pytest
from support.builders import NOW, SERVICE, release, rollback

from rollback.domain.database.progress import OriginalBranch, RestorePoint, RestoreProgress
from rollback.domain.lease import Lease
from rollback.domain.obligation import Obligation, ObligationKind
from rollback.domain.plan import Plan
from rollback.domain.request import Request, RollbackType, Trigger
from rollback.domain.rollback import Outcome, Rollback
from rollback.leases.takeover import describe_takeover_state, find_takeover_objection

EMERGENCY = Request(service=SERVICE, type=RollbackType.EMERGENCY)
FULL = Request(service=SERVICE, type=RollbackType.FULL)
HOLDER = f"{SERVICE}-20260301T025900Z-11111111"
PLAN = Plan(running=release("v2"), target=release("v1"), checks=())
FENCE_OF_WORKER = Obligation(kind=ObligationKind.FENCE, service="worker", before={"desired_count": 4})
SCALING = Obligation(kind=ObligationKind.SCALING, before={"suspended": False})


def holder(**changes: Any) -> Rollback:
    return rollback(**{"id": HOLDER, "admitted_at": NOW, **changes})


def restore(**changes: Any) -> RestoreProgress:
    original_branch = OriginalBranch(name="main", protected=False)
    return RestoreProgress(started_at=NOW, point=RestorePoint(at=NOW), before=original_branch).evolve(**changes)


@pytest.mark.parametrize(
    ("new_trigger", "holder_trigger", "plan", "is_allowed"),
    [
        (Trigger.ALARM, Trigger.MANUAL, None, False),
        (Trigger.ALARM, Trigger.MANUAL, PLAN, True),
        (Trigger.ALARM, Trigger.ALARM, None, True),
        (Trigger.MANUAL, Trigger.MANUAL, None, True),
        (Trigger.MANUAL, Trigger.ALARM, None, True),
    ],
)
def test_only_an_automatic_emergency_waits_for_the_plan_of_an_operator_s_rollback(
    new_trigger: Trigger, holder_trigger: Trigger, plan: Plan | None, is_allowed: bool
) -> None:
    objection = find_takeover_objection(
        rollback(request=EMERGENCY, trigger=new_trigger), holder(trigger=holder_trigger, plan=plan)
    )
    assert objection == (
        None
        if is_allowed
        else f"{HOLDER} was started by an operator a moment ago, and has no plan yet that could be continued"
    )


@pytest.mark.parametrize(
    ("outcome", "database", "is_allowed"),
    [
        (None, None, False),
        (None, restore(data_change_announced_at=NOW), False),
        (Outcome.FAILED, restore(data_change_announced_at=NOW), False),
        (Outcome.SUCCEEDED, restore(backup_id="br-9"), False),
        (Outcome.FAILED, restore(), True),
        (Outcome.REFUSED, None, True),
    ],
)
def test_a_full_rollback_with_an_outcome_is_taken_over_only_if_the_data_is_unchanged(
    outcome: Outcome | None, database: RestoreProgress | None, is_allowed: bool
) -> None:
    objection = find_takeover_objection(
        rollback(request=EMERGENCY), holder(request=FULL, outcome=outcome, database=database)
    )
    assert objection == (None if is_allowed else f"{HOLDER} is changing the database")


def test_the_description_of_a_plain_rollback_names_no_fence_and_no_obligation() -> None:
    assert describe_takeover_state(holder()) == (
        f"{HOLDER} (service, alarm) holds the lease; the service is not fenced; it has not touched the database"
    )


def test_the_description_of_a_full_rollback_names_the_unanswered_change_and_each_obligation() -> None:
    description = describe_takeover_state(
        holder(
            request=FULL,
            trigger=Trigger.MANUAL,
            database=restore(data_change_announced_at=NOW),
            obligations=(SCALING, FENCE_OF_WORKER),
        )
    )
    assert description == (
        f"{HOLDER} (full, manual) holds the lease; it has fenced the service: desired count 0; "
        "it may be changing the database; "
        "it has sent a change of the database: nothing is planned before Neon reports its outcome; "
        "not put back yet: fence of worker, was {'desired_count': 4}; "
        "not put back yet: scaling, was {'suspended': False}"
    )


def test_the_description_names_an_obligation_in_words() -> None:
    configuration = Obligation(kind=ObligationKind.DEPLOYMENT_CONFIGURATION, before={"maximumPercent": 200})
    description = describe_takeover_state(holder(obligations=(configuration,)))
    assert "not put back yet: deployment configuration, was {'maximumPercent': 200}" in description


def test_the_description_does_not_mention_a_change_of_the_database_whose_outcome_is_known() -> None:
    description = describe_takeover_state(holder(request=FULL, database=restore(backup_id="br-9")))
    assert "has sent a change" not in description


@pytest.mark.parametrize(
    ("rollback_id", "since_end", "is_held"),
    [
        (HOLDER, timedelta(microseconds=-1), True),
        (HOLDER, timedelta(0), False),
        (HOLDER, timedelta(microseconds=1), False),
        ("another", timedelta(microseconds=-1), False),
    ],
)
def test_a_lease_is_its_holder_s_until_the_instant_at_which_it_expires(
    rollback_id: str, since_end: timedelta, is_held: bool
) -> None:
    lease = Lease(service=SERVICE, holder=HOLDER, counter=1, expires_at=NOW)
    assert lease.is_held_by(rollback_id, NOW + since_end) is is_held
