"""Releases that a request may mean, each found in one request of the ledger whatever its age."""

from itertools import islice

from rollback.model.names import SYNONYMS_OF_LAST_KNOWN_GOOD
from rollback.model.release import Release, last_known_good
from rollback.model.request import Request
from rollback.steps.ports import World

_NEWEST_GOOD = 5  # promoted releases: what runs may be among them, and some may not be resolved
_FOR_THE_ANSWER = 20  # releases that an error names


def candidates(request: Request, service_name: str, running: Release, world: World) -> tuple[Release, ...]:
    """The promoted releases, or those of the name that was asked for; without any, the newest ones to be named."""
    asked = request.target_version
    if asked is not None and asked not in SYNONYMS_OF_LAST_KNOWN_GOOD:
        found = world.ledger.find(service_name, asked.partition("@")[0])
        return found or newest(service_name, world)
    good = tuple(islice(world.ledger.promoted(service_name), _NEWEST_GOOD))
    if last_known_good(good, running.fingerprint) is not None:
        return good
    return newest(service_name, world)


def newest(service_name: str, world: World) -> tuple[Release, ...]:
    """The newest releases, for an operator to choose from."""
    return tuple(islice(world.ledger.releases(service_name), _FOR_THE_ANSWER))
