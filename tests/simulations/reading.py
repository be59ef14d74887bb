"""Simulations for the verbs that read: the same facts at each run."""

from simulations.service import PROMOTED, Simulation
from support.builders import SERVICE, image
from support.reported_rollbacks import succeeded

from rollback.domain.operator import Operator
from rollback.errors import UnreadableItem
from rollback.operations.pause_abort_unlock import pause
from rollback.promotion.readiness import prepare_standing_plan

UNREADABLE_ID = f"{SERVICE}-20260228T010000000Z-0badf00d"


def rolled_back() -> Simulation:
    """A service that an alarm rolled back from v2 to v1; the image of the oldest release has expired."""
    simulation = Simulation()
    simulation.ship("v0", PROMOTED, hours_ago=96)
    simulation.ship("v1", PROMOTED, hours_ago=48)
    simulation.ship("v2")
    prepare_standing_plan(SERVICE, simulation.ports)
    simulation.run()
    simulation.images.missing.add(image("v0"))
    simulation.ledger.create(succeeded())
    return simulation


def in_trouble() -> Simulation:
    """A service without a ready target, which an operator has paused."""
    simulation = Simulation()
    simulation.ship("v1", PROMOTED, hours_ago=48)
    simulation.ship("v2")
    simulation.images.missing.add(image("v1"))
    prepare_standing_plan(SERVICE, simulation.ports)
    reason = "the database is being moved to another region, which takes until Monday evening"
    pause(SERVICE, Operator(name="ann@desk", reason=reason), simulation.ports)
    simulation.clock.pass_time(minutes=90)
    return simulation


def with_duplicates(count: int) -> Simulation:
    """A service whose rollback was started again, by the same event, and whose oldest record can't be read."""
    simulation = Simulation()
    simulation.ship("v1", PROMOTED, hours_ago=48)
    simulation.ship("v2")
    simulation.run()
    for number in range(count):
        simulation.clock.pass_time(seconds=1)
        simulation.admit(execution=f"again-{number}")
    add_unreadable_record(simulation)
    return simulation


def add_unreadable_record(simulation: Simulation) -> None:
    """Append a record that this version can't read, as the oldest of the service."""
    read = simulation.ledger.records

    def records(service: str, before: str | None = None) -> object:
        yield from read(service, before)
        if before is None or before > UNREADABLE_ID:
            yield UnreadableItem(f"SERVICE#{service} / ROLLBACK#{UNREADABLE_ID}", "a newer version wrote it")

    simulation.ledger.records = records  # type: ignore[method-assign, assignment]
