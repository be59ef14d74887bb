"""An emergency after a rollback that the schema escalated to a full one: the service alone does not fit."""

from simulations.database import AFTER, BAD, BRANCH, DROPS, FIRST, GOOD, DatabaseSimulation, applied
from simulations.fake_ports import OUTAGE
from support.builders import image

from rollback.domain.request import RollbackType
from rollback.domain.rollback import Outcome
from rollback.workflow.route import Step


def test_an_emergency_after_an_escalated_rollback_that_crashed_before_its_fence_checks_the_schema_again() -> None:
    simulation = DatabaseSimulation()
    crashed_rollback = simulation.run_until(simulation.admit({"type": "service"}), until=Step.DATABASE)
    assert (crashed_rollback.request.type, crashed_rollback.escalated_from_type) == (
        RollbackType.FULL,
        RollbackType.SERVICE,
    )
    simulation.neon.migrate(BRANCH, AFTER, applied(FIRST, DROPS))
    simulation.pass_time(minutes=simulation.policy.lease_minutes + 1)
    rollback = simulation.read(simulation.run_alarm_rollback(OUTAGE))
    assert rollback.continues_rollback_id == crashed_rollback.id
    assert (simulation.running(), simulation.rows()) != (image("v1"), [*GOOD, *BAD]), rollback.reason
    assert rollback.outcome is Outcome.SUCCEEDED
    assert rollback.escalated_from_type is RollbackType.EMERGENCY
    assert (simulation.running(), simulation.rows()) == (image("v1"), GOOD)
