"""Constraints between the settings of a database and the other settings of its environment."""

import re
from urllib.parse import urlsplit

from rollback.domain.settings.database import DatabaseSettings, Strategy
from rollback.domain.settings.policy import Policy

_THIS_MACHINE = ("localhost", "127.0.0.1", "::1")
_MAX_FUNCTION_SECONDS = 900  # Lambda's own limit
_MAX_COMMANDS = 6  # down migrations with their verification, for the time limit; a release rarely brings more
# Secrets Manager adds a hyphen and six characters to the name (user guide, "What's in a secret"). IAM compares the
# whole ARN: without the six characters, or with ECS's `:key::` at the end, Secrets Manager would refuse the function.
_COMPLETE_ARN = re.compile(r"arn:aws[a-z-]*:secretsmanager:[a-z0-9-]+:\d{12}:secret:[^:]+-[A-Za-z0-9]{6}")
_PULL_REQUEST_STRATEGIES = (Strategy.RESET, Strategy.RECREATE, Strategy.DOWN_MIGRATIONS)


def is_complete_secret_arn(arn: str) -> bool:
    """Report whether an ARN has all parts that IAM compares."""
    return _COMPLETE_ARN.fullmatch(arn) is not None


def database_minutes(database: DatabaseSettings | None) -> float:
    """Return the longest time of a rollback's database steps: restore, clean-up, tasks and data loss report."""
    if database is None:
        return 0
    tasks = database.task_timeout_minutes * _MAX_COMMANDS if database.down_command else 0
    restore = database.restore_timeout_minutes + database.cleanup_timeout_minutes
    return restore + tasks + database.data_loss_timeout_minutes


def database_constraints(database: DatabaseSettings | None, policy: Policy, services: set[str]) -> dict[str, bool]:
    """Check the settings of a database.

    Args:
        database: settings of the database; None: the environment has none.
        policy: policy of the environment.
        services: names of the environment's services.

    Returns:
        Message about the violation → whether the constraint holds.
    """
    seconds, lease_seconds = policy.database_timeout_seconds, policy.lease_minutes * 60
    constraints = {
        f"policy.database_timeout_seconds is {seconds:g}; allowed is at most {_MAX_FUNCTION_SECONDS}, and less "
        f"than lease_minutes, {policy.lease_minutes:g}": seconds <= _MAX_FUNCTION_SECONDS
        and seconds < lease_seconds,  # rule 9: a function's timeout is below the lease's remainder
        "policy.on_incompatible_schema is 'full'; without a database only 'refuse' is allowed: add database, or remove "
        "the setting": (database is not None or policy.on_incompatible_schema == "refuse"),
    }
    return constraints if database is None else {**constraints, **_branch_constraints(database, policy, services)}


def _branch_constraints(database: DatabaseSettings, policy: Policy, services: set[str]) -> dict[str, bool]:
    unknown_writers = sorted(set(database.writers or ()) - services)
    by_pull_request = database.branch_pattern is not None
    secrets = {
        "api_key_secret_arn": database.api_key_secret_arn,
        "connection_secret_arn": database.connection_secret_arn,
    }
    return {
        f"database.api_url is {database.api_url!r}; allowed is https://, since each request has the API key; http:// "
        "only for this machine": database.api_url.startswith("https://")
        or urlsplit(database.api_url).hostname in _THIS_MACHINE,
        f"database.writers names {', '.join(unknown_writers)}; allowed are {', '.join(sorted(services))}": (
            not unknown_writers
        ),
        **{
            f"database.{name} is {arn!r}; allowed is a complete ARN, which ends with the six characters that "
            "Secrets Manager adds; copy it from there": is_complete_secret_arn(arn)
            for name, arn in secrets.items()
            if arn is not None
        },
        f"database.strategy is {database.strategy.value!r}; for branches by branch_pattern allowed are "
        f"{', '.join(_PULL_REQUEST_STRATEGIES)}: Neon restores only root branches to their own past": (
            not by_pull_request or database.strategy in _PULL_REQUEST_STRATEGIES
        ),
        "policy.on_incompatible_schema is 'full'; with database.branch_pattern only 'refuse' is allowed: an alarm "
        "names no branch": not by_pull_request or policy.on_incompatible_schema == "refuse",
        "database.strategy is 'recreate'; it needs connection_secret_arn, or an empty list in writers: otherwise "
        "the services would keep the old branch's address": (
            database.strategy is not Strategy.RECREATE
            or database.connection_secret_arn is not None
            or database.writers == ()
        ),
        "database.verify_command is set; it is run after down_command, which is not set: set both or none": (
            bool(database.down_command) or not database.verify_command
        ),
    }
