"""A request for a rollback, from an operator (console, CLI, GitHub) or made from an event."""

import difflib
import re
from collections.abc import Mapping
from datetime import UTC, datetime
from enum import StrEnum
from typing import Any

from pydantic import AwareDatetime, BaseModel, ConfigDict, Field, ValidationError

from rollback.domain.settings.database import Strategy
from rollback.errors import InvalidRequest
from rollback.text import (
    NAME_LIMIT,
    QUOTED_LIMIT,
    REASON_LIMIT,
    REQUESTER_LIMIT,
    TARGET_LIMIT,
    is_showable,
    one_line,
    quoted,
    truncate,
)


class RollbackType(StrEnum):
    """The part of the application that is rolled back."""

    SERVICE = "service"
    DATABASE = "database"
    FULL = "full"
    EMERGENCY = "emergency"


SERVICE_ONLY_TYPES = frozenset({RollbackType.SERVICE, RollbackType.EMERGENCY})
DATABASE_TYPES = frozenset({RollbackType.DATABASE, RollbackType.FULL})


class Trigger(StrEnum):
    """The origin of a rollback."""

    ALARM = "alarm"
    DEPLOYMENT_FAILED = "deployment_failed"
    HEALTH_CHECK = "health_check"  # a failed check after a deployment: `rollback verify --rollback-on-failure`
    RELEASE_WATCH = "release_watch"  # the watch over a fresh release: its probes or its tasks failed
    MANUAL = "manual"
    DRILL = "drill"  # a rehearsal on a healthy service, by an operator or a schedule
    TEST = "test"  # an event of `rollback doctor --send-test-event`: always suppressed


OPERATOR_TRIGGERS = frozenset({Trigger.MANUAL, Trigger.DRILL})
# Somebody looked at one deployment, and names it: a pipeline after its deployment, or the watch over a fresh release.
DEPLOYMENT_CHECKS = frozenset({Trigger.HEALTH_CHECK, Trigger.RELEASE_WATCH})


class Request(BaseModel):
    """A request. Every field but the service has a default, so that `{}` is a complete request for an only service."""

    model_config = ConfigDict(frozen=True, extra="ignore")  # `parse_request` refuses unknown fields

    type: RollbackType = RollbackType.SERVICE
    service: str = Field(min_length=1)
    target_version: str | None = Field(default=None, min_length=1)
    pr: int | None = Field(default=None, gt=0, description="the pull request whose database is rolled back")
    strategy: Strategy | None = Field(
        default=None, description="how the database is rolled back; None: as set in the settings"
    )
    to: AwareDatetime | None = Field(default=None, description="restore the database to this time, by its own clock")
    undo: str | None = Field(default=None, description="id of the rollback whose backup is restored")
    force: bool = False
    dry_run: bool = False
    drill: bool = Field(default=False, description="rehearse a rollback of this type; nothing changes for good")
    reason: str = Field(default="", max_length=REASON_LIMIT)
    requested_by: str = Field(default="", max_length=REQUESTER_LIMIT)
    is_attended: bool = Field(
        default=False,
        description="a person waits for the result at a terminal; otherwise a refusal pages",
        exclude_if=lambda value: not value,
    )


_IGNORED = frozenset({"Comment"})  # the Step Functions console fills this in by default
_NAMES = {"target_version": TARGET_LIMIT, "undo": NAME_LIMIT}  # must match the ledger: never cleaned silently
_REMARKS = {"reason": REASON_LIMIT, "requested_by": REQUESTER_LIMIT}  # for display: control characters are replaced
_MAX_PR = 2**31 - 1
_NOT_OF_A_DRILL = ("target_version", "pr", "strategy", "to", "undo", "force", "dry_run")
# `datetime.fromisoformat` also reads week dates, dates alone and any separator: an operator does not mean those.
_TIME = re.compile(r"\d{4}-\d{2}-\d{2}[T ]\d{2}:\d{2}(:\d{2}(\.\d{1,6})?)?(Z|[+-]\d{2}:\d{2})", re.ASCII)
_YEARS = range(2000, 2200)


def parse_request(execution_input: object, services: tuple[str, ...]) -> Request:
    """Parse an operator's input.

    Args:
        execution_input: the execution input as decoded JSON: `{}`, `{"Comment": …}` or fields of `Request`.
        services: names of the environment's services; the only one is the default.

    Raises:
        InvalidRequest: names the field, the value, what is allowed, and the closest match.
    """
    if not isinstance(execution_input, Mapping):
        raise InvalidRequest(
            f"the input must be a JSON object such as {{}}, not {type(execution_input).__name__}; nothing was changed"
        )
    fields = {key: value for key, value in execution_input.items() if key not in _IGNORED}
    for key in fields:
        if key not in Request.model_fields:
            raise InvalidRequest(_unknown("field", key, tuple(Request.model_fields)))
    kind = fields.get("type", RollbackType.SERVICE.value)
    if kind not in list(RollbackType):
        raise InvalidRequest(_unknown("type", kind, tuple(RollbackType)))
    service = _service(fields.get("service"), services)
    for flag in ("force", "dry_run", "drill", "is_attended"):
        if not isinstance(fields.get(flag, False), bool):
            raise InvalidRequest(
                f"{flag} is {quoted(fields[flag])}; valid values: true, false (no quotes); nothing was changed"
            )
    names = {name: _name(name, fields[name], limit) for name, limit in _NAMES.items() if name in fields}
    remarks = {name: _remark(name, fields[name], limit) for name, limit in _REMARKS.items() if name in fields}
    at = _check_database_fields(fields, RollbackType(kind))
    _check_drill_fields(fields, RollbackType(kind))
    try:
        return Request.model_validate({**fields, **names, **remarks, "to": at, "service": service})
    except ValidationError as error:  # the messages above must not depend on pydantic's wording
        raise InvalidRequest(f"the input can't be used: {_explained(error)}; nothing was changed") from error


