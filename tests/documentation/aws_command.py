"""Judges `aws` commands of documentation by the service models of botocore, from which the AWS CLI is made too."""

import json
import re
from collections.abc import Iterator
from functools import cache
from typing import Any

import botocore.session
import jmespath  # type: ignore[import-untyped]
from botocore import xform_name
from botocore.exceptions import UnknownServiceError
from botocore.model import ListShape, MapShape, OperationModel, Shape, StructureShape

# https://docs.aws.amazon.com/cli/latest/userguide/cli-configure-options.html; value: whether it takes one
_GLOBAL = {
    "--debug": False, "--endpoint-url": True, "--no-verify-ssl": False, "--no-paginate": False, "--output": True,
    "--query": True, "--profile": True, "--region": True, "--version": False, "--color": True,
    "--ca-bundle": True, "--cli-read-timeout": True, "--cli-connect-timeout": True, "--no-cli-pager": False,
    "--cli-input-json": True, "--generate-cli-skeleton": True,
    "--no-sign-request": False,
}  # fmt: skip
_PAGINATION = {"--max-items", "--page-size", "--starting-token"}
_OUTPUTS = {"json", "yaml", "yaml-stream", "text", "table"}
# Commands that the AWS CLI adds by itself, with their options: https://docs.aws.amazon.com/cli/latest/reference/
_OWN_COMMANDS: dict[tuple[str, str], dict[str, bool]] = {
    ("logs", "tail"): {"--since": True, "--follow": False, "--format": True, "--filter-pattern": True,
                       "--log-stream-names": True, "--log-stream-name-prefix": True},
    ("ecr", "get-login-password"): {},
    ("sso", "login"): {},
}  # fmt: skip
# Options that the AWS CLI names otherwise than the service (awscli/customizations/argrename.py).
_RENAMED = {("sns", "subscribe", "--endpoint"): "--notification-endpoint"}


@cache
def _session() -> botocore.session.Session:
    return botocore.session.Session()


@cache
def _model(service: str) -> Any:
    return _session().get_service_model(service)


@cache
def _operations(service: str) -> dict[str, str]:
    return {xform_name(name, "-"): name for name in _model(service).operation_names}


def judge(words: tuple[str, ...]) -> Iterator[str]:
    """Yield why the AWS CLI would refuse the words behind `aws`."""
    arguments = list(words)
    options, positional = _split(arguments)
    if len(positional) < 2:
        yield "service and command are missing"
        return
    service, name = positional[:2]
    yield from _judge_global(options)
    if (service, name) in _OWN_COMMANDS:
        known = _OWN_COMMANDS[service, name]
        yield from (
            f"aws {service} {name} has no option {option}" for option in options if option not in known | _GLOBAL
        )
        return
    try:
        operations = _operations(service)
    except UnknownServiceError:
        yield f"AWS has no service {service}"
        return
    if name == "wait":
        yield from _judge_waiter(service, positional[2:], options)
        return
    if name not in operations:
        yield f"aws {service} has no command {name}"
        return
    yield from _judge_operation(_model(service).operation_model(operations[name]), service, name, options)
    yield from (f"aws {service} {name}: unexpected {word!r}" for word in positional[2:])


def _split(arguments: list[str]) -> tuple[dict[str, list[str]], list[str]]:
    """Split the words into options with their values, and the words before the first option."""
    options: dict[str, list[str]] = {}
    positional: list[str] = []
    current: list[str] | None = None
    for argument in arguments:
        if argument.startswith("--"):
            option, has_value, value = argument.partition("=")
            current = options.setdefault(option, [value] if has_value else [])
        elif current is None:
            positional.append(argument)
        else:
            current.append(argument)
    return options, positional


def _judge_global(options: dict[str, list[str]]) -> Iterator[str]:
    for query in options.get("--query", []):
        try:
            jmespath.compile(query)
        except jmespath.exceptions.JMESPathError as error:
            yield f"--query {query!r}: {str(error).splitlines()[0]}"
    yield from (f"--output {value}: no such format" for value in options.get("--output", []) if value not in _OUTPUTS)
    for option, takes_value in _GLOBAL.items():
        if option in options and takes_value != bool(options[option]):
            yield f"{option} {'needs a value' if takes_value else 'takes no value'}"


