"""Releases of the ledger that a request may mean: candidates for a target, and the release that an operator names."""

from collections.abc import Collection
from itertools import islice

from rollback.domain.releases.release import Release, ReleaseState, last_known_good
from rollback.domain.releases.release_names import find_release
from rollback.domain.request import Request
from rollback.errors import InvalidRequest
from rollback.names import SYNONYMS_OF_LAST_KNOWN_GOOD
from rollback.ports.holders import HasLedger
from rollback.text import quoted

_MAX_PROMOTED = 5  # promoted releases: the running one may be among them, and some may not be resolved
_MAX_LISTED = 20  # releases that an error names


def list_candidates(request: Request, service_name: str, running: Release, ports: HasLedger) -> tuple[Release, ...]:
    """The promoted releases, or those of the requested name; without any, the newest ones, for the error message."""
    name = request.target_version
    if name is not None and name not in SYNONYMS_OF_LAST_KNOWN_GOOD:
        return find_releases_by_name(service_name, name, ports)
    good = tuple(islice(ports.ledger.promoted(service_name), _MAX_PROMOTED))
    if last_known_good(good, running.fingerprint) is not None:
        return good
    return list_newest_releases(service_name, ports)


def find_releases_by_name(service_name: str, name: str, ports: HasLedger) -> tuple[Release, ...]:
    """Releases that a name may mean (`release_names`); without any, the newest releases, for the error message."""
    parts = (name, name.partition("@")[0], name.rpartition("@")[2])
    releases = (release for part in dict.fromkeys(parts) for release in ports.ledger.find(service_name, part))
    by_fingerprint = {release.fingerprint: release for release in releases}
    return tuple(by_fingerprint.values()) or list_newest_releases(service_name, ports)


def list_newest_releases(service_name: str, ports: HasLedger) -> tuple[Release, ...]:
    """The newest releases, for an operator to choose from."""
    return tuple(islice(ports.ledger.releases(service_name), _MAX_LISTED))


def release_named(service_name: str, name: str, ports: HasLedger, prefer: Collection[ReleaseState]) -> Release:
    """Find the release that an operator names (`release_names.find_release`).

    Args:
        service_name: name of the service.
        name: version, commit or fingerprint.
        ports: access to AWS, Neon and the ledger.
        prefer: states that decide between several releases of one version.

    Raises:
        InvalidRequest: the name means no release, or several, which the error lists.
    """
    match = find_release(name, find_releases_by_name(service_name, name, ports), prefer=prefer)
    if match.release is None:
        raise InvalidRequest(
            f"release {quoted(name)} of {service_name} is not known: {match.reason}; nothing was changed"
        )
    return match.release
