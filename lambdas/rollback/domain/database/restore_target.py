"""What is restored: a branch, who writes to it, and how long each part may take."""

from pydantic import Field

from rollback.domain.settings.database import RestoreLimits
from rollback.domain.settings.environment import ServiceSettings, Settings
from rollback.errors import InvalidRequest


class RestoreTarget(RestoreLimits):
    """One branch of one Neon project."""

    branch_id: str
    database: str
    role: str
    writers: tuple[ServiceSettings, ...] = Field(
        description="every service that writes to the branch (rule 8); the first is put back first"
    )

    @classmethod
    def of(cls, settings: Settings, branch_id: str) -> "RestoreTarget":
        """From an environment's settings.

        Raises:
            InvalidRequest: it has no database.
        """
        given = settings.database
        if given is None:
            raise InvalidRequest(f"no database is set for {settings.environment}; nothing was changed")
        limits = {name: getattr(given, name) for name in RestoreLimits.model_fields}
        return cls(branch_id=branch_id, database=given.database, role=given.role, writers=settings.writers(), **limits)
