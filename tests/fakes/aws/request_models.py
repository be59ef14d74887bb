"""Refusals by AWS's request models, raised by the fakes as the errors of the adapters."""

import re
from collections.abc import Iterator
from functools import cache
from typing import Any, NoReturn

from botocore.exceptions import ClientError, ParamValidationError
from botocore.model import Shape
from botocore.session import Session
from botocore.validate import ParamValidator

from rollback.adapters.aws.errors import aws_call


def check_request(service: str, operation: str, on: str, /, **request: Any) -> None:
    """Compare a request with botocore's model of the operation.

    botocore itself checks types, names and minimums before it sends a request. AWS checks maximums, enumerations and
    patterns of the same model.

    Raises:
        CallRefused: as an adapter does.
    """
    shape = _input_of(service, operation)
    report = ParamValidator().validate(request, shape)
    if report.has_errors():
        with aws_call(operation, on):
            raise ParamValidationError(report=report.generate_report())
    for problem in _beyond(request, shape, operation):
        refuse(operation, on, "ValidationException", problem)


def refuse(operation: str, on: str, code: str, message: str, transient: frozenset[str] = frozenset()) -> NoReturn:
    """Raise the adapter's error for AWS's answer with this code; `transient` as the adapter passes it to `aws_call`."""
    answer: Any = {"Error": {"Code": code, "Message": message}, "ResponseMetadata": {"HTTPStatusCode": 400}}
    with aws_call(operation, on, transient):
        raise ClientError(answer, operation)
    raise AssertionError("calling lets no error of AWS pass")


@cache
def accepted(service: str, operation: str) -> frozenset[str]:
    """List the names of the request's members."""
    return frozenset(_input_of(service, operation).members)


def as_parsed(service: str, shape_name: str, value: Any) -> Any:
    """Return an answer as botocore parses it: members outside the model are dropped."""
    return _parsed(value, _session().get_service_model(service).shape_for(shape_name))


def _parsed(value: Any, shape: Any) -> Any:
    if shape.type_name == "structure":
        return {name: _parsed(inner, shape.members[name]) for name, inner in value.items() if name in shape.members}
    if shape.type_name == "list":
        return [_parsed(inner, shape.member) for inner in value]
    return value


@cache
def _input_of(service: str, operation: str) -> Any:
    return _session().get_service_model(service).operation_model(operation).input_shape


@cache
def _session() -> Session:
    return Session()


def _beyond(value: Any, shape: Any, where: str) -> Iterator[str]:
    if value is None:
        return
    if shape.type_name == "structure":
        for name, inner in value.items():
            yield from _beyond(inner, shape.members[name], f"{where}.{name}")
    elif shape.type_name == "list":
        yield from _too_much(len(value), shape, where)
        for inner in value:
            yield from _beyond(inner, shape.member, where)
    elif shape.type_name == "map":
        for name, inner in value.items():
            yield from _beyond(name, shape.key, where)
            yield from _beyond(inner, shape.value, f"{where}.{name}")
    elif shape.type_name == "string":
        yield from _too_much(len(value), shape, where)
        if shape.enum and value not in shape.enum:
            yield f"{where} must be one of {', '.join(shape.enum)}"
        pattern = _pattern(shape)
        if pattern is not None and not pattern.fullmatch(value):
            yield f"{where} must match {pattern.pattern}"
    elif shape.type_name in {"integer", "long"}:
        yield from _too_much(value, shape, where)


def _too_much(number: int, shape: Shape, where: str) -> Iterator[str]:
    most = shape.metadata.get("max")
    if most is not None and number > most:
        yield f"{where} is {number}, and at most {most} is allowed"


@cache
def _pattern(shape: Shape) -> re.Pattern[str] | None:
    r"""Return the pattern, or None if none exists or Python can't compile it (`\p{L}`)."""
    try:
        return re.compile(shape.metadata["pattern"])
    except (KeyError, re.error):
        return None