def _judge_waiter(service: str, names: list[str], options: dict[str, list[str]]) -> Iterator[str]:
    waiters = _session().get_waiter_model(service)
    known = {xform_name(name, "-"): name for name in waiters.waiter_names}
    if len(names) != 1 or names[0] not in known:
        yield f"aws {service} wait {' '.join(names)}: allowed are {', '.join(sorted(known))}"
        return
    operation = _model(service).operation_model(waiters.get_waiter(known[names[0]]).operation)
    yield from _judge_operation(operation, service, f"wait {names[0]}", options)


def _judge_operation(
    operation: OperationModel, service: str, name: str, options: dict[str, list[str]]
) -> Iterator[str]:
    shape = operation.input_shape
    members = {f"--{xform_name(member, '-')}": member for member in shape.members} if shape is not None else {}
    required = {f"--{xform_name(member, '-')}" for member in (shape.required_members if shape is not None else ())}
    for (renamed_service, command, old), new in _RENAMED.items():
        if (service, name) == (renamed_service, command):
            members[new] = members.pop(old)
            required = {new if option == old else option for option in required}
    paginators = _session().get_paginator_model(service)
    try:
        limit = paginators.get_paginator(operation.name).get("limit_key")
        own = {*_GLOBAL, *_PAGINATION}
    except ValueError:
        limit, own = None, {*_GLOBAL}
    if limit is not None:
        members.pop(f"--{xform_name(limit, '-')}", None)  # the AWS CLI has --max-items in its place
    for option, values in options.items():
        if option in own:
            continue
        positive = f"--{option.removeprefix('--no-')}" if option.startswith("--no-") else option
        if positive not in members or shape is None:
            yield f"aws {service} {name} has no option {option}"
            continue
        member = shape.members[members[positive]]
        if member.type_name == "boolean":
            yield from (f"{option} takes no value" for _ in values)
        elif option != positive:
            yield f"aws {service} {name} has no option {option}"
        else:
            yield from _judge_values(member, option, values)
    if "--cli-input-json" not in options:
        given = {option.replace("--no-", "--", 1) for option in options} | set(options)
        yield from (f"aws {service} {name} needs {option}" for option in sorted(required - given))


def _judge_values(shape: Shape, option: str, values: list[str]) -> Iterator[str]:
    if not values:
        yield f"{option} needs a value"
        return
    if len(values) > 1 and not isinstance(shape, ListShape):
        yield f"{option}: unexpected {' '.join(values[1:])!r}"
    if values[0].lstrip().startswith(("{", "[")):
        try:
            yield from _judge_json(shape, option, json.loads(values[0]))
        except ValueError as error:
            yield f"{option}: no JSON ({error})"
        return
    for value in values:
        if not value.startswith(("file://", "$", "SUBSTITUTED")):
            yield from _judge_text(shape.member if isinstance(shape, ListShape) else shape, option, value)


def _judge_json(shape: Shape, option: str, value: Any) -> Iterator[str]:
    if isinstance(shape, StructureShape) and isinstance(value, dict):
        for key, inner in value.items():
            if key not in shape.members:
                yield f"{option} has no member {key}"
            else:
                yield from _judge_json(shape.members[key], f"{option}.{key}", inner)
        yield from (f"{option} needs {key}" for key in shape.required_members if key not in value)
    elif isinstance(shape, ListShape) and isinstance(value, list):
        for inner in value:
            yield from _judge_json(shape.member, option, inner)
    elif isinstance(shape, StructureShape | ListShape):
        yield f"{option}: {value!r} is no {shape.type_name}"
    elif isinstance(value, str):
        yield from _judge_text(shape, option, value)


def _judge_text(shape: Shape, option: str, value: str) -> Iterator[str]:
    """Judge a plain value, or the AWS CLI's shorthand `Name=value,Name=value` of a structure."""
    if isinstance(shape, StructureShape):
        pairs = [pair.partition("=") for pair in re.split(r",(?=[A-Za-z]+=)", value)]
        yield from (f"{option} has no member {key}" for key, _, _ in pairs if key not in shape.members)
        yield from (
            f"{option} needs {key}" for key in shape.required_members if key not in {key for key, _, _ in pairs}
        )
        for key, _, inner in pairs:
            if key in shape.members:
                yield from _judge_text(shape.members[key], f"{option} {key}", inner)
        return
    if isinstance(shape, MapShape):
        return
    allowed = getattr(shape, "enum", None) or shape.metadata.get("enum")
    if allowed and value not in allowed and not value.startswith("$"):
        yield f"{option} {value}: allowed are {', '.join(allowed)}"
    if shape.type_name in {"integer", "long"} and not (value.lstrip("-").isdigit() or "SUBSTITUTED" in value):
        yield f"{option} {value}: no whole number"
