"""Constraints of the settings of drills with other settings of an environment."""

from zoneinfo import available_timezones

from rollback.domain.settings.database import DatabaseSettings
from rollback.domain.settings.drills import DrillSettings
from rollback.domain.settings.policy import Policy


def drill_constraints(drills: DrillSettings, policy: Policy, database: DatabaseSettings | None) -> dict[str, bool]:
    """Return each constraint as a message, and whether it holds."""
    is_scheduled = drills.schedule is not None
    has_branch = database is not None and database.branch_id is not None
    return {
        f"drills.timezone is {drills.timezone!r}; allowed is a name of the IANA time zone database, such as "
        "Europe/Berlin": drills.timezone in available_timezones() or drills.timezone == "UTC",
        f"drills.schedule is {drills.schedule!r}, and policy.mode is observe; allowed is no schedule, since a drill "
        "changes ECS": not is_scheduled or policy.mode != "observe",
        f"drills.scenario is {drills.scenario}; allowed is service or emergency, since the environment has no "
        "database.branch_id": not is_scheduled or drills.scenario != "database" or has_branch,
    }
