"""Emergency: from the standing plan to ECS in one invocation, with ECS and the ledger only."""

import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from simulations.service import PROMOTED, QUARANTINED, Simulation, start_simulation
from simulations.worlds import OUTAGE
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


def prepared(**parts: Any) -> Simulation:
    """v1 is promoted and in the standing plan, v2 runs."""
    stage = start_simulation(**parts)
    prepare_standing_plan(SERVICE, stage.world)
    stage.services.calls.clear()
    return stage


def test_the_first_update_is_sent_in_the_first_invocation() -> None:
    stage = prepared()
    first = stage.admit(stage.fire_alarm(OUTAGE))
    assert [name for name, _ in stage.services.calls] == ["update"]  # nothing had to be registered
    assert stage.running() == image("v1")
    assert first.has_acted
    assert stage.run(stage.fire_alarm(OUTAGE)).outcome is Outcome.SUCCEEDED


def test_the_plan_comes_from_one_item_of_the_ledger_and_from_no_list_of_releases() -> None:
    stage = prepared()
    ledger = RecordingPort(stage.ledger)
    stage.replace(ledger=ledger)
    stage.admit(stage.fire_alarm(OUTAGE))
    assert ledger.called.count("standing_plan") <= 2  # the plan, and the definition registered for it
    assert "releases" not in ledger.called


def test_an_emergency_needs_ecs_and_the_ledger_only() -> None:
    stage = prepared()
    event = stage.fire_alarm(OUTAGE)
    others = ("targets", "scaling", "stacks", "secrets", "images", "alarms", "http", "notifications", "workflow")
    stage.replace(**{part: UnavailablePort(part) for part in (*others, "databases", "sql")})
    first = stage.admit(event)
    assert first.has_acted
    done = stage.run_until(first, until=Step.VERIFY)
    assert next_step(done) is Step.VERIFY
    assert stage.running() == image("v1")
    believed = stage.check(first, "alarm-is-in-alarm")
    assert (believed.verdict, "the event is believed" in believed.reason) == (Verdict.WARN, True)


def test_the_service_function_imports_neither_httpx_nor_psycopg() -> None:
    program = """
import sys
import rollback.handlers, rollback.bootstrap, rollback.planning.emergency, rollback.service.reconciler
import rollback.adapters.aws.ecs.client
assert not {"httpx", "psycopg"} & set(sys.modules), sorted(sys.modules)
"""
    subprocess.run([sys.executable, "-c", program], check=True, env={"PYTHONPATH": str(LAMBDAS)}, timeout=60)


def test_an_emergency_without_a_standing_plan_reads_the_releases() -> None:
    stage = start_simulation()
    first = stage.admit(stage.fire_alarm(OUTAGE))
    assert stage.running() == image("v1")
    assert stage.check(first, "standing-plan").verdict is Verdict.WARN


def test_an_emergency_without_a_promoted_release_changes_nothing_and_pages() -> None:
    stage = Simulation()
    stage.ship("v1")
    prepare_standing_plan(SERVICE, stage.world)
    stage.services.calls.clear()
    done = stage.run_alarm_rollback(OUTAGE)
    assert done.outcome is Outcome.REFUSED
    assert stage.services.calls == []
    assert "there is no release to go back to" in stage.pages()[0]


def test_a_release_that_was_quarantined_since_the_plan_was_computed_is_no_target() -> None:
    """A quarantine removes the release from the standing plan first, so that the plan alone suffices."""
    stage = Simulation()
    stage.ship("v0", PROMOTED, hours_ago=72)
    stage.ship("v1", PROMOTED, hours_ago=1)
    stage.ship("v2")
    prepare_standing_plan(SERVICE, stage.world)
    stage.run_alarm_rollback()  # v2 → v1
    stage.healthy_versions.clear()
    stage.pass_time(hours=3)
    stage.ship("v1", PROMOTED, hours_ago=1)
    done = stage.run({"type": "emergency"}, "by-hand")
    assert done.plan is not None
    assert done.plan.target is not None
    assert done.plan.target.version == "v0"


def test_an_emergency_of_a_paused_service_is_suppressed() -> None:
    stage = prepared()
    stage.ledger.put_pause(Pause(service=SERVICE, since=stage.clock.now(), by="ada", reason="failover drill"))
    done = stage.run_alarm_rollback(OUTAGE)
    assert (done.outcome, stage.services.calls) == (Outcome.SUPPRESSED, [])


def test_in_an_outage_only_an_operator_replaces_a_proven_and_old_release() -> None:
    stage = Simulation()
    stage.ship("v0", PROMOTED, hours_ago=72)
    stage.ship("v1", PROMOTED, hours_ago=48)
    prepare_standing_plan(SERVICE, stage.world)
    done = stage.run_alarm_rollback(OUTAGE)
    assert done.outcome is Outcome.SUPPRESSED
    assert "not the release" in stage.pages()[0]  # rule 11: `outage` is never mute
    stage.pass_time(minutes=1)
    assert stage.run({"type": "emergency", "reason": "I know"}, "by-hand").outcome is Outcome.SUCCEEDED
    assert stage.running() == image("v0")


def test_an_environment_in_observe_mode_does_not_act_in_an_emergency() -> None:
    stage = prepared(policy=Policy(mode="observe"))
    done = stage.run_alarm_rollback(OUTAGE)
    assert (done.outcome, stage.services.calls) == (Outcome.PLANNED, [])


def test_an_unrecorded_release_that_an_emergency_replaced_is_recorded_and_quarantined() -> None:
    stage = Simulation()
    stage.ship("v1", PROMOTED, hours_ago=48)
    prepare_standing_plan(SERVICE, stage.world)
    stage.begin_deployment("v2")
    stage.pass_time(seconds=20)
    stage.pass_time(seconds=20)
    stage.run_alarm_rollback(OUTAGE)
    assert next(stage.ledger.releases(SERVICE)).state is ReleaseState.QUARANTINED


def test_an_operator_s_emergency_to_a_quarantined_version_needs_force() -> None:
    stage = Simulation()
    stage.ship("v0", QUARANTINED, hours_ago=72)
    stage.ship("v1", PROMOTED, hours_ago=1)
    refused = stage.run({"type": "emergency", "target_version": "v0"}, "one")
    assert refused.outcome is Outcome.REFUSED
    forced = stage.run({"type": "emergency", "target_version": "v0", "force": True}, "two")
    assert forced.outcome is Outcome.SUCCEEDED


@pytest.mark.parametrize("given", [{"type": "emergency", "servise": "x"}, {"type": "emergency", "service": "nope"}])
def test_a_typo_in_an_emergency_is_reported_and_changes_nothing(given: dict[str, Any]) -> None:
    stage = prepared()
    with pytest.raises(Exception, match="nothing was changed"):
        stage.admit(given)
    assert stage.services.calls == []
    assert list(stage.ledger.history(SERVICE)) == []
