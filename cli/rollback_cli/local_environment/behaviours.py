"""Behaviours that a release of `rollback local ship` can have, and the events that follow each of them."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from rollback.errors import InvalidRequest

HEALTHY = "healthy"
_ERROR_RATE = 0.6
_SLOW_SECONDS = 5
# In simulated seconds: half a minute of this machine's time, longer than the bake.
_DECAY_SECONDS = 600
_OUTAGE = (
    "The alarm `outage` starts an emergency rollback. It changes ECS in its first invocation, and goes on until the "
    "load balancer has healthy targets."
)
_FAILED_DEPLOYMENT = (
    "ECS's circuit breaker fails the deployment, and ECS rolls it back. The rollback adopts ECS's own one, if that "
    "goes to the last known good release, and quarantines the new release."
)


@dataclass(frozen=True)
class Behaviour:
    """Behaviour of a release.

    Attributes:
        description: what the release does, in words.
        expectation: the events that follow its deployment, under traffic and with a promoted release to go back to.
        image: the behaviour as the embedded application reads it.
        is_good: whether the release can be promoted.
    """

    description: str
    expectation: str
    image: Mapping[str, Any]
    is_good: bool = False


BEHAVIOURS: Mapping[str, Behaviour] = {
    HEALTHY: Behaviour(
        "answers every request",
        "It bakes, and is promoted: from then on it is the last known good release, the target of the next rollback.",
        {"kind": "healthy"},
        is_good=True,
    ),
    "errors": Behaviour(
        f"passes its health checks, and answers {_ERROR_RATE:.0%} of its requests with HTTP 500",
        "The alarm `degraded` starts a rollback of the service, by the error rate of the load balancer.",
        {"kind": "errors", "rate": _ERROR_RATE},
    ),
    "slow": Behaviour(
        f"passes its health checks, and takes {_SLOW_SECONDS} s for each answer",
        "The alarm `degraded` starts a rollback of the service, by the latency of the load balancer.",
        {"kind": "slow", "seconds": _SLOW_SECONDS},
    ),
    "crash": Behaviour("ends right after its start", _FAILED_DEPLOYMENT, {"kind": "crash", "after_seconds": 0.2}),
    "unhealthy": Behaviour("fails its health checks", _FAILED_DEPLOYMENT, {"kind": "unhealthy"}),
    "decays": Behaviour(
        "answers every request for half a minute, then fails every request and every health check",
        f"It may be promoted first. {_OUTAGE}",
        {"kind": "decays", "after_seconds": _DECAY_SECONDS},
    ),
    "locks": Behaviour(
        "behaves as `decays`, and leaves a lock that makes the older release fail too, until no task runs",
        f"It may be promoted first. {_OUTAGE} The older release does not recover, so the rollback escalates to a "
        "restart from zero tasks.",
        {"kind": "locks", "after_seconds": _DECAY_SECONDS},
    ),
}


def find_behaviour(name: str) -> Behaviour:
    """Return the behaviour of a name.

    Raises:
        InvalidRequest: there is no such behaviour.
    """
    behaviour = BEHAVIOURS.get(name)
    if behaviour is None:
        raise InvalidRequest(
            f"--behaves {name!r} is not known; choose one of {', '.join(BEHAVIOURS)} "
            "(`rollback local ship --help` explains each); nothing was shipped"
        )
    return behaviour


def with_statements(behaviour: Behaviour, statements: Mapping[str, str]) -> Behaviour:
    """Add the SQL statements of each request to a behaviour.

    Args:
        behaviour: behaviour of the release.
        statements: `reads` and `writes`, as the embedded application reads them.
    """
    return replace(behaviour, image={**behaviour.image, **statements})


def help_text() -> str:
    """Return a line for each behaviour, for the help of the command."""
    return "; ".join(f"{name}: {behaviour.description}" for name, behaviour in BEHAVIOURS.items())
