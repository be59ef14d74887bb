"""The bad commit shows what happened to it: pending, then a verdict."""

import pytest
from simulations.github_deliveries import (
    BAD,
    EXECUTION,
    GITHUB,
    Engine,
    concluded,
    fake_of,
    gate,
    github_ports,
    planned,
)
from support.builders import NOW, SERVICE, release
from support.hostile_values import TEXTS

from rollback.check import Check
from rollback.delivery.github.commit_status import CommitStatusChannel
from rollback.domain.approval.gate import DecisionKind
from rollback.domain.plan import Plan
from rollback.domain.request import Request, RollbackType, Trigger
from rollback.domain.rollback import Outcome
from rollback.errors import CallRefused, ExternalServiceError
from rollback.resources.github.commit_status import CommitState

CONTEXT = f"rollback/production/{SERVICE}"


def test_a_running_rollback_is_pending_at_the_bad_commit_with_a_link_to_its_execution() -> None:
    ports = github_ports()
    Engine(CommitStatusChannel(), ports).attempt(planned())
    (status,) = fake_of(ports).statuses[BAD]
    assert status.state is CommitState.PENDING
    assert status.context == CONTEXT
    assert status.description == "Rollback in production is under way: v2 → v1"
    assert status.target_url == (
        f"https://console.aws.amazon.com/states/home?region=eu-west-1#/v2/executions/details/{EXECUTION}"
    )


@pytest.mark.parametrize(
    ("outcome", "state", "words"),
    [
        (Outcome.SUCCEEDED, CommitState.FAILURE, "Rolled back in production: v2 → v1"),
        (Outcome.FAILED, CommitState.ERROR, "failed: an operator has to act"),
        (Outcome.REFUSED, CommitState.ERROR, "was refused: an operator has to act"),
        (Outcome.ABORTED, CommitState.ERROR, "was aborted"),
        (Outcome.SUPERSEDED, CommitState.ERROR, "a newer release was deployed"),
    ],
)
def test_an_end_is_a_verdict_on_the_commit(outcome: Outcome, state: CommitState, words: str) -> None:
    ports = github_ports()
    engine = Engine(CommitStatusChannel(), ports)
    engine.attempt(planned())
    engine.attempt(concluded(outcome, version=1))
    status = fake_of(ports).statuses[BAD][-1]
    assert status.state is state
    assert words in status.description
    assert len(fake_of(ports).statuses[BAD]) == 2


def test_a_status_says_that_a_person_is_asked_until_the_rollback_goes_on() -> None:
    ports = github_ports()
    engine = Engine(CommitStatusChannel(), ports)
    engine.attempt(planned(approval=gate()))
    engine.attempt(planned(version=1, approval=gate(DecisionKind.APPROVED)))
    assert [status.description for status in fake_of(ports).statuses[BAD]] == [
        "Rollback in production waits for an approval: v2 → v1",
        "Rollback in production is under way: v2 → v1",
    ]


@pytest.mark.parametrize(
    ("kind", "state", "words"),
    [
        (DecisionKind.REJECTED, CommitState.SUCCESS, "Kept in production: an approver declined the rollback"),
        (DecisionKind.EXPIRED, CommitState.ERROR, "Rollback in production did not begin: nobody decided in time"),
    ],
)
def test_only_a_person_gives_the_commit_a_check_mark(kind: DecisionKind, state: CommitState, words: str) -> None:
    ports = github_ports()
    Engine(CommitStatusChannel(), ports).attempt(concluded(Outcome.REJECTED, approval=gate(kind)))
    (status,) = fake_of(ports).statuses[BAD]
    assert (status.state, status.description) == (state, words)


