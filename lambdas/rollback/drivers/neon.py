"""Driver of Neon's API: httpx."""

from rollback.domain.settings.environment import Settings
from rollback.errors import InvalidRequest
from rollback.ports.aws.references import Secrets
from rollback.ports.neon import NeonProject


def make_neon(settings: Settings, secrets: Secrets) -> NeonProject:
    """Make the Neon port.

    Raises:
        InvalidRequest: the environment has no database.
    """
    from rollback.adapters.neon.client import NeonDatabases  # noqa: PLC0415 - httpx takes a while to import
    from rollback.adapters.neon.http import NeonHttp  # noqa: PLC0415

    database = settings.database
    if database is None:
        raise InvalidRequest(f"no database is set for {settings.environment}; nothing was changed")
    api_key = database.api_key_secret_arn
    http = NeonHttp(lambda: secrets.read(api_key).get_secret_value(), database.api_url)
    return NeonDatabases(http, database.project_id)
