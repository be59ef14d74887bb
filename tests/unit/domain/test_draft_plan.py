from datetime import timedelta

import pytest
from support.builders import NOW, SERVICE, release

from rollback.check import Verdict
from rollback.domain.plan import Plan, draft_plan
from rollback.domain.releases.release import Release, ReleaseState
from rollback.domain.request import Request, Trigger
from rollback.domain.settings.policy import Policy

V1 = release("v1", hours_ago=48)
V2 = release("v2", hours_ago=24, state=ReleaseState.QUARANTINED)
V3 = release("v3", hours_ago=0.2, state=ReleaseState.CANDIDATE)


def plan(
    *releases: Release, running: Release = V3, trigger: Trigger = Trigger.ALARM, version: str | None = None
) -> Plan:
    request = Request(service=SERVICE, target_version=version)
    return draft_plan(request, trigger, releases, running, Policy(), NOW)


def test_the_target_is_v1_if_v3_is_bad_and_v2_is_quarantined() -> None:
    draft = plan(V1, V2, V3)
    assert draft.target == V1
    assert draft.refusals(forced=False) == ()


def test_a_request_may_name_the_last_known_good_by_both_synonyms() -> None:
    assert plan(V1, V2, V3, version="last-known-good").target == V1
    assert plan(V1, V2, V3, version="last-stable").target == V1


def test_a_plan_without_a_promoted_release_is_refused_despite_force() -> None:
    draft = plan(V2, V3)
    assert draft.target is None
    assert [c.name for c in draft.refusals(forced=True)] == ["target-is-identified"]
    assert "v2, v3" in draft.refusals(forced=True)[0].reason


def test_a_quarantined_release_is_a_target_only_with_force() -> None:
    draft = plan(V1, V2, V3, version="v2", trigger=Trigger.MANUAL)
    assert draft.target == V2
    assert [c.name for c in draft.refusals(forced=False)] == ["target-is-good"]
    assert draft.refusals(forced=True) == ()


def test_the_running_release_is_no_target_despite_force() -> None:
    draft = plan(V1, running=V1, version="v1", trigger=Trigger.MANUAL)
    assert [c.name for c in draft.refusals(forced=True)] == ["target-differs"]


def test_an_alarm_over_a_proven_and_old_release_is_suppressed_since_the_release_is_not_the_cause() -> None:
    draft = plan(release("v0", hours_ago=99), running=V1)
    refusal = draft.refusals(forced=False)[0]
    assert refusal.name == "release-is-the-cause"
    assert "not the release" in refusal.reason


@pytest.mark.parametrize(("minutes_after_the_trigger", "is_suppressed"), [(-1, True), (0, True), (1, False)])
def test_a_promotion_since_the_trigger_does_not_prove_that_the_release_is_not_the_cause(
    minutes_after_the_trigger: int, is_suppressed: bool
) -> None:
    triggered_at = NOW - timedelta(minutes=5)
    running = release("v1", hours_ago=48, state_since=triggered_at + timedelta(minutes=minutes_after_the_trigger))
    request = Request(service=SERVICE)
    older = release("v0", hours_ago=99)
    draft = draft_plan(request, Trigger.ALARM, (older, running), running, Policy(), NOW, triggered_at=triggered_at)
    assert bool(draft.refusals(forced=False)) is is_suppressed
    [check] = [check for check in draft.checks if check.name == "release-is-the-cause"]
    assert ("promoted since the trigger only" in check.reason) is not is_suppressed


def test_an_operator_may_replace_a_proven_and_old_release() -> None:
    draft = plan(release("v0", hours_ago=99), running=V1, trigger=Trigger.MANUAL)
    assert draft.refusals(forced=False) == ()


def test_an_operator_may_name_a_candidate_and_gets_a_warning() -> None:
    candidate = release("v9", hours_ago=5, state=ReleaseState.CANDIDATE)
    draft = plan(candidate, V3, version="v9", trigger=Trigger.MANUAL)
    assert [c.verdict for c in draft.checks if c.name == "target-is-good"] == [Verdict.WARN]
    assert draft.refusals(forced=False) == ()
