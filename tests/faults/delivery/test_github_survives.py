"""The report function is killed at each call: GitHub shows one issue, each status once, and the rollback's end.

The engine, its ledger and the channels are the product's own. The repository is the fake, or the local GitHub through
the adapter.
"""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
from contract.github_repositories import LocalRepository
from examples.github import OTHER_SHA, SHA
from fakes.clock import FakeClock
from fakes.github import FakeGitHub
from faults.scenarios.crash import CrashingProxy, FaultInjector, ProcessKilled, crash_points
from simulations.fake_ports import make_ports
from simulations.github_deliveries import GITHUB, concluded, planned
from support.builders import NOW, SERVICE

from local_cloud.github.server import LocalGitHub
from rollback.delivery.channel import DeliveryChannel
from rollback.delivery.deliver import deliver
from rollback.delivery.github.commit_status import CommitStatusChannel
from rollback.delivery.github.deployment_status import DeploymentStatusChannel
from rollback.delivery.github.issue import IssueChannel
from rollback.domain.rollback import Outcome, Rollback, TriggerEvent
from rollback.errors import CallRefused, ExternalServiceError, Throttled
from rollback.ports.all_ports import AllPorts
from rollback.resources.github.errors import RateLimited

CHANNELS: tuple[DeliveryChannel, ...] = (CommitStatusChannel(), DeploymentStatusChannel(), IssueChannel())
LIST_DELAY_SECONDS = 480  # the longest that was observed
EVENT = TriggerEvent(id="e1", at=NOW, alarm="degraded")
FAILED_BEFORE = concluded(Outcome.FAILED, id=f"{SERVICE}-20260301T020000Z-33333333", event=EVENT)
SUPPRESSED = concluded(Outcome.SUPPRESSED, event=EVENT)


class Stage:
    """A repository and a ledger, on which the report function runs again and again."""

    def __init__(self, outside: FaultInjector) -> None:
        self.clock = FakeClock(NOW)
        self.fake = FakeGitHub(self.clock)
        self.fake.commits |= {SHA, OTHER_SHA}
        self.fake.list_delay_seconds = LIST_DELAY_SECONDS
        for sha in (OTHER_SHA, SHA):
            self.fake.deploy(sha, "Production")
        self.outside = outside
        bare = make_ports(clock=self.clock)
        settings = bare.settings.model_copy(update={"github": GITHUB})
        self.ports: AllPorts = replace(
            bare,
            settings=settings,
            github=CrashingProxy(self.fake, outside),
            ledger=CrashingProxy(bare.ledger, outside),
        )

    def run(self, document: Rollback) -> None:
        """Deliver until nothing is due. Lambda repeats the event of a process that died, the janitor what is due."""
        for _ in range(60):
            try:
                deliver(document, CHANNELS, self.ports)
            except ProcessKilled:
                self.outside.restart_process()
                self.clock.pass_time(minutes=1)
                continue
            records = [self.ports.ledger.delivery(document.id, channel.name) for channel in CHANNELS]
            if not any(record is not None and record.is_due for record in records):
                return
            self.clock.pass_time(minutes=5)
        raise AssertionError(f"still due: {records}")


def whole_life(stage: Stage) -> None:
    """A rollback acts, is reported while it runs, and succeeds."""
    stage.run(planned(version=1))
    stage.run(concluded(version=2))


def only_the_end(stage: Stage) -> None:
    stage.run(concluded(version=1))


def alarm_comes_back(stage: Stage) -> None:
    stage.run(FAILED_BEFORE)
    stage.clock.pass_time(minutes=30)
    stage.run(SUPPRESSED)


def shown(stage: Stage) -> dict[str, Any]:
    """Collect the states that readers of the repository see; texts of the issues belong to other tests."""
    return {
        "issues": [(s.issue.state, s.issue.title) for s in stage.fake.stored.values()],
        "comments": [len(s.comments) for s in stage.fake.stored.values()],
        "statuses": {sha: [status.state for status in of] for sha, of in stage.fake.statuses.items()},
        "deployments": {number: [s.state for s in of] for number, of in stage.fake.deployment_statuses.items()},
    }


