"""Steps of the function `database`: Database, Reconnect and Data Loss."""

from datetime import datetime, timedelta

from rollback.database.data_loss.step import compare_lost_rows
from rollback.database.reconnection.step import announces_reconnection, reconnect
from rollback.database.step import database
from rollback.domain.rollback import Rollback
from rollback.intents.announce import has_new_intent
from rollback.ports.all_ports import AllPorts
from rollback.workflow.route import Step
from rollback.workflow.step_runner import StepAction, StepRunner


def _end_of_function(ports: AllPorts) -> datetime:
    return ports.clock.now() + timedelta(seconds=ports.settings.policy.database_timeout_seconds)


def _lease_until_database_is_changed(before: Rollback, after: Rollback, ports: AllPorts) -> datetime | None:
    return _end_of_function(ports) if has_new_intent(before, after) else None


def _lease_until_connections_are_renewed(before: Rollback, after: Rollback, ports: AllPorts) -> datetime | None:
    return _end_of_function(ports) if announces_reconnection(before, after) else None


DATABASE_STEPS = {
    Step.DATABASE: StepAction(database, _lease_until_database_is_changed),
    Step.RECONNECT: StepAction(reconnect, _lease_until_connections_are_renewed),
    Step.DATA_LOSS: StepAction(compare_lost_rows),
}
DATABASE_RUNNER = StepRunner(DATABASE_STEPS)