NO_STATUS = {
    "a dry run": planned(request=Request(service=SERVICE, dry_run=True)),
    "a rollback that another one took over": concluded(Outcome.ABORTED, taken_over_by="express-api-2"),
    "a drill": planned(trigger=Trigger.DRILL),
    "a drill that succeeded": concluded(trigger=Trigger.DRILL),
    "a drill that failed": concluded(Outcome.FAILED, trigger=Trigger.DRILL),
    "a suppressed rollback": concluded(Outcome.SUPPRESSED),
    "a plan of observe mode": concluded(Outcome.PLANNED),
    "a rollback without a plan": planned(plan=None),
    "an unknown commit": planned(
        plan=Plan(running=release("v2"), target=release("v1", hours_ago=2), checks=())
    ),
    "a commit that is no SHA": planned(
        plan=Plan(running=release("v2", commit="v1.2.3"), target=release("v1", hours_ago=2), checks=())
    ),
    "a rollback of the database alone": planned(request=Request(service=SERVICE, type=RollbackType.DATABASE)),
    "a plan that refuses": planned(
        plan=Plan(
            running=release("v2", commit=BAD), target=release("v1"), checks=(Check.failed("schema", "breaks"),)
        )
    ),
}  # fmt: skip


@pytest.mark.parametrize("document", NO_STATUS.values(), ids=NO_STATUS.keys())
def test_a_commit_without_a_verdict_gets_no_status(document: object) -> None:
    assert CommitStatusChannel().key(document, github_ports()) is None  # type: ignore[arg-type]


@pytest.mark.parametrize("settings", [None, GITHUB.model_copy(update={"commit_status_context": None})])
def test_without_the_setting_no_status_is_sent(settings: object) -> None:
    assert CommitStatusChannel().key(planned(), github_ports(settings)) is None  # type: ignore[arg-type]


def test_the_context_of_the_settings_is_used() -> None:
    settings = GITHUB.model_copy(update={"commit_status_context": "deploys/{service}"})
    ports = github_ports(settings)
    Engine(CommitStatusChannel(), ports).attempt(planned())
    assert fake_of(ports).statuses[BAD][0].context == f"deploys/{SERVICE}"


def test_a_short_commit_is_resolved_to_its_sha() -> None:
    ports = github_ports()
    plan = Plan(running=release("v2", commit=BAD[:7]), target=release("v1", hours_ago=2), checks=())
    Engine(CommitStatusChannel(), ports).attempt(planned(plan=plan))
    assert list(fake_of(ports).statuses) == [BAD]


def test_an_unknown_commit_is_an_error_and_changes_nothing() -> None:
    ports = github_ports()
    plan = Plan(running=release("v2", commit="f" * 40), target=release("v1", hours_ago=2), checks=())
    engine = Engine(CommitStatusChannel(), ports)
    assert "no commit" in str(engine.attempt(planned(plan=plan)))
    assert engine.record is not None
    assert engine.record.is_refused
    assert fake_of(ports).statuses == {}


def test_a_status_whose_answer_was_lost_is_not_set_twice() -> None:
    ports = github_ports()
    fake_of(ports).lost_answers = 1
    engine = Engine(CommitStatusChannel(), ports)
    engine.attempt_until_delivered(planned())
    assert len(fake_of(ports).statuses[BAD]) == 1


@pytest.mark.parametrize("failure", [ExternalServiceError("down"), CallRefused("no")])
def test_an_outage_leaves_the_delivery_due(failure: Exception) -> None:
    ports = github_ports()
    fake_of(ports).failures = [failure]
    engine = Engine(CommitStatusChannel(), ports)
    assert engine.attempt(planned()) == str(failure)
    assert engine.record is not None
    assert engine.record.is_due
    engine.attempt_until_delivered(planned(), minutes=61)
    assert len(fake_of(ports).statuses[BAD]) == 1


@pytest.mark.parametrize("text", TEXTS.values(), ids=TEXTS.keys())
def test_a_hostile_version_stays_within_githubs_limits(text: str) -> None:
    ports = github_ports()
    plan = Plan(
        running=release("v2", commit=BAD).model_copy(update={"version": text + "🔥"}), target=release("v1"), checks=()
    )
    Engine(CommitStatusChannel(), ports).attempt(concluded(plan=plan))
    (status,) = fake_of(ports).statuses[BAD]
    assert len(status.description) <= 140
    assert "\n" not in status.description
    assert all(character <= "\uffff" for character in status.description)


def test_a_rollback_without_an_execution_has_no_link() -> None:
    ports = github_ports()
    Engine(CommitStatusChannel(), ports).attempt(planned(execution="direct:ada", created_at=NOW))
    assert fake_of(ports).statuses[BAD][0].target_url == ""