LIVES: dict[str, Callable[[Stage], None]] = {
    "whole life": whole_life,
    "only the end": only_the_end,
    "the alarm comes back": alarm_comes_back,
}


def undisturbed(life: str) -> tuple[dict[str, Any], int]:
    outside = FaultInjector()
    stage = Stage(outside)
    LIVES[life](stage)
    return shown(stage), outside.calls


EXPECTED = {life: undisturbed(life) for life in LIVES}
KILLS = [(life, at, after) for life, (_, calls) in EXPECTED.items() for at, after in crash_points(calls)]


def test_the_lives_change_what_they_are_about() -> None:
    whole, calls = EXPECTED["whole life"]
    assert whole["issues"] == [("closed", f"[production] Rollback of {SERVICE}: succeeded")]
    assert [str(state) for state in whole["statuses"][SHA]] == ["pending", "failure"]
    assert [[str(state) for state in of] for of in whole["deployments"].values()] == [
        ["success", "success"],
        ["success", "failure"],
    ]
    assert calls > 12
    assert EXPECTED["the alarm comes back"][0]["comments"] == [1]


@pytest.mark.parametrize(("life", "at", "after"), KILLS)
def test_killed_at_each_effect_github_shows_the_same_as_without_a_death(life: str, at: int, after: bool) -> None:
    stage = Stage(FaultInjector(at, after=after))
    LIVES[life](stage)
    assert shown(stage) == EXPECTED[life][0]


@pytest.mark.parametrize(("life", "at", "after"), KILLS)
def test_killed_with_a_lost_answer_before_it_github_shows_the_same(life: str, at: int, after: bool) -> None:
    """The first change is made and its answer lost, and the process dies later on."""
    stage = Stage(FaultInjector(at, after=after))
    stage.fake.lost_answers = 1
    LIVES[life](stage)
    assert shown(stage) == EXPECTED[life][0]


@pytest.mark.parametrize("failure", [ExternalServiceError("502"), Throttled("slow down"), CallRefused("no")])
@pytest.mark.parametrize("times", [1, 5, 20])
def test_an_outage_of_github_delays_what_it_shows_and_changes_no_document(failure: Exception, times: int) -> None:
    stage = Stage(FaultInjector())
    stage.fake.failures = [failure] * times
    document = concluded(version=1)
    before = document.model_dump_json()
    for _ in range(60):
        deliver(document, CHANNELS, stage.ports)
        stage.clock.pass_time(minutes=61)
    assert document.model_dump_json() == before
    assert shown(stage)["issues"] == EXPECTED["only the end"][0]["issues"]
    assert shown(stage)["statuses"] == EXPECTED["only the end"][0]["statuses"]


def test_github_is_not_called_again_before_the_time_that_it_asked_for() -> None:
    stage = Stage(FaultInjector())
    stage.fake.failures = [RateLimited("slow down", 900.0)]
    document = concluded(version=1)
    channel: tuple[DeliveryChannel, ...] = (CommitStatusChannel(),)
    for _ in range(15):
        deliver(document, channel, stage.ports)
        assert stage.fake.statuses == {}
        stage.clock.pass_time(minutes=1)
    deliver(document, channel, stage.ports)
    assert len(stage.fake.statuses[SHA]) == 1


def test_killed_around_each_change_of_the_local_github_there_is_one_issue_and_each_status_once() -> None:
    with LocalGitHub() as server:
        for number, (at, after) in enumerate(crash_points(EXPECTED["whole life"][1])):
            name = f"macro-ai/shop-{number}"
            local = LocalRepository(server, name)
            stage = Stage(FaultInjector(at, after=after))
            stage.ports = replace(stage.ports, github=CrashingProxy(local.github, stage.outside))
            for sha in (OTHER_SHA, SHA):
                local.deploy(sha, "Production")
            whole_life(stage)
            issues = [stored.answer["state"] for stored in local.repository.issues.values()]
            assert issues == ["closed"], f"killed {'after' if after else 'before'} call {at}"
            states = [status["state"] for status in local.repository.statuses[SHA]]
            assert states == ["pending", "failure"], f"killed {'after' if after else 'before'} call {at}"
