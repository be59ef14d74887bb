"""The release that an operator names by version, commit or fingerprint."""

from collections.abc import Collection

from rollback.domain.releases.release import Release, ReleaseState
from rollback.domain.releases.release_names import find_release
from rollback.errors import InvalidRequest
from rollback.identity.candidates import find_releases_by_name
from rollback.ports.holders import HasLedger
from rollback.text import quoted


def release_named(service_name: str, name: str, world: HasLedger, prefer: Collection[ReleaseState]) -> Release:
    """Find the release that an operator names (`release_names.find_release`).

    Args:
        service_name: name of the service.
        name: version, commit or fingerprint.
        world: the ports.
        prefer: states that decide between several releases of one version.

    Raises:
        InvalidRequest: the name means no release, or several, which the error lists.
    """
    match = find_release(name, find_releases_by_name(service_name, name, world), prefer=prefer)
    if match.release is None:
        raise InvalidRequest(
            f"release {quoted(name)} of {service_name} is not known: {match.why_not}; nothing was changed"
        )
    return match.release
