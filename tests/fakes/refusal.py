"""A port whose service is down: every call fails."""

from typing import Any, NoReturn

from rollback.errors import ExternalServiceError


class RefusesAll:
    """Stands for any port; `calls` are the names of the methods that were called."""

    def __init__(self, service: str) -> None:
        self._service = service
        self.calls: list[str] = []

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__"):
            raise AttributeError(name)

        def refuse(*_: object, **__: object) -> NoReturn:
            self.calls.append(name)
            raise ExternalServiceError(f"{self._service} {name} got no answer")

        return refuse
