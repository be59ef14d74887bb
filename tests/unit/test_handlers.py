"""Lambda's entry points: what leaves them is all that Step Functions knows of an error."""

from importlib import import_module
from typing import Any, cast

import pytest

from rollback import handlers
from rollback.errors import CallRefused, ExternalServiceError, InvalidRequest, RollbackError, Throttled
from rollback.ports.world import World
from rollback_constructs.workflow import transient_retries

for _where in ("resources.database.errors", "adapters.neon.http"):  # so that its errors are below ours
    import_module(f"rollback.{_where}")
RETRIED = {name for retry in transient_retries() for name in retry["ErrorEquals"] if retry["MaxAttempts"]}
NEVER_RETRIED = {name for retry in transient_retries() for name in retry["ErrorEquals"] if not retry["MaxAttempts"]}


def below(error: type[Exception]) -> list[type[Exception]]:
    """The class and all that come from it, private ones too."""
    return [error, *(one for child in error.__subclasses__() for one in below(child))]


def raised(error: Exception, monkeypatch: pytest.MonkeyPatch) -> Exception:
    def walk(*_: Any) -> Any:
        raise error

    monkeypatch.setattr(handlers, "run_step", walk)
    monkeypatch.setattr(handlers, "_world", lambda: cast("World", None))
    with pytest.raises(RollbackError) as told:
        handlers.database({"step": "database", "cursor": {"rollback_id": "a-b-c"}}, None)
    return told.value


@pytest.mark.parametrize("kind", below(ExternalServiceError), ids=lambda kind: kind.__name__)
def test_whatever_fails_outside_is_retried_by_step_functions_unless_refused_for_good_and_says_what_it_was(
    kind: type[Exception], monkeypatch: pytest.MonkeyPatch
) -> None:
    seen = raised(kind("Neon is away"), monkeypatch)
    assert (type(seen).__name__ in RETRIED) is not issubclass(kind, CallRefused)
    assert type(seen).__name__ in (RETRIED | NEVER_RETRIED)
    assert isinstance(seen, Throttled) == issubclass(kind, Throttled)
    assert "Neon is away" in str(seen)
    assert kind.__name__ in f"{type(seen).__name__}: {seen}"


def test_what_can_not_be_understood_is_not_retried(monkeypatch: pytest.MonkeyPatch) -> None:
    assert type(raised(InvalidRequest("a typo"), monkeypatch)).__name__ not in RETRIED
