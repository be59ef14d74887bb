"""`--direct --no-ledger`: only ECS is asked, what can't be known is said, and nothing unchecked is deployed."""

from functools import partial
from typing import Any

import pytest
from fakes.refusal import RefusesAll
from simulations.service import Simulation, start_simulation
from simulations.terminal import At, Terminal
from support.builders import image

from rollback.errors import ExternalServiceError
from rollback_cli.direct import without_ledger

START = ("start", "production", "--direct", "--no-ledger")


@pytest.fixture
def down(terminal: At, monkeypatch: pytest.MonkeyPatch) -> tuple[Simulation, RefusesAll, Terminal]:
    """A service that runs v2 after v1, a ledger that refuses every call, and a terminal."""
    simulation = start_simulation()
    ledger = RefusesAll("dynamodb")
    simulation.replace(ledger=ledger)

    def sleep(seconds: float) -> None:
        simulation.pass_time(seconds=seconds)

    monkeypatch.setattr(without_ledger, "deploy", partial(without_ledger.deploy, sleep=sleep))
    return simulation, ledger, terminal(simulation)


def test_the_definition_is_deployed_and_what_can_not_be_known_is_said(
    down: tuple[Simulation, RefusesAll, Terminal],
) -> None:
    simulation, ledger, type_ = down
    configuration = dict(simulation.services.deployment_configuration)
    assert type_(*START, "--task-definition", simulation.arns["v1"], "--yes") == 0
    assert simulation.running() == image("v1")
    assert simulation.describe_service().desired_count == 2
    assert simulation.services.deployment_configuration == configuration
    for fact in ("no lease:", "no fence:", "no schema check:", "no evidence that this release was good:", "no record:"):
        assert fact in type_.said
    assert "Whether the release is healthy was not verified" in type_.said
    assert "rollback pause production --service express-api --reason '…'" in type_.said
    assert ledger.calls == []


def test_ecs_does_not_roll_back_to_the_bad_release_while_the_deployment_is_in_flight(
    down: tuple[Simulation, RefusesAll, Terminal],
) -> None:
    simulation, _, type_ = down
    type_(*START, "--task-definition", simulation.arns["v1"], "--yes")
    first, last = (options for name, options in simulation.services.calls if name == "update")
    breaker = {"enable": True, "rollback": False}
    assert first["deployment_configuration"] == {"deploymentCircuitBreaker": breaker}
    assert "desired_count" not in first
    assert last["deployment_configuration"] == {"deploymentCircuitBreaker": {"enable": True, "rollback": True}}
    assert "If this process dies, put the configuration back with: aws ecs update-service" in type_.said


def test_a_dry_run_describes_the_deployment_and_changes_nothing(down: tuple[Simulation, RefusesAll, Terminal]) -> None:
    simulation, _, type_ = down
    assert type_(*START, "--task-definition", simulation.arns["v1"], "--dry-run") == 0
    assert "desired count 2 stays" in type_.said
    assert "Dry run: nothing was changed" in type_.said
    assert simulation.services.calls == []


def test_without_a_terminal_and_without_yes_nothing_is_deployed(down: tuple[Simulation, RefusesAll, Terminal]) -> None:
    simulation, _, type_ = down
    assert type_(*START, "--task-definition", simulation.arns["v1"]) == 2
    assert "there is no terminal to ask for a confirmation; nothing was changed" in type_.said
    assert "next: add --yes" in type_.said
    assert simulation.services.calls == []


def test_a_missing_definition_is_answered_with_the_last_known_good_that_ecs_has(
    down: tuple[Simulation, RefusesAll, Terminal],
) -> None:
    simulation, _, type_ = down
    assert type_(*START, "--yes") == 2
    assert "ECS has no definition that was registered as last known good" in type_.said
    definition = simulation.services.definition(simulation.arns["v1"])
    assert definition is not None
    family = "macro-ai-production-task-last-known-good-production-express-api"
    arn = simulation.services.register(definition, family, "f" * 64)
    assert type_(*START, "--yes") == 2
    assert f"The newest that was registered as last known good is {arn}" in type_.said


