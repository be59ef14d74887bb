"""Pages of answers: moto answers most of AWS's paged operations whole.

This layer lies between HTTP and moto's operations, so that moto's own calls keep their answers. The layer takes token
and limit out of the request, cuts moto's answer, and hands out tokens of its own. For DynamoDB's items and the events
of a log stream it sets the request's limit instead, because their positions are keys that moto knows. S3's requests
take another way through moto and stay as they are. Changes `moto.core.responses.BaseResponse.call_action`.
"""

import base64
import binascii
import contextlib
import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import botocore.parsers
from moto.core.responses import BaseResponse, determine_request_protocol
from moto.core.serialize import get_serializer_class
from moto.core.utils import get_service_model

from local_cloud.aws_requests import RefusedRequest, error_answer, parameters_of
from local_cloud.moto_fixes.pagination_model import (
    BEGINS_EMPTY,
    Paging,
    invalid_token_code,
    is_whole,
    operation_model,
    paged,
)

DEFAULT_PAGE_SIZE = 2
_LIMITED_IN_THE_REQUEST = {
    ("dynamodb", "Query"): "Limit",
    ("dynamodb", "Scan"): "Limit",
    ("dynamodb", "ListTables"): "Limit",
    ("logs", "GetLogEvents"): "limit",
}
# Only the first page is short: these lists have thousands of events, and moto computes all of them for each page.
_LONG_AFTER_THE_FIRST_PAGE = {("stepfunctions", "GetExecutionHistory"): 1000, ("logs", "FilterLogEvents"): 1000}
_HANDLED_ELSEWHERE = frozenset({"s3", "s3control"})
_stock_call = BaseResponse.call_action


@dataclass(frozen=True)
class _PagePosition:
    """The beginning of the next page. It names no resource: the CDK continues by ARN where it began by name."""

    operation: str
    offset: int
    inner: str | None  # moto's own token for the page that this layer cuts

    def token(self) -> str:
        text = json.dumps([self.operation, self.offset, self.inner])
        return base64.urlsafe_b64encode(text.encode()).decode()


class _InvalidToken(Exception):
    """The token is not one that this layer gave for this operation."""


def install(page_size: int) -> None:
    """Cut answers to at most `page_size` items. Call this after `identity.install`, so that refusals stay refusals."""
    call_original = BaseResponse.call_action

    def call_action(response: Any) -> Any:
        return _answer(response, call_original, page_size)

    BaseResponse.call_action = call_action


def uninstall() -> None:
    """Answer as moto does. This also removes every layer that was installed above."""
    BaseResponse.call_action = _stock_call


def _answer(response: Any, call_original: Callable[[Any], Any], page_size: int) -> Any:
    service, operation = response.boto3_service_name, response._get_action()
    if not operation or service in _HANDLED_ELSEWHERE or operation_model(service, operation) is None:
        return call_original(response)
    in_request = _LIMITED_IN_THE_REQUEST.get((service, operation))
    if in_request is not None:
        limit = response._get_param(in_request)
        _set_parameter(response, in_request, min(page_size, int(limit)) if limit else page_size)
        return call_original(response)
    paging = paged(service, operation)
    if paging is None:
        return call_original(response)
    parameters = parameters_of(response, operation)
    if is_whole(service, operation, parameters):
        return call_original(response)
    return _PagedCall(response, service, operation, paging, parameters).answer(call_original, page_size)


