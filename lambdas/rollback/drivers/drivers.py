"""The set of factories that a process has; a port without a factory raises at its first use."""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import NoReturn

from rollback.domain.settings.environment import Settings
from rollback.errors import InvalidRequest
from rollback.ports.aws.references import Secrets
from rollback.ports.github import GitHub
from rollback.ports.http import Http
from rollback.ports.neon import NeonProject
from rollback.ports.postgres import Sql
from rollback.ports.webhooks import Webhooks


def _refuse(port: str) -> Callable[..., NoReturn]:
    def refuse(*_: object) -> NoReturn:
        raise InvalidRequest(
            f"this function has no driver of the port {port}, since none of its steps uses it; nothing was changed. "
            "Add the driver in rollback.functions"
        )

    return refuse


@dataclass(frozen=True)
class Drivers:
    """Factories by port. Each is called once, at the first use of its port.

    Attributes:
        http: probes of the service's endpoints.
        webhooks: messages to a chat.
        neon: Neon's API for the settings of one environment.
        github: GitHub's API for the settings of one environment.
        sql: connections to Postgres for the settings of one environment.
    """

    http: Callable[[], Http] = field(default_factory=lambda: _refuse("http"))
    webhooks: Callable[[], Webhooks] = field(default_factory=lambda: _refuse("webhooks"))
    neon: Callable[[Settings, Secrets], NeonProject] = field(default_factory=lambda: _refuse("neon"))
    github: Callable[[Settings, Secrets], GitHub] = field(default_factory=lambda: _refuse("github"))
    sql: Callable[[Settings], Sql] = field(default_factory=lambda: _refuse("sql"))
