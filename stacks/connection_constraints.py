"""Constraints between the connections of services, the settings of the database, and the services' other settings."""

from collections.abc import Sequence

from rollback.domain.settings.database import DatabaseSettings
from stacks.service_settings import Service


def reconnect_minutes(database: DatabaseSettings | None, services: Sequence[Service]) -> float:
    """Return the longest time in which the branch's services, one after the other, reconnect and prove it."""
    if database is None:
        return 0
    names = {*(database.writers if database.writers is not None else (s.name for s in services)), *database.readers}
    tasks = sum(_count_commands(s) for s in services if s.name in names)
    return database.reconnect_timeout_minutes * len(names) + database.task_timeout_minutes * tasks


def connection_constraints(database: DatabaseSettings | None, services: Sequence[Service]) -> dict[str, bool]:
    """Check the settings of the services' connections.

    Returns:
        Message about the violation → whether the constraint holds.
    """
    known = {service.name for service in services}
    configured = [service.name for service in services if service.connection != type(service.connection)()]
    if database is None:
        names = ", ".join(configured)
        message = (
            f"services.connection is set for {names}; without a database there is nothing to connect to: remove it"
        )
        return {message: not configured}
    writers = set(known if database.writers is None else database.writers)
    unknown, both = sorted(set(database.readers) - known), sorted(set(database.readers) & writers)
    of_branch = writers | set(database.readers)
    outside = sorted(set(configured) - of_branch)
    reconnecting_writers = sorted(s.name for s in services if s.connection.reconnect_command and s.name in writers)
    without_url = sorted(s.name for s in services if s.connection.check_path and not _has_url(s))
    return {
        f"database.readers names {', '.join(unknown)}; allowed are {', '.join(sorted(known))}": not unknown,
        f"database.readers names {', '.join(both)}, which {'is' if len(both) == 1 else 'are'} among the writers; set "
        "database.writers, since without it all services are writers": not both,
        f"services.connection is set for {', '.join(outside)}; name it in database.writers or database.readers: no "
        "other service is reconnected": not outside,
        f"connection.reconnect_command is set for {', '.join(reconnecting_writers)}; allowed for readers: writers "
        "start from zero tasks anyway": not reconnecting_writers,
        f"connection.check_path is set for {', '.join(without_url)}; it needs the service's base_url": not without_url,
    }


def _count_commands(service: Service) -> int:
    return sum(bool(command) for command in (service.connection.reconnect_command, service.connection.command))


def _has_url(service: Service) -> bool:
    """Return whether the service answers by HTTP: a created service has the URL of its load balancer."""
    return service.base_url is not None or service.workload is not None
