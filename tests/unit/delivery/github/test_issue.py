"""One issue per rollback, whatever is lost, late or deleted."""

from typing import Any

import pytest
from simulations.github_deliveries import GITHUB, Engine, concluded, fake_of, github_ports, planned
from support.builders import NOW, SERVICE

from rollback.delivery.github.issue import LIST_DELAY, IssueChannel
from rollback.domain.obligation import OPERATOR, Obligation, ObligationKind
from rollback.domain.request import Request, Trigger
from rollback.domain.rollback import Outcome, Rollback, TriggerEvent
from rollback.domain.settings.github import GitHubSettings, IssueSettings
from rollback.errors import CallRefused, ExternalServiceError, Throttled
from rollback.ports.all_ports import AllPorts
from rollback.resources.github.errors import RateLimited
from rollback.resources.github.issue import Issue

ALARM = "macro-ai-production-express-api-degraded"
EVENT = TriggerEvent(id="e1", at=NOW, alarm=ALARM)


def issues(ports: AllPorts) -> list[Issue]:
    return [stored.issue for stored in fake_of(ports).stored.values()]


def comments(ports: AllPorts) -> list[str]:
    return [comment.body for stored in fake_of(ports).stored.values() for comment in stored.comments]


def with_issue(**changes: Any) -> GitHubSettings:
    return GITHUB.model_copy(update={"issue": IssueSettings(**changes)})


def test_a_rollback_opens_an_issue_that_is_updated_and_closed_after_the_success() -> None:
    ports = github_ports()
    engine = Engine(IssueChannel(), ports)
    assert engine.attempt(planned()) == "#1"
    (opened,) = issues(ports)
    assert (opened.state, opened.title) == ("open", f"[production] Rollback of {SERVICE}: under way")
    assert engine.attempt(concluded(version=1)) == "#1"
    (closed,) = issues(ports)
    assert (closed.state, closed.title) == ("closed", f"[production] Rollback of {SERVICE}: succeeded")
    assert "Why: why" in closed.body
    assert "- Release: `v2` → `v1`" in closed.body


def test_a_success_stays_open_where_the_settings_say_so() -> None:
    ports = github_ports(with_issue(close_on_success=False))
    Engine(IssueChannel(), ports).attempt(concluded())
    assert [issue.state for issue in issues(ports)] == ["open"]


@pytest.mark.parametrize(
    "outcome", [Outcome.FAILED, Outcome.REFUSED, Outcome.REJECTED, Outcome.ABORTED, Outcome.SUPERSEDED]
)
def test_an_end_without_success_stays_open(outcome: Outcome) -> None:
    ports = github_ports()
    Engine(IssueChannel(), ports).attempt(concluded(outcome))
    assert [issue.state for issue in issues(ports)] == ["open"]


def test_a_success_that_leaves_work_to_an_operator_stays_open() -> None:
    ports = github_ports()
    left = Obligation(kind=ObligationKind.SCALING, before={"min": 1}, handed_to=OPERATOR)
    Engine(IssueChannel(), ports).attempt(concluded(obligations=(left,)))
    assert [issue.state for issue in issues(ports)] == ["open"]


def test_a_rollback_that_was_taken_over_closes_its_issue_with_a_pointer_to_the_other() -> None:
    ports = github_ports()
    engine = Engine(IssueChannel(), ports)
    engine.attempt(planned())
    engine.attempt(concluded(Outcome.ABORTED, version=1, taken_over_by="express-api-2"))
    (closed,) = issues(ports)
    assert closed.state == "closed"
    assert "- Taken over by: `express-api-2`" in closed.body


def test_a_rollback_that_was_taken_over_before_it_had_an_issue_gets_none() -> None:
    ports = github_ports()
    answer = Engine(IssueChannel(), ports).attempt(concluded(Outcome.ABORTED, taken_over_by="express-api-2"))
    assert answer == "no issue: express-api-2 reports"
    assert issues(ports) == []


def test_an_issue_that_the_list_shows_late_is_closed_after_a_take_over() -> None:
    ports = github_ports()
    fake_of(ports).list_delay_seconds = 300
    fake_of(ports).lost_answers = 1
    engine = Engine(IssueChannel(), ports)
    engine.attempt(planned())
    engine.attempt_until_delivered(concluded(Outcome.ABORTED, version=1, taken_over_by="express-api-2"))
    assert [issue.state for issue in issues(ports)] == ["closed"]


def test_labels_and_assignees_of_the_settings_are_set() -> None:
    ports = github_ports(with_issue(labels=("rollback", "sev2"), assignees=("ada",)))
    fake_of(ports).assignable = {"ada"}
    Engine(IssueChannel(), ports).attempt(concluded())
    assert issues(ports)[0].labels == ("rollback", "sev2")
    assert fake_of(ports).stored[1].assignees == ("ada",)


def test_an_assignee_who_left_does_not_prevent_the_issue() -> None:
    ports = github_ports(with_issue(assignees=("gone",)))
    assert Engine(IssueChannel(), ports).attempt(concluded()) == "#1"
    assert fake_of(ports).stored[1].assignees == ()


