"""`rollback verify`, typed as a pipeline types it, against a simulation instead of AWS."""

import json
from typing import Any

import pytest
from simulations.service import PROMOTED, Simulation, start_simulation
from simulations.terminal import At
from support.builders import SERVICE, image
from support.stand_ins import DenyingPort, access_denied_error

from rollback.domain.request import Trigger
from rollback.domain.rollback import Outcome
from rollback.errors import ExternalServiceError
from rollback.resources.aws.ecs_service import ProbeResult
from rollback_cli.direct import follow
from rollback_cli.verbs.rollbacks import verify

HEALTH = "http://api.test/health"
BROKEN = ProbeResult(status=500, seconds=0.01)


def healthy() -> Simulation:
    simulation = start_simulation()
    simulation.alarms.in_alarm.clear()
    return simulation


def broken() -> Simulation:
    simulation = healthy()
    simulation.http.answers[HEALTH] = BROKEN
    return simulation


def smoking(simulation: Simulation, exit_code: int) -> Simulation:
    service = simulation.service_settings.model_copy(update={"smoke_command": ("pnpm", "smoke")})
    simulation.replace(settings=simulation.ports.settings.model_copy(update={"services": (service,)}))
    tasks: Any = simulation.ports.tasks
    tasks.commands["pnpm smoke"] = lambda log: exit_code
    return simulation


def count_tasks(simulation: Simulation) -> int:
    tasks: Any = simulation.ports.tasks
    return len(tasks.tasks)


def test_a_healthy_release_has_exit_code_0_and_each_check_a_verdict_and_evidence(terminal: At) -> None:
    type_ = terminal(healthy())
    assert type_("verify", "production") == 0
    assert f"{SERVICE}\tecs-steady-state\tpass\tv2 runs on 2 tasks\t" in type_.output
    assert "samples: [0.01, 0.01, 0.01]" in type_.output
    assert "error-logs-are-usual\tnot looked at\t" in type_.output
    assert f"{SERVICE} is healthy" in type_.said


def test_a_verification_changes_nothing_and_records_no_rollback(terminal: At) -> None:
    simulation = smoking(healthy(), 0)
    assert terminal(simulation)("verify", "production", "--rounds", "3") == 0
    assert simulation.changes() == []
    assert list(simulation.ledger.history(SERVICE)) == []
    assert count_tasks(simulation) == 0


def test_a_failed_check_has_exit_code_1_and_starts_no_rollback_unless_asked(terminal: At) -> None:
    simulation = broken()
    type_ = terminal(simulation)
    assert type_("verify", "production") == 1
    assert "endpoint-answers /health\tfail\tanswered 500, expected 200" in type_.output
    assert list(simulation.ledger.history(SERVICE)) == []


def test_a_check_without_permission_is_not_looked_at_and_has_exit_code_3(terminal: At) -> None:
    simulation = healthy()
    denied = DenyingPort(simulation.alarms, "states", refused=access_denied_error("states"))
    simulation.replace(alarms=denied)
    type_ = terminal(simulation)
    assert type_("verify", "production", "--rollback-on-failure", "--direct") == 3
    assert "alarms-are-ok\tnot looked at\t" in type_.output
    assert list(simulation.ledger.history(SERVICE)) == []


def test_a_failure_counts_although_another_check_has_no_permission(terminal: At) -> None:
    simulation = broken()
    simulation.replace(alarms=DenyingPort(simulation.alarms, "states", refused=access_denied_error("states")))
    assert terminal(simulation)("verify", "production") == 1


def test_a_failure_that_ends_within_the_timeout_is_no_failure(terminal: At) -> None:
    simulation = broken()
    type_ = terminal(simulation)

    class Recovering:
        asked = 0

        def get(self, url: str, timeout_seconds: float, *, with_body: bool = False) -> ProbeResult:
            self.asked += 1
            return BROKEN if self.asked < 3 else simulation.http._of_site(url)

    simulation.replace(http=Recovering())
    assert type_("verify", "production", "--timeout-minutes", "5", "--rounds", "2") == 0
    assert "round 1: endpoint-answers /health failed" in type_.said


@pytest.mark.parametrize(("exit_code", "code"), [(0, 0), (3, 1)])
def test_the_smoke_command_runs_only_if_asked_and_decides(terminal: At, exit_code: int, code: int) -> None:
    simulation = smoking(healthy(), exit_code)
    assert terminal(simulation)("verify", "production", "--smoke") == code
    assert count_tasks(simulation) == 1


