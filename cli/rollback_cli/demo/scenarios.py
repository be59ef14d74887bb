"""The scenarios of the demo. A scenario ships a bad release and sets no alarm; only people start a rollback by hand."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from rollback_cli.demo import expected_outcomes
from rollback_cli.demo.database.seed import BAD_RELEASE_WRITES, IMPORTED_USERS
from rollback_cli.demo.expected_outcomes import ExpectedOutcome
from rollback_cli.demo.people import ROLE_NAME, two_people_decide
from rollback_cli.demo.profile import WITHOUT_APPROVALS
from rollback_cli.demo.timeline.timeline import Timeline
from rollback_cli.demo.waiting import wait_until

if TYPE_CHECKING:  # see `expected_outcomes`
    from rollback_cli.demo.environment import DemoEnvironment

GOOD_VERSION, BAD_VERSION = "v1.0.0", "v1.1.0"
_GOOD_RELEASE_WRITES = "INSERT INTO users (email, name) VALUES (gen_random_uuid() || '@example.com', 'by v1.0.0')"


@dataclass(frozen=True)
class Scenario:
    """A bad release, what precedes it, and how its rollback must end.

    Attributes:
        description: the behaviour of v1.1.0 in words.
        bad_behaviour: the behaviour of v1.1.0, as the embedded application reads it.
        expected_outcome: how the scenario must end.
        has_good_release: whether v1.0.0 is shipped and promoted before v1.1.0.
        has_autoscaling: whether Application Auto Scaling scales the service.
        good_behaviour: the behaviour of v1.0.0.
        migrations: how many of the repository's migrations v1.0.0 has, and v1.1.0; None: the service has no database.
        policy: settings that replace those of the demo's profile.
        approval: settings of approvals.
        release_watch: settings of the watch over fresh releases; the profile's turn the watch off.
        people: what people do after v1.1.0 was shipped; None: alarms and deployments alone start the rollback.
    """

    description: str
    bad_behaviour: dict[str, Any]
    expected_outcome: ExpectedOutcome
    has_good_release: bool = True
    has_autoscaling: bool = False
    good_behaviour: dict[str, Any] = field(default_factory=lambda: {"kind": "healthy"})
    migrations: tuple[int, int] | None = None
    policy: Mapping[str, Any] = field(default_factory=dict)
    approval: Mapping[str, Any] = field(default_factory=lambda: WITHOUT_APPROVALS)
    release_watch: Mapping[str, Any] = field(default_factory=dict)
    people: Callable[["DemoEnvironment", Timeline], None] | None = None


SCENARIOS = {
    "bad-release": Scenario(
        "v1.1.0 passes its health checks and answers 60 % of its requests with HTTP 500",
        {"kind": "errors", "rate": 0.6},
        expected_outcomes.RECOVERED,
    ),
    "fresh-release": Scenario(
        "v1.1.0 answers 40 % of its requests with HTTP 500; the watch over fresh releases notices it before any alarm",
        {"kind": "errors", "rate": 0.4},
        expected_outcomes.RECOVERED_BY_WATCH,
        release_watch={"watch_minutes": 0.25},
    ),
    "failed-deployment": Scenario(
        "v1.1.0 crashes at start; ECS's circuit breaker fails its deployment and rolls it back",
        {"kind": "crash", "after_seconds": 0.2},
        expected_outcomes.RECOVERED,
    ),
    "outage": Scenario(
        "v1.1.0 is deployed, and soon afterwards fails every request and every health check",
        {"kind": "decays", "after_seconds": 100},
        expected_outcomes.RECOVERED_BY_EMERGENCY,
    ),
    "stuck-lock": Scenario(
        "v1.1.0 fails soon after its deployment, and leaves a lock that lives while any task runs, so v1.0.0 fails too",
        {"kind": "locks", "after_seconds": 100},
        expected_outcomes.RECOVERED_FROM_ZERO,
        has_autoscaling=True,
    ),
    "nothing-good": Scenario(
        "v1.1.0 is the first release, answers 60 % of its requests with HTTP 500, and no release was ever promoted",
        {"kind": "errors", "rate": 0.6},
        expected_outcomes.LEFT_ALONE,
        has_good_release=False,
    ),
    "bad-migration": Scenario(
        "v1.1.0 drops a column that v1.0.0 needs, and answers 60 % of its requests with HTTP 500",
        {
            "kind": "errors",
            "rate": 0.6,
            "reads": "SELECT id FROM users ORDER BY id LIMIT 5",
            "writes": BAD_RELEASE_WRITES,
        },
        expected_outcomes.RECOVERED_WITH_DATA,
        good_behaviour={"reads": "SELECT id, email FROM users ORDER BY id LIMIT 5", "writes": _GOOD_RELEASE_WRITES},
        migrations=(1, 2),
        policy={"on_incompatible_schema": "full"},
    ),
    "approval": Scenario(
        "v1.1.0 answers every request, but its migration drops a column that v1.0.0 and the support team need",
        {"reads": "SELECT id FROM users ORDER BY id LIMIT 5", "writes": BAD_RELEASE_WRITES},
        expected_outcomes.RECOVERED_BY_TWO_PEOPLE,
        good_behaviour={"reads": "SELECT id, email FROM users ORDER BY id LIMIT 5", "writes": _GOOD_RELEASE_WRITES},
        migrations=(1, 2),
        approval={"four_eyes": True, "approvers": [f"arn:aws:iam::*:role/{ROLE_NAME}"]},
        people=two_people_decide,
    ),
}


def run_scenario(scenario: Scenario, environment: "DemoEnvironment", timeline: Timeline) -> None:
    """Ship the good release and wait until it is promoted, if the scenario has one; then ship the bad release."""
    if scenario.has_good_release:
        environment.push(GOOD_VERSION, scenario.good_behaviour)
        timeline.say(f"ship {GOOD_VERSION}", "head")
        if scenario.migrations:
            environment.prepare_database(GOOD_VERSION, scenario.migrations[0])
        _ship_first_release(GOOD_VERSION, environment)
        timeline.say("traffic has started; the release bakes")
        wait_until(f"{GOOD_VERSION} is promoted", _promotion_condition(environment), 180)
    if scenario.has_autoscaling:
        environment.register_autoscaling()
    environment.push(BAD_VERSION, scenario.bad_behaviour)
    timeline.say(f"ship {BAD_VERSION}\n{scenario.description}", "head")
    if scenario.migrations:
        environment.prepare_database(BAD_VERSION, scenario.migrations[1])
    if scenario.has_good_release:
        environment.ship(BAD_VERSION)
        if environment.database is not None:
            environment.database.write_from_other_systems()
            timeline.say(f"other systems import {IMPORTED_USERS} users, and write three invoices to another database")
    else:
        _ship_first_release(BAD_VERSION, environment)
        timeline.say("traffic has started")
    if scenario.people is not None:
        scenario.people(environment, timeline)


def _ship_first_release(version: str, environment: "DemoEnvironment") -> None:
    environment.ship(version, desired_count=2)
    wait_until(f"{version} serves requests", environment.is_settled, 120)
    environment.start_load()


def _promotion_condition(environment: "DemoEnvironment") -> Callable[[], bool]:
    ledger = environment.ports.ledger
    return lambda: any(r.state == "promoted" for r in ledger.releases(environment.service.name))
