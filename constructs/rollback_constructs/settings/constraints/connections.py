"""Constraints between the connections of services, the settings of the database, and the services' other settings."""

from collections.abc import Sequence

from rollback.domain.settings.database import DatabaseSettings
from rollback_constructs.settings.service import Service


def reconnect_minutes(database: DatabaseSettings | None, services: Sequence[Service]) -> float:
    """Return the longest time in which the branch's services reconnect, one after the other, with their checks."""
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
    service_names = {service.name for service in services}
    configured_names = [service.name for service in services if service.connection != type(service.connection)()]
    if database is None:
        names = ", ".join(configured_names)
        message = (
            f"services.connection is set for {names}; without a database there is nothing to connect to: remove it"
        )
        return {message: not configured_names}
    writers = set(service_names if database.writers is None else database.writers)
    unknown_readers = sorted(set(database.readers) - service_names)
    writing_readers = sorted(set(database.readers) & writers)
    branch_services = writers | set(database.readers)
    other_services = sorted(set(configured_names) - branch_services)
    reconnecting_writers = sorted(s.name for s in services if s.connection.reconnect_command and s.name in writers)
    services_without_url = sorted(s.name for s in services if s.connection.check_path and not _has_url(s))
    return {
        f"database.readers names {', '.join(unknown_readers)}; allowed are {', '.join(sorted(service_names))}": (
            not unknown_readers
        ),
        f"database.readers names {', '.join(writing_readers)}, but these services are writers; set database.writers: "
        "without this setting all services are writers": not writing_readers,
        f"services.connection is set for {', '.join(other_services)}; name each of these services in database.writers "
        "or database.readers: a rollback reconnects no other service": not other_services,
        f"connection.reconnect_command is set for {', '.join(reconnecting_writers)}; allowed for readers: writers "
        "start from zero tasks anyway": not reconnecting_writers,
        f"connection.check_path is set for {', '.join(services_without_url)}; set the base_url of each service too": (
            not services_without_url
        ),
    }


def _count_commands(service: Service) -> int:
    return sum(bool(command) for command in (service.connection.reconnect_command, service.connection.command))


def _has_url(service: Service) -> bool:
    """Return whether the service answers by HTTP: a created service has the URL of its load balancer."""
    return service.base_url is not None or service.workload is not None
