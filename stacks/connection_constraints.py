"""What the settings of services' connections need of the database's settings, and of the service around them."""

from collections.abc import Sequence

from rollback.domain.settings.database import DatabaseSettings
from stacks.service_settings import Service


def reconnect_minutes(database: DatabaseSettings | None, services: Sequence[Service]) -> float:
    """The longest that services of the branch may take, one after the other, to get new connections and prove them."""
    if database is None:
        return 0
    names = {*(database.writers if database.writers is not None else (s.name for s in services)), *database.readers}
    tasks = sum(_commands(s) for s in services if s.name in names)
    return database.reconnect_timeout_minutes * len(names) + database.task_timeout_minutes * tasks


def connection_needs(database: DatabaseSettings | None, services: Sequence[Service]) -> dict[str, bool]:
    """What is wrong, in words, and whether it is as it should be."""
    known = {service.name for service in services}
    set_up = [service.name for service in services if service.connection != type(service.connection)()]
    if database is None:
        words = f"services.connection is set for {', '.join(set_up)}; without a database there is nothing to connect to"
        return {words: not set_up}
    writers = set(known if database.writers is None else database.writers)
    unknown, both = sorted(set(database.readers) - known), sorted(set(database.readers) & writers)
    of_branch = writers | set(database.readers)
    apart = sorted(set(set_up) - of_branch)
    commands = sorted(s.name for s in services if s.connection.reconnect_command and s.name in writers)
    unasked = sorted(s.name for s in services if s.connection.check_path and not _has_address(s))
    return {
        f"database.readers names {', '.join(unknown)}; allowed are {', '.join(sorted(known))}": not unknown,
        f"database.readers names {', '.join(both)}, which {'is' if len(both) == 1 else 'are'} among the writers; name "
        "the writers in database.writers, which are all services unless it is set": not both,
        f"services.connection is set for {', '.join(apart)}; name it in database.writers or database.readers: no other "
        "service is reconnected": not apart,
        f"connection.reconnect_command is set for {', '.join(commands)}; allowed for readers: a writer starts from "
        "zero tasks anyway": not commands,
        f"connection.check_path is set for {', '.join(unasked)}; it needs the service's base_url": not unasked,
    }


def _commands(service: Service) -> int:
    return sum(bool(command) for command in (service.connection.reconnect_command, service.connection.command))


def _has_address(service: Service) -> bool:
    """Whether anything answers by HTTP: a service that is made here has its load balancer's address."""
    return service.base_url is not None or service.workload is not None
