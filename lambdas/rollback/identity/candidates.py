"""Releases that a request may mean; each is one query of the ledger, whatever the release's age."""

from itertools import islice

from rollback.domain.releases.release import Release, last_known_good
from rollback.domain.request import Request
from rollback.names import SYNONYMS_OF_LAST_KNOWN_GOOD
from rollback.ports.holders import HasLedger

_NEWEST_GOOD = 5  # promoted releases: the running one may be among them, and some may not be resolved
_LISTED_RELEASES = 20  # releases that an error names


def candidates(request: Request, service_name: str, running: Release, world: HasLedger) -> tuple[Release, ...]:
    """The promoted releases, or those of the requested name; without any, the newest ones, for the error message."""
    name = request.target_version
    if name is not None and name not in SYNONYMS_OF_LAST_KNOWN_GOOD:
        return find_releases_by_name(service_name, name, world)
    good = tuple(islice(world.ledger.promoted(service_name), _NEWEST_GOOD))
    if last_known_good(good, running.fingerprint) is not None:
        return good
    return list_newest_releases(service_name, world)


def find_releases_by_name(service_name: str, name: str, world: HasLedger) -> tuple[Release, ...]:
    """Releases that a name may mean (`release_names`); without any, the newest releases, for the error message."""
    parts = (name, name.partition("@")[0], name.rpartition("@")[2])
    releases = (release for part in dict.fromkeys(parts) for release in world.ledger.find(service_name, part))
    by_fingerprint = {release.fingerprint: release for release in releases}
    return tuple(by_fingerprint.values()) or list_newest_releases(service_name, world)


def list_newest_releases(service_name: str, world: HasLedger) -> tuple[Release, ...]:
    """The newest releases, for an operator to choose from."""
    return tuple(islice(world.ledger.releases(service_name), _LISTED_RELEASES))