def _service(value: object, services: tuple[str, ...]) -> str:
    if value is None:
        if len(services) != 1:
            raise InvalidRequest(
                f'this environment has several services; add "service": one of {_listed(services)}; nothing was changed'
            )
        return services[0]
    if not isinstance(value, str) or value not in services:
        raise InvalidRequest(_unknown("service", value, services))
    return value


def _name(field: str, value: object, limit: int) -> str | None:
    """The name without surrounding blanks; None: not given."""
    if value is None:
        return None
    text = _text(field, value, limit).strip()
    if not text:
        example = 'give a version such as "v1.2.3"' if field == "target_version" else "give the id of a rollback"
        raise InvalidRequest(f"{field} is empty; leave it out for the last known good, or {example}")
    if not is_showable(text):
        raise InvalidRequest(
            f"{field} is {quoted(text)}: the text has invisible characters; type it again; nothing was changed"
        )
    return text


def _remark(field: str, value: object, limit: int) -> str:
    return one_line(_text(field, value, limit), limit)


def _text(field: str, value: object, limit: int) -> str:
    if not isinstance(value, str):
        raise InvalidRequest(f"{field} is {quoted(value)}; it must be a text in quotes; nothing was changed")
    if len(value) > limit:
        raise InvalidRequest(
            f"{field} has {len(value)} characters, more than {limit}: {quoted(value)}; nothing was changed"
        )
    return value


def _check_database_fields(fields: Mapping[str, Any], kind: RollbackType) -> datetime | None:
    """Check the fields about a database, and return the time to restore to, if there is one.

    Raises:
        InvalidRequest: a field about a database in a request without one; or a value that can't be understood.
    """
    database_fields = [name for name in ("pr", "strategy", "to", "undo") if fields.get(name) is not None]
    if database_fields and kind not in DATABASE_TYPES:
        raise InvalidRequest(
            f'{", ".join(database_fields)} is about a database, and this is a {kind} rollback; add "type": "database" '
            'or "full"; nothing was changed'
        )
    pr = fields.get("pr")
    if pr is not None and (not isinstance(pr, int) or isinstance(pr, bool) or not 0 < pr <= _MAX_PR):
        raise InvalidRequest(
            f"pr is {quoted(pr)}; it must be the number of a pull request, such as 42; nothing was changed"
        )
    strategy = fields.get("strategy")
    if strategy is not None and strategy not in list(Strategy):
        raise InvalidRequest(_unknown("strategy", strategy, tuple(Strategy)))
    if "undo" in database_fields and len(database_fields) > 1:
        raise InvalidRequest("an undo restores the backup; leave strategy, pr and to out; nothing was changed")
    return _time(fields["to"]) if fields.get("to") is not None else None


def _check_drill_fields(fields: Mapping[str, Any], kind: RollbackType) -> None:
    """Check that a drill names only what is rehearsed.

    Raises:
        InvalidRequest: a field or a type that a drill does not have.
    """
    if not fields.get("drill", False):
        return
    if kind is RollbackType.FULL:
        raise InvalidRequest(
            "a drill has no type full: rehearse its halves, service and database, by two drills; nothing was changed"
        )
    wrong_fields = [name for name in _NOT_OF_A_DRILL if fields.get(name) not in (None, False)]
    if wrong_fields:
        raise InvalidRequest(
            f"a drill rehearses what an alarm would do, so leave {', '.join(wrong_fields)} out; nothing was changed"
        )


def _time(value: object) -> datetime:
    try:
        if isinstance(value, str) and _TIME.fullmatch(value):
            at = datetime.fromisoformat(value).astimezone(UTC)
            if at.year in _YEARS:
                return at
    except (ValueError, OverflowError):
        pass  # a leap second, the 30th of February, before the year 1
    raise InvalidRequest(
        f"to is {quoted(value)}; it must be a time with its zone, like 2026-03-01T02:59:00Z; nothing was changed"
    )


def _explained(error: ValidationError) -> str:
    """The first validation error, in pydantic's words and without the value."""
    first_error = error.errors(include_url=False, include_context=False, include_input=False)[0]
    return one_line(f"{'.'.join(str(part) for part in first_error['loc'])}: {first_error['msg']}", REASON_LIMIT // 2)


def _unknown(what: str, value: Any, valid: tuple[str, ...]) -> str:
    words = truncate(value, QUOTED_LIMIT) if isinstance(value, str) else ""
    close = difflib.get_close_matches(words, [str(v) for v in valid], n=1)
    hint = f" (did you mean {close[0]!r}?)" if close else ""
    return f"{what} {quoted(value)} is not known{hint}; valid values: {_listed(valid)}; nothing was changed"


def _listed(values: tuple[str, ...]) -> str:
    return ", ".join(str(value) for value in values)
