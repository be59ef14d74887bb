"""Operations that AWS answers in pages, from botocore's models: their tokens, limits and lists.

`paginators-1.json` lists most of them. The others (ECS ListServiceDeployments) have a token in input and output.
"""

import functools
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import botocore.session
from botocore.exceptions import DataNotFoundError, UnknownServiceError
from botocore.model import OperationModel

_TOKENS = ("nextToken", "NextToken", "Marker")
_LIMITS = ("maxResults", "MaxResults", "limit", "Limit", "MaxItems", "MaxRecords", "PageSize")
# The API reference of each operation forbids a token beside this parameter, so the answer is whole.
_WHOLE_WITH: Mapping[tuple[str, str], str] = {
    ("ecr", "DescribeImages"): "imageIds",
    ("ecr", "DescribeRepositories"): "repositoryNames",
    ("ecr", "ListImages"): "imageIds",
}
# EC2: "If you do not specify this parameter, then all items are returned" (API reference, MaxResults of Describe…).
_WHOLE_WITHOUT_LIMIT = frozenset({"ec2"})
# "The number of items returned, however, can be between zero and the value of MaxResults" (reference, MaxResults).
BEGINS_EMPTY = frozenset({("ssm", "DescribeParameters")})


@dataclass(frozen=True)
class Paging:
    """Members of an operation's model that its pages use."""

    input_token: str
    output_token: str
    results: tuple[str, ...]
    limit: str | None
    more: str | None = None  # true when another page follows


@functools.cache
def _session() -> botocore.session.Session:
    return botocore.session.get_session()


@functools.cache
def _paginators(service: str) -> Mapping[str, Any]:
    try:
        config: Mapping[str, Any] = _session().get_paginator_model(service)._paginator_config  # type: ignore[attr-defined]
    except (DataNotFoundError, UnknownServiceError):
        return {}
    return config


@functools.cache
def operation_model(service: str, operation: str) -> OperationModel | None:
    """Return the operation's model; None if botocore knows no such service or operation."""
    try:
        model = _session().get_service_model(service)
    except UnknownServiceError:
        return None
    return model.operation_model(operation) if operation in model.operation_names else None


@functools.cache
def paged(service: str, operation: str) -> Paging | None:
    """Return the paging of `operation` (`ListTasks`) of botocore's `service` (`ecs`); None if it has no pages."""
    model = operation_model(service, operation)
    if model is None or model.output_shape is None or model.input_shape is None:
        return None
    paginator = _paginators(service).get(operation)
    return _from_paginator(paginator) if paginator is not None else _from_members(model)


def _from_paginator(paginator: Mapping[str, Any]) -> Paging | None:
    names = [paginator.get(name) for name in ("input_token", "output_token")]
    results = paginator.get("result_key", ())
    results = (results,) if isinstance(results, str) else tuple(results)
    if not all(isinstance(name, str) for name in names) or any("." in str(name) for name in (*names, *results)):
        return None  # two tokens (S3's versions) or nested lists: our code calls no such operation
    return Paging(str(names[0]), str(names[1]), results, paginator.get("limit_key"), paginator.get("more_results"))


def _from_members(model: OperationModel) -> Paging | None:
    if model.input_shape is None or model.output_shape is None:
        return None
    inputs, outputs = model.input_shape.members, model.output_shape.members
    token = next((name for name in _TOKENS if name in inputs and name in outputs), None)
    results = tuple(name for name, shape in outputs.items() if shape.type_name == "list")
    if token is None or not results:
        return None
    return Paging(token, token, results, next((name for name in _LIMITS if name in inputs), None))


def is_whole(service: str, operation: str, parameters: Mapping[str, Any]) -> bool:
    """Whether AWS answers this call in one piece, although the operation has pages."""
    selection = _WHOLE_WITH.get((service, operation))
    if selection is not None and parameters.get(selection):
        return True
    paging = paged(service, operation)
    limit = paging.limit if paging is not None else None
    return service in _WHOLE_WITHOUT_LIMIT and (limit is None or not parameters.get(limit))


def invalid_token_code(service: str, operation: str) -> str:
    """Return the error code for a token that AWS did not give: from the operation's model, else the protocol's."""
    model = operation_model(service, operation)
    listed = [shape.metadata.get("error", {}).get("code", shape.name) for shape in model.error_shapes] if model else []
    for part in ("Token", "InvalidParameter", "InvalidInput", "ValidationException", "ValidationError"):
        code = next((code for code in listed if part in code and "Exists" not in code), None)
        if code is not None:
            return str(code)
    is_query = model is not None and model.service_model.metadata["protocol"] == "query"
    return "ValidationError" if is_query else "ValidationException"
