"""What was asked for, by a person (console, CLI, GitHub) or made from an event."""

import difflib
from collections.abc import Mapping
from datetime import datetime
from enum import StrEnum
from typing import Any

from pydantic import AwareDatetime, BaseModel, ConfigDict, Field

from rollback.model.database_settings import Strategy
from rollback.model.errors import InvalidRequest


class RollbackType(StrEnum):
    """What goes back."""

    SERVICE = "service"
    DATABASE = "database"
    FULL = "full"
    EMERGENCY = "emergency"


class Trigger(StrEnum):
    """What asked for the rollback."""

    ALARM = "alarm"
    DEPLOYMENT_FAILED = "deployment_failed"
    HEALTH_CHECK = "health_check"
    MANUAL = "manual"
    DRILL = "drill"


class Request(BaseModel):
    """One wish for a rollback; every field has a sensible default, so that `{}` is a complete request."""

    model_config = ConfigDict(frozen=True, extra="ignore")  # `parse_request` refuses unknown fields

    type: RollbackType = RollbackType.SERVICE
    service: str = Field(min_length=1)
    target_version: str | None = Field(default=None, min_length=1)
    pr: int | None = Field(default=None, gt=0, description="the pull request whose database goes back")
    strategy: Strategy | None = Field(default=None, description="how the database goes back; None: as set")
    to: AwareDatetime | None = Field(default=None, description="restore the database to this time, by its own clock")
    undo: str | None = Field(default=None, description="id of the rollback whose backup the database goes back to")
    force: bool = False
    dry_run: bool = False
    reason: str = Field(default="", max_length=1000)
    requested_by: str = Field(default="", max_length=200)


_IGNORED = frozenset({"Comment"})  # what the Step Functions console fills in when nothing was typed


def parse_request(given: object, services: tuple[str, ...]) -> Request:
    """Read a person's input.

    Args:
        given: the execution input as decoded JSON: `{}`, `{"Comment": …}` or fields of `Request`.
        services: names of the environment's services; the only one is the default.

    Raises:
        InvalidRequest: names the field, the value, what is allowed, and the closest match.
    """
    if not isinstance(given, Mapping):
        raise InvalidRequest(
            f"the input must be a JSON object such as {{}}, not {type(given).__name__}; nothing was changed"
        )
    fields = {key: value for key, value in given.items() if key not in _IGNORED}
    for key in fields:
        if key not in Request.model_fields:
            raise InvalidRequest(_unknown("field", key, tuple(Request.model_fields)))
    kind = fields.get("type", RollbackType.SERVICE.value)
    if kind not in list(RollbackType):
        raise InvalidRequest(_unknown("type", kind, tuple(RollbackType)))
    service = fields.get("service")
    if service is None:
        if len(services) != 1:
            raise InvalidRequest(
                f'this environment has several services; add "service": one of {_listed(services)}; nothing was changed'
            )
        service = services[0]
    if service not in services:
        raise InvalidRequest(_unknown("service", service, services))
    for flag in ("force", "dry_run"):
        if not isinstance(fields.get(flag, False), bool):
            raise InvalidRequest(
                f"{flag} is {fields[flag]!r}; valid values: true, false (no quotes); nothing was changed"
            )
    for text in ("target_version", "undo", "reason", "requested_by"):
        may_be_null = text in ("target_version", "undo") and fields.get(text) is None
        if text in fields and not (isinstance(fields[text], str) or may_be_null):
            raise InvalidRequest(f"{text} is {fields[text]!r}; it must be a text in quotes; nothing was changed")
    _check_database_fields(fields, RollbackType(kind))
    if fields.get("target_version") == "":
        raise InvalidRequest(
            'target_version is empty; leave it out for the last known good, or give a version such as "v1.2.3"'
        )
    return Request.model_validate({**fields, "service": service})


def _check_database_fields(fields: Mapping[str, Any], kind: RollbackType) -> None:
    """Raises InvalidRequest: what is about a database, and asked of another rollback; or can't be understood."""
    about = [name for name in ("pr", "strategy", "to", "undo") if fields.get(name) is not None]
    if about and kind not in (RollbackType.DATABASE, RollbackType.FULL):
        raise InvalidRequest(
            f'{", ".join(about)} is about a database, and this is a {kind} rollback; add "type": "database" or "full"; '
            "nothing was changed"
        )
    pr = fields.get("pr")
    if pr is not None and (not isinstance(pr, int) or isinstance(pr, bool) or pr < 1):
        raise InvalidRequest(f"pr is {pr!r}; it must be the number of a pull request, such as 42; nothing was changed")
    strategy = fields.get("strategy")
    if strategy is not None and strategy not in list(Strategy):
        raise InvalidRequest(_unknown("strategy", strategy, tuple(Strategy)))
    if fields.get("to") is not None and not _is_time(fields["to"]):
        raise InvalidRequest(
            f"to is {fields['to']!r}; it must be a time with its zone, like 2026-03-01T02:59:00Z; nothing was changed"
        )
    if "undo" in about and len(about) > 1:
        raise InvalidRequest("an undo goes back to the backup; leave strategy, pr and to out; nothing was changed")


def _is_time(given: Any) -> bool:
    try:
        return datetime.fromisoformat(given).tzinfo is not None
    except (TypeError, ValueError):
        return False


def _unknown(what: str, given: Any, valid: tuple[str, ...]) -> str:
    close = difflib.get_close_matches(str(given), [str(v) for v in valid], n=1)
    hint = f" (did you mean {close[0]!r}?)" if close else ""
    return f"{what} {given!r} is not known{hint}; valid values: {_listed(valid)}; nothing was changed"


def _listed(values: tuple[str, ...]) -> str:
    return ", ".join(str(value) for value in values)
