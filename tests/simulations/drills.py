"""Simulation of a healthy service on which drills may run: v2 is promoted and old enough, and v1 is its target."""

from typing import Any

from simulations.database import DatabaseSimulation
from simulations.service import PROMOTED, Simulation
from support.builders import NOW, SERVICE

from rollback.check import Check
from rollback.domain.drills.completed_drill import CompletedDrill
from rollback.domain.releases.release import Release
from rollback.domain.settings.drills import DrillSettings
from rollback.domain.standing_plan import StandingPlan, StandingTarget
from rollback.names import degraded_alarm, outage_alarm

ALLOWED = DrillSettings(allow_production_drills=True, schedule="rate(7 days)")
READY = (Check.passed("image-exists", "the image is in the registry"),)


def start_drill_simulation(**parts: Any) -> Simulation:
    """Ship v1 and v2, both promoted long ago; no alarm is in ALARM."""
    simulation = Simulation(**parts)
    v1 = simulation.ship("v1", PROMOTED, hours_ago=96)
    v2 = simulation.ship("v2", PROMOTED, hours_ago=48)
    simulation.healthy_versions = {"v1", "v2"}
    prepare_for_drills(simulation, v2, v1)
    return simulation


def start_database_drill_simulation(**database: Any) -> DatabaseSimulation:
    """Let the service with a database run v2 for long, without an incident."""
    simulation = DatabaseSimulation(**database)
    releases = {release.version: release for release in simulation.ledger.releases(SERVICE)}
    simulation.clock.pass_time(hours=6)
    v2 = simulation.ledger.set_release_state(releases["v2"], PROMOTED, simulation.clock.now(), "baked")
    simulation.healthy_versions = {"v1", "v2"}
    prepare_for_drills(simulation, v2, releases["v1"])
    return simulation


def prepare_for_drills(simulation: Simulation, running: Release, target: Release) -> None:
    """Allow drills, turn all alarms to OK, and compute a standing plan in which the target is ready."""
    settings = simulation.ports.settings.model_copy(update={"drills": ALLOWED})
    simulation.replace(settings=settings)
    prefix = settings.prefix
    for alarm in list(simulation.alarms.in_alarm):
        simulation.alarms.recover(alarm)
    for alarm in (degraded_alarm(prefix, SERVICE), outage_alarm(prefix, SERVICE)):
        simulation.alarms.fire(alarm, NOW)
        simulation.alarms.recover(alarm)
    targets = tuple(
        StandingTarget(release=release, definition_arn=release.definition_arn, checks=READY)
        for release in (running, target)
    )
    at = simulation.clock.now()
    simulation.ledger.put_standing_plan(
        StandingPlan(service=SERVICE, targets=targets, readiness=READY, computed_at=at, database_seen_at=at)
    )


def drill_request(scenario: str = "service", **fields: Any) -> dict[str, Any]:
    """Build the input by which an operator or the schedule starts a drill."""
    return {"type": scenario, "drill": True, **fields}


def last_drill(simulation: Simulation) -> CompletedDrill | None:
    """Read the last successful drill from the ledger."""
    return simulation.ledger.last_drill(SERVICE)
