"""Stand-ins for a part of the world, where a test is about whether it is asked at all."""

from typing import Any

from rollback.model.errors import OutsideFailure


class Down:
    """A part of the world that fails at everything."""

    def __init__(self, name: str) -> None:
        self._name = name

    def __getattr__(self, method: str) -> Any:
        def fails(*given: object, **named: object) -> None:
            raise OutsideFailure(f"{self._name}.{method}: no answer")

        return fails


class Counting:
    """Writes down which methods are called."""

    def __init__(self, real: object) -> None:
        self._real = real
        self.called: list[str] = []

    def __getattr__(self, method: str) -> Any:
        def counted(*given: object, **named: object) -> Any:
            self.called.append(method)
            return getattr(self._real, method)(*given, **named)

        return counted
