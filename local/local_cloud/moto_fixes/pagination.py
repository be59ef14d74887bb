"""Cuts every answer that AWS gives in pages into small pages; moto answers most of them whole.

The layer lies between HTTP and moto's operations, so that moto's own calls stay as they are. It takes token and limit
out of the request, cuts what moto answers, and hands out tokens of its own. DynamoDB's items and the events of a log
stream are limited in the request instead: their places are keys, which moto knows.
Changes `moto.core.responses.BaseResponse.call_action`. S3 has a way of its own through moto, and is left alone.
"""

import base64
import binascii
import contextlib
import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import botocore.parsers
from moto.core.parse import PROTOCOL_PARSERS
from moto.core.responses import BaseResponse, determine_request_protocol
from moto.core.serialize import get_serializer_class
from moto.core.utils import get_service_model

from local_cloud.iam.identity import AccessDenied, refusal
from local_cloud.moto_fixes.pagination_model import (
    BEGINS_EMPTY,
    Paged,
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
_HANDLED_ELSEWHERE = frozenset({"s3", "s3control"})
_stock_call = BaseResponse.call_action


@dataclass(frozen=True)
class _PagePosition:
    """Where the next page begins; the CDK goes on with a change set's ARN where it began with its name."""

    operation: str
    offset: int
    inner: str | None  # moto's own token of the page that is being cut

    def token(self) -> str:
        text = json.dumps([self.operation, self.offset, self.inner])
        return base64.urlsafe_b64encode(text.encode()).decode()


class _InvalidToken(Exception):
    """A token that this layer did not give, or not for this operation."""


def install(page_size: int) -> None:
    """Cut answers to at most `page_size` items. Call it after the identity is installed: what is refused stays so."""
    call_original = BaseResponse.call_action

    def call_action(response: Any) -> Any:
        return _answer(response, call_original, page_size)

    BaseResponse.call_action = call_action


def uninstall() -> None:
    """Answer whole again."""
    BaseResponse.call_action = _stock_call


def _answer(response: Any, call_original: Callable[[Any], Any], page_size: int) -> Any:
    service, operation = response.boto3_service_name, response._get_action()
    if not operation or service in _HANDLED_ELSEWHERE or operation_model(service, operation) is None:
        return call_original(response)
    in_request = _LIMITED_IN_THE_REQUEST.get((service, operation))
    if in_request is not None:
        asked = response._get_param(in_request)
        _set_parameter(response, in_request, min(page_size, int(asked)) if asked else page_size)
        return call_original(response)
    how = paged(service, operation)
    if how is None:
        return call_original(response)
    parameters = _parameters(response, operation)
    if is_whole(service, operation, parameters):
        return call_original(response)
    return _PagedCall(response, service, operation, how, parameters).answer(call_original, page_size)


class _PagedCall:
    """One call of an operation with pages."""

    def __init__(self, response: Any, service: str, operation: str, how: Paged, parameters: Mapping[str, Any]) -> None:
        self._response, self._service, self._operation, self._how = response, service, operation, how
        self._limit = parameters.get(how.limit) if how.limit else None
        self._token = parameters.get(how.input_token)

    def answer(self, call_original: Callable[[Any], Any], page_size: int) -> Any:
        try:
            place = self._place()
        except _InvalidToken:
            code = invalid_token_code(self._service, self._operation)
            return refusal(
                self._response, AccessDenied(code, "Invalid token: it is malformed, or another operation's.")
            )
        if self._how.limit:
            _remove_parameter(self._response, self._operation, self._how.limit)
        if self._token:
            _remove_parameter(self._response, self._operation, self._how.input_token)
        if place.inner is not None:
            _set_parameter(self._response, self._how.input_token, place.inner)
        status, headers, body = call_original(self._response)
        if int(status) >= 300:
            return status, headers, body
        return self._page(place, page_size, status, headers, body)

    def _place(self) -> _PagePosition:
        if not self._token:
            return _PagePosition(self._operation, 0, None)
        try:
            operation, offset, inner = json.loads(base64.urlsafe_b64decode(str(self._token).encode()))
        except (ValueError, TypeError, binascii.Error) as error:
            raise _InvalidToken from error
        if operation != self._operation:
            raise _InvalidToken
        return _PagePosition(operation, int(offset), inner)

    def _page(self, place: _PagePosition, page_size: int, status: int, headers: dict[str, Any], body: Any) -> Any:
        parsed = self._parsed(status, headers, body)
        how, size = self._how, min(page_size, int(self._limit)) if self._limit else page_size
        begins_empty = (self._service, self._operation) in BEGINS_EMPTY and not self._token
        inner = parsed.get(how.output_token)
        total = sum(len(parsed.get(name) or ()) for name in how.results)
        end = place.offset + (0 if begins_empty else size)
        following: _PagePosition | None = None
        if end < total or (begins_empty and total):
            following = _PagePosition(self._operation, end, place.inner)
        elif inner:
            following = _PagePosition(self._operation, 0, str(inner))
        if following is None and not place.offset:
            return status, headers, body  # whole: as moto wrote it
        _slice_results(parsed, how.results, place.offset, end)
        parsed.pop(how.output_token, None)
        if following is not None:
            parsed[how.output_token] = following.token()
        if how.more is not None:
            parsed[how.more] = following is not None
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
        kept = {name: value for name, value in headers.items() if str(name).lower() != "content-length"}
        return _enriched(self._response, (written["status_code"], {**kept, **written["headers"]}, written["body"]))


def _slice_results(parsed: dict[str, Any], results: tuple[str, ...], start: int, end: int) -> None:
    """Of several lists (metric and composite alarms) a page goes on in the second where the first ends."""
    before = 0
    for name in results:
        items = parsed.get(name)
        if items is None:
            continue
        parsed[name] = items[max(0, start - before) : max(0, end - before)]
        before += len(items)


def _enriched(response: Any, answer: Any) -> Any:
    status, headers, body = answer
    headers, body = response._enrich_response(headers, body)
    return status, headers, body


def _parameters(response: Any, operation: str) -> dict[str, Any]:
    """Parameters by the names of the model, whatever the protocol."""
    model = get_service_model(response.boto3_service_name)
    http = response.normalized_request
    parser = PROTOCOL_PARSERS[determine_request_protocol(model, http.content_type)]
    response._get_action_from_method_and_request_uri(http)  # finds the parameters that are in the path
    request = {
        "method": http.method,
        "values": http.values,
        "headers": http.headers,
        "body": http.data,
        "url_path": http.path,
        "url_params": response.uri_match,
    }
    parsed: dict[str, Any] = parser(model.operation_model(operation), map_type=dict).parse(request)
    return parsed


def _remove_parameter(response: Any, operation: str, name: str) -> None:
    """Forget a parameter, wherever moto would look for it."""
    shape = operation_model(response.boto3_service_name, operation).input_shape.members[name]  # type: ignore[union-attr]
    for written in {name, str(shape.serialization.get("name", name))}:
        response.querystring.pop(written, None)
        with contextlib.suppress(AttributeError, KeyError):
            del response.params[written]
        body = _json_body(response)
        if body is not None and written in body:
            response.body = json.dumps({key: value for key, value in body.items() if key != written})


def _set_parameter(response: Any, name: str, value: Any) -> None:
    """Set a parameter where moto looks for it."""
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
        found = json.loads(response.body)
    except ValueError:
        return None
    return found if isinstance(found, dict) else None
