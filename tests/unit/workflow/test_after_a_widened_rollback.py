"""An emergency after a rollback that the schema escalated to a full one: the service alone does not fit."""

from simulations.database import AFTER, BAD, BRANCH, DROPS, FIRST, GOOD, DatabaseSimulation, applied
from simulations.worlds import OUTAGE
from support.builders import image

from rollback.domain.request import RollbackType
from rollback.domain.rollback import Outcome
from rollback.workflow.route import Step


def test_an_emergency_after_a_full_rollback_that_crashed_before_its_fence_judges_the_schema_again() -> None:
    stage = DatabaseSimulation()
    died = stage.run_until(stage.admit({"type": "service"}), until=Step.DATABASE)
    assert (died.request.type, died.escalated_from_type) == (RollbackType.FULL, RollbackType.SERVICE)
    stage.neon.migrate(BRANCH, AFTER, applied(FIRST, DROPS))
    stage.pass_time(minutes=stage.policy.lease_minutes + 1)
    ended = stage.read(stage.run_alarm_rollback(OUTAGE))
    assert ended.supersedes == died.id
    assert (stage.running(), stage.rows()) != (image("v1"), [*GOOD, *BAD]), ended.reason
    assert ended.outcome is Outcome.SUCCEEDED
    assert ended.escalated_from_type is RollbackType.EMERGENCY
    assert (stage.running(), stage.rows()) == (image("v1"), GOOD)
