"""The GitHub environment shows as active what runs: only a success changes it."""

import pytest
from simulations.github_deliveries import BAD, GITHUB, GOOD, Engine, concluded, fake_of, github_ports, planned
from support.builders import SERVICE, release

from rollback.delivery.github.deployment_status import DeploymentStatusChannel
from rollback.domain.plan import Plan
from rollback.domain.request import Request, RollbackType, Trigger
from rollback.domain.rollback import Outcome
from rollback.errors import Throttled
from rollback.ports.all_ports import AllPorts
from rollback.resources.github.deployment import DeploymentState


def deployed() -> tuple[AllPorts, int, int]:
    ports = github_ports()
    good = fake_of(ports).deploy(GOOD, "Production")
    return ports, fake_of(ports).deploy(BAD, "Production"), good


def states(ports: AllPorts, number: int) -> list[DeploymentState]:
    return [status.state for status in fake_of(ports).deployment_statuses[number]]


def test_after_a_success_the_bad_deployment_has_failed_and_the_target_is_active_again() -> None:
    ports, bad, good = deployed()
    Engine(DeploymentStatusChannel(), ports).attempt(concluded())
    assert states(ports, bad) == [DeploymentState.SUCCESS, DeploymentState.FAILURE]
    assert states(ports, good) == [DeploymentState.SUCCESS, DeploymentState.SUCCESS]
    assert len(fake_of(ports).deployments) == 2, "a new deployment would start pipelines"


@pytest.mark.parametrize("outcome", [outcome for outcome in Outcome if outcome is not Outcome.SUCCEEDED])
def test_after_any_other_end_people_judge_what_runs(outcome: Outcome) -> None:
    assert DeploymentStatusChannel().key(concluded(outcome), github_ports()) is None


def test_a_drill_that_succeeded_changes_no_deployment() -> None:
    assert DeploymentStatusChannel().key(concluded(trigger=Trigger.DRILL), github_ports()) is None


def test_a_running_rollback_changes_no_deployment() -> None:
    assert DeploymentStatusChannel().key(planned(), github_ports()) is None


def test_a_rollback_of_the_database_alone_changes_no_deployment() -> None:
    document = concluded(request=Request(service=SERVICE, type=RollbackType.DATABASE))
    assert DeploymentStatusChannel().key(document, github_ports()) is None


def test_without_an_environment_in_the_settings_nothing_is_sent() -> None:
    settings = GITHUB.model_copy(update={"deployment_environment": None})
    assert DeploymentStatusChannel().key(concluded(), github_ports(settings)) is None


def test_a_missing_deployment_is_said_and_the_other_still_gets_its_status() -> None:
    ports = github_ports()
    good = fake_of(ports).deploy(GOOD, "Production")
    answer = Engine(DeploymentStatusChannel(), ports).attempt(concluded())
    assert f"{BAD}: no deployment to Production" in str(answer)
    assert len(states(ports, good)) == 2


def test_releases_of_one_commit_share_a_failed_deployment() -> None:
    ports, bad, _ = deployed()
    plan = Plan(running=release("v2", commit=BAD), target=release("v1", commit=BAD), checks=())
    Engine(DeploymentStatusChannel(), ports).attempt(concluded(plan=plan))
    assert states(ports, bad)[-1] is DeploymentState.FAILURE


def test_a_lost_answer_sets_no_status_twice() -> None:
    ports, bad, good = deployed()
    fake_of(ports).lost_answers = 1
    engine = Engine(DeploymentStatusChannel(), ports)
    engine.attempt_until_delivered(concluded())
    assert (len(states(ports, bad)), len(states(ports, good))) == (2, 2)


def test_an_outage_between_the_two_statuses_is_made_up_for() -> None:
    ports, bad, good = deployed()
    engine = Engine(DeploymentStatusChannel(), ports)
    calls = {"count": 0}
    real = fake_of(ports).set_deployment_status

    def limited(deployment_id: int, status: object) -> None:
        calls["count"] += 1
        if calls["count"] == 2:
            raise Throttled("slow down")
        real(deployment_id, status)  # type: ignore[arg-type]

    fake_of(ports).set_deployment_status = limited  # type: ignore[method-assign]
    engine.attempt_until_delivered(concluded())
    assert (len(states(ports, bad)), len(states(ports, good))) == (2, 2)