def test_a_pipeline_waits_until_the_deployment_has_settled(terminal: At) -> None:
    simulation = Simulation()
    simulation.ship("v1", PROMOTED, hours_ago=48)
    simulation.alarms.in_alarm.clear()
    simulation.begin_deployment("v2")
    type_ = terminal(simulation)
    assert type_("verify", "production", "--wait") == 0, type_.said
    assert simulation.running() == image("v2")
    assert "deployment-is-settled\tpass\t" in type_.output
    assert "round 3: no check failed" in type_.said


def test_a_failed_health_check_rolls_the_release_back_and_has_exit_code_1(terminal: At) -> None:
    simulation = broken()
    type_ = terminal(simulation)

    class BrokenRelease:
        def get(self, url: str, timeout_seconds: float, *, with_body: bool = False) -> ProbeResult:
            return BROKEN if simulation.running() == image("v2") else simulation.http._of_site(url)

    simulation.replace(http=BrokenRelease())
    assert type_("verify", "production", "--rollback-on-failure", "--direct") == 1
    (rollback,) = simulation.ledger.history(SERVICE)
    assert (rollback.outcome, rollback.trigger) == (Outcome.SUCCEEDED, Trigger.HEALTH_CHECK)
    assert rollback.request.requested_by == "ann@desk"
    assert "endpoint-answers /health: answered 500" in rollback.request.reason
    assert simulation.running() == image("v1")


def test_the_start_of_a_rollback_carries_a_proof_of_who_starts_it(
    terminal: At, monkeypatch: pytest.MonkeyPatch
) -> None:
    simulation = broken()
    type_ = terminal(simulation)
    proven: list[Any] = []

    def add_proof(given: Any, execution: str) -> Any:
        proven.append((given["trigger"], execution))
        return given

    monkeypatch.setattr(follow, "with_proof", add_proof)
    type_("verify", "production", "--rollback-on-failure", "--direct")
    (rollback,) = simulation.ledger.history(SERVICE)
    assert proven == [(Trigger.HEALTH_CHECK, rollback.execution)]


def test_a_rollback_that_does_not_succeed_has_exit_code_4(terminal: At) -> None:
    simulation = Simulation()
    simulation.ship("v0", PROMOTED, hours_ago=96)
    simulation.ship("v1", PROMOTED, hours_ago=48)
    simulation.alarms.in_alarm.clear()
    simulation.http.answers[HEALTH] = BROKEN
    type_ = terminal(simulation)
    assert type_("verify", "production", "--rollback-on-failure", "--direct") == 4
    assert "not the release" in type_.said
    assert simulation.running() == image("v1")


def test_json_has_the_checks_and_the_rollback_and_the_progress_stays_out_of_it(terminal: At) -> None:
    simulation = broken()
    type_ = terminal(simulation)
    assert type_("verify", "production", "--rollback-on-failure", "--direct", "--output", "json") == 4
    document = json.loads(type_.output)
    (rollback,) = simulation.ledger.history(SERVICE)
    assert (document["verdict"], document["rounds"]) == ("failed", 1)
    assert document["rollback"]["id"] == rollback.id
    assert document["rollback"]["outcome"] == rollback.outcome
    assert "round 1: endpoint-answers /health failed" in type_.said


def test_json_has_the_checks_even_if_the_rollback_can_not_be_started(
    terminal: At, monkeypatch: pytest.MonkeyPatch
) -> None:
    simulation = broken()
    type_ = terminal(simulation)

    def fail(*_: Any, **__: Any) -> Any:
        raise ExternalServiceError("Step Functions does not answer")

    monkeypatch.setattr(verify, "start_execution", fail)
    monkeypatch.setattr(verify, "with_proof", lambda given, _: given)
    assert type_("verify", "production", "--rollback-on-failure", "--no-wait-rollback", "--output", "json") == 1
    document = json.loads(type_.output)
    assert document["verdict"] == "failed"
    assert (document["rollback"], document["rollback_remark"]) == (None, "Step Functions does not answer")


def test_a_pipe_has_the_checks_only_and_a_terminal_has_the_progress_too(terminal: At) -> None:
    type_ = terminal(healthy())
    type_("verify", "production")
    assert "round 1" not in type_.output
    type_.in_terminal("verify", "production")
    assert type_.output.startswith("round 1: no check failed\n")
    assert type_.output.endswith(f"{SERVICE} is healthy\n")


def test_an_unknown_service_is_refused(terminal: At) -> None:
    assert terminal(healthy())("verify", "production", "--service", "wroker") == 2