def test_an_issue_that_people_opened_again_stays_open_after_the_data_loss_report() -> None:
    ports = github_ports()
    engine = Engine(IssueChannel(), ports)
    engine.attempt(concluded())
    stored = fake_of(ports).stored[1]
    stored.issue = stored.issue.model_copy(update={"state": "open"})
    left = Obligation(kind=ObligationKind.FENCE, before={"x": 1}, discharged_at=NOW)
    later = concluded(version=2, evaluations=1, obligations=(left,), recheck_at=NOW)
    assert engine.attempt(later) == "#1"
    assert [issue.state for issue in issues(ports)] == ["open"]


def test_a_trigger_whose_rollback_is_refused_again_adds_a_comment_and_no_second_issue() -> None:
    ports = github_ports()
    first = concluded(Outcome.REFUSED, event=EVENT, service=None)
    assert Engine(IssueChannel(), ports).attempt(first) == "#1"
    again = Engine(IssueChannel(), ports)
    second = concluded(Outcome.REFUSED, event=EVENT, service=None, id=f"{SERVICE}-2")
    assert again.attempt(second) == "comment on #1"
    assert again.attempt(second.evolve(version=1, evaluations=2)) == "comment on #1"
    assert len(issues(ports)) == 1
    (comment,) = comments(ports)
    assert "The trigger came back, and the rollback was refused" in comment


NO_ISSUE = {
    "a dry run": concluded(Outcome.PLANNED, request=Request(service=SERVICE, dry_run=True)),
    "a refused dry run": concluded(Outcome.REFUSED, request=Request(service=SERVICE, dry_run=True)),
    "a plan of observe mode": concluded(Outcome.PLANNED),
    "a drill": planned(trigger=Trigger.DRILL),
    "a drill that succeeded": concluded(trigger=Trigger.DRILL),
    "a drill that failed": concluded(Outcome.FAILED, trigger=Trigger.DRILL),
    "a rollback without a plan": planned(plan=None),
    "a suppressed rollback that no event started": concluded(Outcome.SUPPRESSED),
}


@pytest.mark.parametrize("document", NO_ISSUE.values(), ids=NO_ISSUE.keys())
def test_a_rollback_that_never_acts_gets_no_issue(document: Rollback) -> None:
    assert IssueChannel().key(document, github_ports()) is None


@pytest.mark.parametrize("settings", [None, GITHUB.model_copy(update={"issue": None})])
def test_without_the_setting_no_issue_is_sent(settings: GitHubSettings | None) -> None:
    assert IssueChannel().key(concluded(), github_ports(settings)) is None


# Never two issues


@pytest.mark.parametrize("delay_minutes", [0, 3, 9])
def test_a_creation_whose_answer_was_lost_makes_one_issue_however_late_lists_are(delay_minutes: int) -> None:
    ports = github_ports()
    fake_of(ports).list_delay_seconds = delay_minutes * 60
    fake_of(ports).lost_answers = 1
    assert Engine(IssueChannel(), ports).attempt_until_delivered(concluded(), minutes=1, rounds=90) == "#1"
    assert len(issues(ports)) == 1


def test_a_lost_answer_is_remembered_when_another_state_is_wanted() -> None:
    ports = github_ports()
    fake_of(ports).list_delay_seconds = 300
    fake_of(ports).lost_answers = 1
    engine = Engine(IssueChannel(), ports)
    engine.attempt(planned())
    ports.clock.pass_time(seconds=20)  # type: ignore[attr-defined]
    assert engine.attempt_until_delivered(concluded(version=1), minutes=1, rounds=90) == "#1"
    assert [issue.state for issue in issues(ports)] == ["closed"]


def test_a_lost_answer_is_remembered_over_an_outage_that_follows() -> None:
    ports = github_ports()
    fake_of(ports).list_delay_seconds = 540
    fake_of(ports).lost_answers = 1
    engine = Engine(IssueChannel(), ports)
    engine.attempt(concluded())
    fake_of(ports).failures = [ExternalServiceError("502"), Throttled("slow down"), CallRefused("no")]
    engine.attempt_until_delivered(concluded(), minutes=1, rounds=200)
    assert len(issues(ports)) == 1


def test_a_process_that_died_after_the_creation_leaves_one_issue() -> None:
    ports = github_ports()
    fake_of(ports).list_delay_seconds = 300
    engine = Engine(IssueChannel(), ports)
    engine.attempt(concluded())
    document = concluded()
    key = engine.channel.key(document, ports)
    assert engine.record is not None
    engine.record = engine.record.model_copy(
        update={"delivered_key": None, "delivered_at": None, "reference": "", "attempts": 1, "wanted_key": key,
                "claimed_until": NOW.replace(minute=1)}
    )  # fmt: skip
    engine.attempt_until_delivered(document, minutes=2, rounds=60)
    assert len(issues(ports)) == 1


