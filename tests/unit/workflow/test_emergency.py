"""Emergency: from the standing plan to ECS in one invocation, with ECS and the ledger only."""

import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from simulations.fake_ports import OUTAGE
from simulations.service import PROMOTED, QUARANTINED, Simulation, start_simulation
from support.builders import SERVICE, image
from support.stand_ins import RecordingPort, UnavailablePort

from rollback.check import Verdict
from rollback.domain.operator import Pause
from rollback.domain.releases.release import ReleaseState
from rollback.domain.rollback import Outcome
from rollback.domain.settings.policy import Policy
from rollback.promotion.readiness import prepare_standing_plan
from rollback.workflow.route import Step, next_step

LAMBDAS = Path(__file__).parents[3] / "lambdas"


def simulation_with_standing_plan(**parts: Any) -> Simulation:
    """Return a simulation in which v1 is promoted and in the standing plan, and v2 runs."""
    simulation = start_simulation(**parts)
    prepare_standing_plan(SERVICE, simulation.ports)
    simulation.services.calls.clear()
    return simulation


def test_the_first_update_is_sent_in_the_first_invocation() -> None:
    simulation = simulation_with_standing_plan()
    first_rollback = simulation.admit(simulation.fire_alarm(OUTAGE))
    assert [name for name, _ in simulation.services.calls] == ["update"]  # nothing had to be registered
    assert simulation.running() == image("v1")
    assert first_rollback.has_acted
    assert simulation.run(simulation.fire_alarm(OUTAGE)).outcome is Outcome.SUCCEEDED


def test_the_plan_comes_from_one_item_of_the_ledger_and_from_no_list_of_releases() -> None:
    simulation = simulation_with_standing_plan()
    ledger = RecordingPort(simulation.ledger)
    simulation.replace(ledger=ledger)
    simulation.admit(simulation.fire_alarm(OUTAGE))
    assert ledger.called.count("standing_plan") <= 2  # the plan, and the definition registered for it
    assert "releases" not in ledger.called


def test_an_emergency_needs_ecs_and_the_ledger_only() -> None:
    simulation = simulation_with_standing_plan()
    event = simulation.fire_alarm(OUTAGE)
    unavailable_ports = (
        "target_groups",
        "scaling",
        "stacks",
        "secrets",
        "images",
        "alarms",
        "http",
        "notifications",
        "workflow",
    )
    simulation.replace(**{part: UnavailablePort(part) for part in (*unavailable_ports, "neon", "sql")})
    first_rollback = simulation.admit(event)
    assert first_rollback.has_acted
    rollback = simulation.run_until(first_rollback, until=Step.VERIFY)
    assert next_step(rollback) is Step.VERIFY
    assert simulation.running() == image("v1")
    check = simulation.check(first_rollback, "alarm-is-in-alarm")
    assert (check.verdict, "the event is believed" in check.reason) == (Verdict.WARN, True)


def test_the_service_function_imports_neither_httpx_nor_psycopg() -> None:
    program = """
import sys
import rollback.functions.service, rollback.bootstrap, rollback.planning.emergency, rollback.service.reconciler
import rollback.adapters.aws.ecs.client
assert not {"httpx", "psycopg"} & set(sys.modules), sorted(sys.modules)
"""
    subprocess.run([sys.executable, "-c", program], check=True, env={"PYTHONPATH": str(LAMBDAS)}, timeout=60)


def test_an_emergency_without_a_standing_plan_reads_the_releases() -> None:
    simulation = start_simulation()
    first_rollback = simulation.admit(simulation.fire_alarm(OUTAGE))
    assert simulation.running() == image("v1")
    assert simulation.check(first_rollback, "target-is-in-standing-plan").verdict is Verdict.WARN


def test_an_emergency_without_a_promoted_release_changes_nothing_and_pages() -> None:
    simulation = Simulation()
    simulation.ship("v1")
    prepare_standing_plan(SERVICE, simulation.ports)
    simulation.services.calls.clear()
    rollback = simulation.run_alarm_rollback(OUTAGE)
    assert rollback.outcome is Outcome.REFUSED
    assert simulation.services.calls == []
    assert "there is no release to go back to" in simulation.pages()[0]


