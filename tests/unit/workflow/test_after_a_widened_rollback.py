"""An emergency after a rollback that the schema escalated to a full one: the service alone does not fit."""

from simulations.database import AFTER, BAD, BRANCH, DROPS, FIRST, GOOD, DatabaseSimulation, applied
from simulations.fake_ports import OUTAGE
from support.builders import image

from rollback.domain.request import RollbackType
from rollback.domain.rollback import Outcome
from rollback.workflow.route import Step


def test_an_emergency_after_a_full_rollback_that_crashed_before_its_fence_judges_the_schema_again() -> None:
    simulation = DatabaseSimulation()
    died = simulation.run_until(simulation.admit({"type": "service"}), until=Step.DATABASE)
    assert (died.request.type, died.escalated_from_type) == (RollbackType.FULL, RollbackType.SERVICE)
    simulation.neon.migrate(BRANCH, AFTER, applied(FIRST, DROPS))
    simulation.pass_time(minutes=simulation.policy.lease_minutes + 1)
    ended = simulation.read(simulation.run_alarm_rollback(OUTAGE))
    assert ended.continues_rollback_id == died.id
    assert (simulation.running(), simulation.rows()) != (image("v1"), [*GOOD, *BAD]), ended.reason
    assert ended.outcome is Outcome.SUCCEEDED
    assert ended.escalated_from_type is RollbackType.EMERGENCY
    assert (simulation.running(), simulation.rows()) == (image("v1"), GOOD)
