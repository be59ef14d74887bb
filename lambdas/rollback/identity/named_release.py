"""The release that an operator names by version, commit or fingerprint."""

from collections.abc import Collection

from rollback.domain.releases.release import Release, ReleaseState
from rollback.domain.releases.release_names import find_release
from rollback.errors import InvalidRequest
from rollback.identity.candidates import find_releases_by_name
from rollback.ports.world import World
from rollback.text import quoted


def release_named(service_name: str, name: str, world: World, prefer: Collection[ReleaseState]) -> Release:
    """The release that a person names (`release_names.find`); of several of one version the one in such a state.

    Raises:
        InvalidRequest: the name means no release, or several; names those.
    """
    found = find_release(name, find_releases_by_name(service_name, name, world), prefer=prefer)
    if found.release is None:
        raise InvalidRequest(
            f"release {quoted(name)} of {service_name} can't be told: {found.why_not}; nothing was changed"
        )
    return found.release