def test_an_issue_that_was_never_created_is_created_once_lists_have_caught_up() -> None:
    ports = github_ports()
    engine = Engine(IssueChannel(), ports)
    real, lost = fake_of(ports).create_issue, {"calls": 0}

    def lose_the_first(content: Any) -> Issue:
        lost["calls"] += 1
        if lost["calls"] == 1:
            raise ExternalServiceError("got no answer")
        return real(content)

    fake_of(ports).create_issue = lose_the_first  # type: ignore[method-assign]
    assert engine.attempt_until_delivered(concluded(), minutes=1, rounds=60) == "#1"
    assert ports.clock.now() - NOW >= LIST_DELAY
    assert lost["calls"] == 2


def test_a_limited_creation_did_nothing_and_is_sent_again_at_the_next_attempt() -> None:
    ports = github_ports()
    real, calls = fake_of(ports).create_issue, {"count": 0}

    def limit_the_first(content: Any) -> Issue:
        calls["count"] += 1
        if calls["count"] == 1:
            raise RateLimited("slow down", 60)
        return real(content)

    fake_of(ports).create_issue = limit_the_first  # type: ignore[method-assign]
    engine = Engine(IssueChannel(), ports)
    engine.attempt(concluded())
    ports.clock.pass_time(minutes=1)  # type: ignore[attr-defined]
    assert engine.attempt(concluded()) == "#1"


def test_a_lost_record_is_no_second_issue() -> None:
    ports = github_ports()
    Engine(IssueChannel(), ports).attempt(concluded())
    assert Engine(IssueChannel(), ports).attempt(concluded()) == "#1"
    assert len(issues(ports)) == 1


def test_another_rollback_has_an_issue_of_its_own() -> None:
    ports = github_ports()
    Engine(IssueChannel(), ports).attempt(concluded())
    another = concluded(id=f"{SERVICE}-20260301T040000Z-11111111")
    assert Engine(IssueChannel(), ports).attempt(another) == "#2"


def test_an_issue_that_people_deleted_is_not_created_again() -> None:
    ports = github_ports()
    engine = Engine(IssueChannel(), ports)
    engine.attempt(planned())
    fake_of(ports).stored.clear()
    assert engine.attempt(concluded(version=1)) == "#1, which was deleted"
    assert issues(ports) == []


def test_disabled_issues_are_an_error_with_a_remedy_and_no_end_of_the_rollback() -> None:
    ports = github_ports()
    fake_of(ports).has_issues = False
    engine = Engine(IssueChannel(), ports)
    assert "disabled" in str(engine.attempt(concluded()))
    assert engine.record is not None
    assert engine.record.is_refused


# Suppressed rollbacks


def suppressed(number: int = 1, **changes: Any) -> Rollback:
    identity = f"{SERVICE}-20260301T05000{number}Z-2222222{number}"
    return concluded(Outcome.SUPPRESSED, id=identity, event=EVENT, reason="within the cooldown", **changes)


def test_an_alarm_that_comes_back_is_a_comment_on_the_open_issue_of_its_cause() -> None:
    ports = github_ports()
    Engine(IssueChannel(), ports).attempt(concluded(Outcome.FAILED, event=EVENT))
    engine = Engine(IssueChannel(), ports)
    assert engine.attempt(suppressed()) == "comment on #1"
    (comment,) = comments(ports)
    assert "within the cooldown" in comment
    assert len(issues(ports)) == 1


def test_a_suppressed_alarm_that_is_evaluated_again_is_one_comment() -> None:
    ports = github_ports()
    Engine(IssueChannel(), ports).attempt(concluded(Outcome.FAILED, event=EVENT))
    engine = Engine(IssueChannel(), ports)
    for evaluation in range(1, 5):
        engine.attempt(suppressed(evaluations=evaluation, version=evaluation))
    assert len(comments(ports)) == 1


def test_a_comment_whose_answer_was_lost_is_not_added_twice() -> None:
    ports = github_ports()
    Engine(IssueChannel(), ports).attempt(concluded(Outcome.FAILED, event=EVENT))
    fake_of(ports).lost_answers = 1
    assert Engine(IssueChannel(), ports).attempt_until_delivered(suppressed()) == "comment on #1"
    assert len(comments(ports)) == 1


@pytest.mark.parametrize(
    "first",
    [
        concluded(Outcome.SUCCEEDED, event=EVENT),
        concluded(Outcome.FAILED, event=EVENT.model_copy(update={"alarm": "another"})),
        concluded(Outcome.FAILED, event=EVENT, environment="staging"),
    ],
    ids=["closed after a success", "another alarm", "another environment"],
)
def test_without_an_open_issue_of_the_cause_nothing_is_written(first: Rollback) -> None:
    ports = github_ports()
    Engine(IssueChannel(), ports).attempt(first)
    assert Engine(IssueChannel(), ports).attempt(suppressed()) == "no comment: no issue of this cause is open"
    assert comments(ports) == []
    assert len(issues(ports)) == 1


def test_a_suppressed_rollback_that_acts_later_has_its_issue() -> None:
    ports = github_ports()
    engine = Engine(IssueChannel(), ports)
    engine.attempt(suppressed())
    ports.clock.pass_time(minutes=5)  # type: ignore[attr-defined]
    acting = planned(id=suppressed().id, event=EVENT, evaluations=2, version=3)
    assert engine.attempt(acting) == "#1"