def test_a_release_that_was_quarantined_since_the_plan_was_computed_is_no_target() -> None:
    """A quarantine removes the release from the standing plan first, so that the plan alone suffices."""
    simulation = Simulation()
    simulation.ship("v0", PROMOTED, hours_ago=72)
    simulation.ship("v1", PROMOTED, hours_ago=1)
    simulation.ship("v2")
    prepare_standing_plan(SERVICE, simulation.ports)
    simulation.run_alarm_rollback()  # v2 → v1
    simulation.healthy_versions.clear()
    simulation.pass_time(hours=3)
    simulation.ship("v1", PROMOTED, hours_ago=1)
    rollback = simulation.run({"type": "emergency"}, "by-hand")
    assert rollback.plan is not None
    assert rollback.plan.target is not None
    assert rollback.plan.target.version == "v0"


def test_an_emergency_of_a_paused_service_is_suppressed() -> None:
    simulation = simulation_with_standing_plan()
    simulation.ledger.put_pause(Pause(service=SERVICE, since=simulation.clock.now(), by="ada", reason="failover drill"))
    rollback = simulation.run_alarm_rollback(OUTAGE)
    assert (rollback.outcome, simulation.services.calls) == (Outcome.SUPPRESSED, [])


def test_only_an_operator_replaces_an_old_promoted_release_in_an_outage() -> None:
    simulation = Simulation()
    simulation.ship("v0", PROMOTED, hours_ago=72)
    simulation.ship("v1", PROMOTED, hours_ago=48)
    prepare_standing_plan(SERVICE, simulation.ports)
    rollback = simulation.run_alarm_rollback(OUTAGE)
    assert rollback.outcome is Outcome.SUPPRESSED
    assert "not the release" in simulation.pages()[0]  # rule 11: `outage` is never mute
    simulation.pass_time(minutes=1)
    assert simulation.run({"type": "emergency", "reason": "I know"}, "by-hand").outcome is Outcome.SUCCEEDED
    assert simulation.running() == image("v0")


def test_an_environment_in_observe_mode_does_not_act_in_an_emergency() -> None:
    simulation = simulation_with_standing_plan(policy=Policy(mode="observe"))
    rollback = simulation.run_alarm_rollback(OUTAGE)
    assert (rollback.outcome, simulation.services.calls) == (Outcome.PLANNED, [])


def test_an_unrecorded_release_that_an_emergency_replaced_is_recorded_and_quarantined() -> None:
    simulation = Simulation()
    simulation.ship("v1", PROMOTED, hours_ago=48)
    prepare_standing_plan(SERVICE, simulation.ports)
    simulation.begin_deployment("v2")
    simulation.pass_time(seconds=20)
    simulation.pass_time(seconds=20)
    simulation.run_alarm_rollback(OUTAGE)
    assert next(simulation.ledger.releases(SERVICE)).state is ReleaseState.QUARANTINED


def test_an_operator_s_emergency_to_a_quarantined_version_needs_force() -> None:
    simulation = Simulation()
    simulation.ship("v0", QUARANTINED, hours_ago=72)
    simulation.ship("v1", PROMOTED, hours_ago=1)
    refused_rollback = simulation.run({"type": "emergency", "target_version": "v0"}, "one")
    assert refused_rollback.outcome is Outcome.REFUSED
    forced = simulation.run({"type": "emergency", "target_version": "v0", "force": True}, "two")
    assert forced.outcome is Outcome.SUCCEEDED


@pytest.mark.parametrize(
    "execution_input", [{"type": "emergency", "servise": "x"}, {"type": "emergency", "service": "nope"}]
)
def test_a_typo_in_an_emergency_is_reported_and_changes_nothing(execution_input: dict[str, Any]) -> None:
    simulation = simulation_with_standing_plan()
    with pytest.raises(Exception, match="nothing was changed"):
        simulation.admit(execution_input)
    assert simulation.services.calls == []
    assert list(simulation.ledger.history(SERVICE)) == []