class _PagedCall:
    """One call of an operation with pages."""

    def __init__(
        self, response: Any, service: str, operation: str, paging: Paging, parameters: Mapping[str, Any]
    ) -> None:
        self._response, self._service, self._operation, self._paging = response, service, operation, paging
        self._limit = parameters.get(paging.limit) if paging.limit else None
        self._token = parameters.get(paging.input_token)

    def answer(self, call_original: Callable[[Any], Any], page_size: int) -> Any:
        try:
            position = self._position()
        except _InvalidToken:
            code = invalid_token_code(self._service, self._operation)
            message = "Invalid token: it is malformed, or belongs to another operation."
            return error_answer(self._response, RefusedRequest(code, message))
        if self._paging.limit:
            _remove_parameter(self._response, self._operation, self._paging.limit)
        if self._token:
            _remove_parameter(self._response, self._operation, self._paging.input_token)
        if position.inner is not None:
            _set_parameter(self._response, self._paging.input_token, position.inner)
        status, headers, body = call_original(self._response)
        if int(status) >= 300:
            return status, headers, body
        return self._page(position, page_size, status, headers, body)

    def _position(self) -> _PagePosition:
        if not self._token:
            return _PagePosition(self._operation, 0, None)
        try:
            operation, offset, inner = json.loads(base64.urlsafe_b64decode(str(self._token).encode()))
        except (ValueError, TypeError, binascii.Error) as error:
            raise _InvalidToken from error
        if operation != self._operation:
            raise _InvalidToken
        return _PagePosition(operation, int(offset), inner)

    def _page(self, position: _PagePosition, page_size: int, status: int, headers: dict[str, Any], body: Any) -> Any:
        parsed = self._parsed(status, headers, body)
        if self._token:
            page_size = _LONG_AFTER_THE_FIRST_PAGE.get((self._service, self._operation), page_size)
        paging, size = self._paging, min(page_size, int(self._limit)) if self._limit else page_size
        begins_empty = (self._service, self._operation) in BEGINS_EMPTY and not self._token
        inner = parsed.get(paging.output_token)
        total = sum(len(parsed.get(name) or ()) for name in paging.results)
        end = position.offset + (0 if begins_empty else size)
        following: _PagePosition | None = None
        if end < total or (begins_empty and total):
            following = _PagePosition(self._operation, end, position.inner)
        elif inner:
            following = _PagePosition(self._operation, 0, str(inner))
        if following is None and not position.offset:
            return status, headers, body  # one page holds all of it
        _slice_results(parsed, paging.results, position.offset, end)
        parsed.pop(paging.output_token, None)
        if following is not None:
            parsed[paging.output_token] = following.token()
        if paging.more is not None:
            parsed[paging.more] = following is not None
        return self._serialized(parsed, headers)

    def _model(self) -> tuple[Any, Any]:
        service = get_service_model(self._response.boto3_service_name)
        return service, service.operation_model(self._operation)

    def _parsed(self, status: int, headers: Mapping[str, Any], body: Any) -> dict[str, Any]:
        service, operation = self._model()
        protocol = determine_request_protocol(service, self._response.normalized_request.content_type)
        content = body.encode() if isinstance(body, str) else body
        lowered = {str(name).lower(): value for name, value in headers.items()}
        answer = {"status_code": int(status), "headers": lowered, "body": content}
        parsed: dict[str, Any] = botocore.parsers.create_parser(protocol).parse(answer, operation.output_shape)
        parsed.pop("ResponseMetadata", None)
        return parsed

    def _serialized(self, parsed: dict[str, Any], headers: dict[str, Any]) -> Any:
        service, operation = self._model()
        protocol = self._response.determine_response_protocol(service)
        serializer = get_serializer_class(service.service_name, protocol)(operation)
        written = serializer.serialize(parsed)
        original_headers = {name: value for name, value in headers.items() if str(name).lower() != "content-length"}
        return _enriched(
            self._response, (written["status_code"], {**original_headers, **written["headers"]}, written["body"])
        )


def _slice_results(parsed: dict[str, Any], results: tuple[str, ...], start: int, end: int) -> None:
    """Cut several lists (metric and composite alarms) as one: a page continues in the second list."""
    offset = 0
    for name in results:
        items = parsed.get(name)
        if items is None:
            continue
        parsed[name] = items[max(0, start - offset) : max(0, end - offset)]
        offset += len(items)


def _enriched(response: Any, answer: Any) -> Any:
    status, headers, body = answer
    headers, body = response._enrich_response(headers, body)
    return status, headers, body


def _remove_parameter(response: Any, operation: str, name: str) -> None:
    """Remove a parameter from every place in which moto looks for it."""
    shape = operation_model(response.boto3_service_name, operation).input_shape.members[name]  # type: ignore[union-attr]
    for written in {name, str(shape.serialization.get("name", name))}:
        response.querystring.pop(written, None)
        with contextlib.suppress(AttributeError, KeyError):
            del response.params[written]
        body = _json_body(response)
        if body is not None and written in body:
            response.body = json.dumps({key: value for key, value in body.items() if key != written})


def _set_parameter(response: Any, name: str, value: Any) -> None:
    """Set a parameter in the place in which moto looks for it."""
    if response.automated_parameter_parsing:
        response.params[name] = value
        return
    body = _json_body(response)
    if body is not None:
        response.body = json.dumps({**body, name: value})
    else:
        response.querystring[name] = [str(value)]


def _json_body(response: Any) -> dict[str, Any] | None:
    if not isinstance(response.body, str | bytes) or not response.body:
        return None
    try:
        body = json.loads(response.body)
    except ValueError:
        return None
    return body if isinstance(body, dict) else None
