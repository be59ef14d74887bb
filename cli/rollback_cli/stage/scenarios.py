"""The stories that the demo plays. Nobody sets an alarm or starts a rollback in them: a bad release is all it takes."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from rollback_cli.stage.stage import Stage
from rollback_cli.stage.timeline import Timeline
from rollback_cli.stage.waiting import until

GOOD_VERSION, BAD_VERSION = "v1.0.0", "v1.1.0"


@dataclass(frozen=True)
class Scenario:
    """`bad` is how the second release behaves; `story` says it in words."""

    story: str
    bad: dict[str, Any]


SCENARIOS = {
    "bad-release": Scenario(
        "v1.1.0 passes its health checks and answers 60 % of its requests with HTTP 500",
        {"kind": "errors", "rate": 0.6},
    ),
    "failed-deployment": Scenario(
        "v1.1.0 crashes at start: ECS's circuit breaker fails its deployment and goes back by itself",
        {"kind": "crash", "after_seconds": 0.2},
    ),
}


def play(scenario: Scenario, stage: Stage, timeline: Timeline) -> str:
    """Ship the good release, see it promoted, ship the bad one. Returns the digest of the good one's image."""
    digest = stage.push(GOOD_VERSION, {"kind": "healthy"})
    stage.push(BAD_VERSION, scenario.bad)
    timeline.say(f"ship {GOOD_VERSION}", "head")
    stage.ship(GOOD_VERSION, desired_count=2)
    until("the good release serves", lambda: stage.is_settled() and digest in stage.running_digests(), 30)
    stage.start_load()
    timeline.say("traffic flows; the release bakes")
    until(f"{GOOD_VERSION} is promoted", _is_promoted(stage), 45)
    timeline.say(f"ship {BAD_VERSION}: {scenario.story}", "head")
    stage.ship(BAD_VERSION)
    return digest


def _is_promoted(stage: Stage) -> Callable[[], bool]:
    ledger = stage.deployed.world().ledger
    return lambda: any(r.state == "promoted" for r in ledger.releases(stage.service.name))
