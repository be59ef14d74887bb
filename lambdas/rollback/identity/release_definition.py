"""The task definition of a release, to compare two releases: from the ledger, else from ECS."""

from collections.abc import Mapping
from typing import Any

from rollback.domain.releases.release import Release, normalised_definition
from rollback.errors import CallRefused, ExternalServiceError, InvalidRequest, UnreadableItem, UnsupportedService
from rollback.identity.ports import KnownReleasePorts

_FAILURES = (ExternalServiceError, CallRefused, InvalidRequest, UnsupportedService)


def find_definition(release: Release | None, ports: KnownReleasePorts) -> tuple[Mapping[str, Any] | None, str]:
    """Return a release's task definition with images by digest, and why it was not found. No error is raised.

    Args:
        release: the release; None: there is none.
        ports: access to ECS and the ledger.
    """
    if release is None:
        return None, "there is no target"
    try:
        return ports.ledger.definition(release.definition_sha256), ""
    except (KeyError, UnreadableItem):
        pass  # an emergency may leave a release that nothing recorded
    except _FAILURES as failure:
        return None, f"the ledger could not be read: {failure}"
    try:
        definition = ports.services.definition(release.definition_arn)
    except _FAILURES as failure:
        return None, f"the task definition of {release.version} could not be read: {failure}"
    if definition is None:
        return None, f"ECS has no task definition of {release.version} any more"
    return normalised_definition(definition, release.images), ""