@pytest.mark.parametrize(
    ("arn", "reason"),
    [
        ("macro-ai-production-task", "allowed is the ARN of one revision"),
        ("{v1}9", "ECS has no task definition"),
        ("{v2}", "runs macro-ai-production-task:2 already"),
        ("arn:aws:ecs:eu-west-1:999999999999:task-definition/macro-ai-production-task:1", "another account or region"),
        ("arn:aws:ecs:eu-west-1:123456789012:task-definition/worker:1", "is of the family worker"),
    ],
)
def test_a_definition_that_is_not_this_services_is_refused(
    down: tuple[Simulation, RefusesAll, Terminal], arn: str, reason: str
) -> None:
    simulation, _, type_ = down
    given = arn.format(**simulation.arns)
    assert type_(*START, "--task-definition", given, "--yes") == 2
    assert reason in type_.said
    assert simulation.services.calls == []


def test_a_deregistered_definition_is_refused(down: tuple[Simulation, RefusesAll, Terminal]) -> None:
    simulation, _, type_ = down
    simulation.services.deregister(simulation.arns["v1"])
    assert type_(*START, "--task-definition", simulation.arns["v1"], "--yes") == 2
    assert "is INACTIVE: ECS starts no service from it; nothing was changed" in type_.said


def test_a_service_at_desired_count_0_is_refused_since_it_may_be_fenced(
    down: tuple[Simulation, RefusesAll, Terminal],
) -> None:
    simulation, _, type_ = down
    simulation.services.desired_count = 0
    assert type_(*START, "--task-definition", simulation.arns["v1"], "--yes") == 2
    assert "a database rollback may hold it there, and only the ledger knows" in type_.said
    assert simulation.services.calls == []


@pytest.mark.parametrize(
    ("words", "reason"),
    [
        (("start", "production", "--no-ledger"), "--no-ledger goes with --direct only"),
        (("start", "production", "--task-definition", "x"), "goes with --direct --no-ledger only"),
        ((*START, "--force"), "--force can't go with --no-ledger"),
        ((*START, "--type", "full"), "--type full can't go with --no-ledger"),
        ((*START, "--target-version", "v1"), "--target-version can't go with --no-ledger"),
    ],
)
def test_options_that_need_the_ledger_are_refused(
    down: tuple[Simulation, RefusesAll, Terminal], words: tuple[str, ...], reason: str
) -> None:
    simulation, _, type_ = down
    assert type_(*words) == 2
    assert reason in type_.said
    assert simulation.services.calls == []


def test_a_lost_answer_of_update_service_is_looked_up_and_not_sent_again(
    down: tuple[Simulation, RefusesAll, Terminal],
) -> None:
    simulation, _, type_ = down
    update, sent = simulation.services.update, []

    def lose_the_answer(*arguments: Any, **options: Any) -> None:
        sent.append(options)
        update(*arguments, **options)
        if len(sent) == 1:
            raise ExternalServiceError("UpdateService got no answer")

    simulation.services.update = lose_the_answer  # type: ignore[method-assign]
    assert type_(*START, "--task-definition", simulation.arns["v1"], "--yes") == 0
    assert [options.get("definition_arn") for options in sent] == [simulation.arns["v1"], None]
    assert simulation.running() == image("v1")


def test_a_deployment_that_never_becomes_stable_ends_with_exit_code_1_and_the_reason(
    down: tuple[Simulation, RefusesAll, Terminal],
) -> None:
    simulation, _, type_ = down
    simulation.services.behaviours[simulation.arns["v1"]] = "crashing"
    assert type_(*START, "--task-definition", simulation.arns["v1"], "--yes") == 1
    assert "express-api is not stable: " in type_.said
    assert "The deployment configuration is not put back yet" in type_.said


def test_a_start_that_can_not_reach_the_ledger_names_the_way_without_it(
    down: tuple[Simulation, RefusesAll, Terminal],
) -> None:
    _, _, type_ = down
    assert type_("start", "production", "--direct") == 1
    assert "attempt 1 of 7 failed" in type_.said
    assert "rollback start production --service express-api --direct --no-ledger --task-definition ARN" in type_.said
