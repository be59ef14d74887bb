"""The stories that the demo plays. Nobody sets an alarm or starts a rollback in them: a bad release is all it takes."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from rollback_cli.demo import endings
from rollback_cli.demo.data import BAD_RELEASE_WRITES, IMPORTED_USERS
from rollback_cli.demo.endings import ExpectedOutcome
from rollback_cli.demo.timeline.timeline import Timeline
from rollback_cli.demo.waiting import wait_until

if TYPE_CHECKING:  # see `endings`
    from rollback_cli.demo.stage import DemoEnvironment

GOOD_VERSION, BAD_VERSION = "v1.0.0", "v1.1.0"
_GOOD_RELEASE_WRITES = "INSERT INTO users (email, name) VALUES (gen_random_uuid() || '@example.com', 'by v1.0.0')"


@dataclass(frozen=True)
class Scenario:
    """`bad` is how v1.1.0 behaves, `description` says it in words; `has_good_release`: v1.0.0 was shipped and promoted
    before;
    `has_autoscaling`: the service is scaled automatically, as AWS does it. `good` is how v1.0.0 behaves. `migrations`:
    the
    service has a database, and so many of its repository's migrations come with v1.0.0, and with v1.1.0; `policy` goes
    over the stage's.
    """

    description: str
    bad: dict[str, Any]
    expected_outcome: ExpectedOutcome
    has_good_release: bool = True
    has_autoscaling: bool = False
    good: dict[str, Any] = field(default_factory=lambda: {"kind": "healthy"})
    migrations: tuple[int, int] | None = None
    policy: Mapping[str, Any] = field(default_factory=dict)


SCENARIOS = {
    "bad-release": Scenario(
        "v1.1.0 passes its health checks and answers 60 % of its requests with HTTP 500",
        {"kind": "errors", "rate": 0.6},
        endings.RECOVERED,
    ),
    "failed-deployment": Scenario(
        "v1.1.0 crashes at start: ECS's circuit breaker fails its deployment and goes back by itself",
        {"kind": "crash", "after_seconds": 0.2},
        endings.RECOVERED,
    ),
    "outage": Scenario(
        "v1.1.0 passes its deployment, and soon after that fails every request and every health check",
        {"kind": "decays", "after_seconds": 100},
        endings.RECOVERED_BY_EMERGENCY,
    ),
    "stuck-lock": Scenario(
        "v1.1.0 fails like that too, and leaves a lock that lives while any task runs: to go back alone does not help",
        {"kind": "locks", "after_seconds": 100},
        endings.RECOVERED_FROM_ZERO,
        has_autoscaling=True,
    ),
    "nothing-good": Scenario(
        "v1.1.0 is all there is; it answers 60 % of its requests with HTTP 500, and nothing good was ever seen",
        {"kind": "errors", "rate": 0.6},
        endings.LEFT_ALONE,
        has_good_release=False,
    ),
    "bad-migration": Scenario(
        "it drops a column that v1.0.0 can't do without, and answers 60 % of its requests with HTTP 500",
        {
            "kind": "errors",
            "rate": 0.6,
            "reads": "SELECT id FROM users ORDER BY id LIMIT 5",
            "writes": BAD_RELEASE_WRITES,
        },
        endings.RECOVERED_WITH_DATA,
        good={"reads": "SELECT id, email FROM users ORDER BY id LIMIT 5", "writes": _GOOD_RELEASE_WRITES},
        migrations=(1, 2),
        policy={"on_incompatible_schema": "full", "database_approval": "none"},
    ),
}


def run_scenario(scenario: Scenario, stage: "DemoEnvironment", timeline: Timeline) -> None:
    """Ship the good release and see it promoted, if the story has one; ship the bad one."""
    if scenario.has_good_release:
        stage.push(GOOD_VERSION, scenario.good)
        timeline.say(f"ship {GOOD_VERSION}", "head")
        if scenario.migrations:
            stage.prepare_database(GOOD_VERSION, scenario.migrations[0])
        _ship_first_release(GOOD_VERSION, stage)
        timeline.say("traffic flows; the release bakes")
        wait_until(f"{GOOD_VERSION} is promoted", _promotion_condition(stage), 180)
    if scenario.has_autoscaling:
        stage.register_autoscaling()
    stage.push(BAD_VERSION, scenario.bad)
    timeline.say(f"ship {BAD_VERSION}: {scenario.description}", "head")
    if scenario.migrations:
        stage.prepare_database(BAD_VERSION, scenario.migrations[1])
    if scenario.has_good_release:
        stage.ship(BAD_VERSION)
        if stage.database is not None:
            stage.database.write_from_other_systems()
            timeline.say(f"other systems import {IMPORTED_USERS} users, and write three invoices into another database")
    else:
        _ship_first_release(BAD_VERSION, stage)
        timeline.say("traffic flows")


def _ship_first_release(version: str, stage: "DemoEnvironment") -> None:
    stage.ship(version, desired_count=2)
    wait_until(f"{version} serves", stage.is_settled, 120)
    stage.start_load()


def _promotion_condition(stage: "DemoEnvironment") -> Callable[[], bool]:
    ledger = stage.world.ledger
    return lambda: any(r.state == "promoted" for r in ledger.releases(stage.service.name))
