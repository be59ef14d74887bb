"""Settings of the branch that a rollback changes: its writers, and the time limits of each part."""

from pydantic import Field

from rollback.domain.settings.database import RestoreLimits
from rollback.domain.settings.environment import ServiceSettings, Settings
from rollback.errors import InvalidRequest


class BranchSettings(RestoreLimits):
    """Settings of one branch of one Neon project."""

    branch_id: str
    database: str
    role: str
    writers: tuple[ServiceSettings, ...] = Field(
        description="services that write to the branch (rule 8: all writers are fenced), in the order of their start"
    )

    @classmethod
    def of(cls, settings: Settings, branch_id: str) -> "BranchSettings":
        """Build the settings of a branch from an environment's settings.

        Raises:
            InvalidRequest: the environment has no database.
        """
        database_settings = settings.database
        if database_settings is None:
            raise InvalidRequest(f"no database is set for {settings.environment}; nothing was changed")
        limits = {name: getattr(database_settings, name) for name in RestoreLimits.model_fields}
        return cls(
            branch_id=branch_id,
            database=database_settings.database,
            role=database_settings.role,
            writers=settings.writers(),
            **limits,
        )
