"""A request to an AWS API as moto has read it: its parameters by name, and an error in the request's protocol."""

import json
from typing import Any
from xml.sax.saxutils import escape

from moto.core.parse import PROTOCOL_PARSERS
from moto.core.responses import determine_request_protocol
from moto.core.utils import get_service_model


class RefusedRequest(Exception):
    """The cloud refuses the request.

    Attributes:
        code: AWS's error code.
        status: the HTTP status of the answer.
    """

    def __init__(self, code: str, message: str, status: int = 400) -> None:
        super().__init__(message)
        self.code = code
        self.status = status


def parameters_of(response: Any, operation: str) -> dict[str, Any]:
    """Return the parameters by the names of the API's model, whatever protocol the request has.

    Args:
        response: moto's `BaseResponse` of the request.
        operation: the API's name, such as `ListTasks`.
    """
    model = get_service_model(response.boto3_service_name)
    http = response.normalized_request
    parser = PROTOCOL_PARSERS[determine_request_protocol(model, http.content_type)]
    response._get_action_from_method_and_request_uri(http)  # also finds the parameters in the path
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


def error_answer(response: Any, refusal: RefusedRequest) -> Any:
    """Return status, headers and body of an error, in the protocol of the request.

    moto's own serializer writes only the codes that the API's model lists.
    """
    model = get_service_model(response.boto3_service_name)
    protocol = determine_request_protocol(model, response.normalized_request.content_type)
    headers = {
        "status": str(refusal.status),
        "x-amzn-errortype": refusal.code,
        "Content-Type": "application/json",
    }
    if "cbor" in protocol:
        headers |= {"Content-Type": "application/cbor", "smithy-protocol": "rpc-v2-cbor"}
        return refusal.status, headers, _cbor({"__type": refusal.code, "message": str(refusal)})
    if "json" in protocol:
        return (
            refusal.status,
            headers,
            json.dumps({"__type": refusal.code, "message": str(refusal)}),
        )
    headers["Content-Type"] = "text/xml"
    error = f"<Error><Type>Sender</Type><Code>{refusal.code}</Code><Message>{escape(str(refusal))}</Message></Error>"
    if protocol == "ec2":
        body = f"<Response><Errors>{error}</Errors><RequestID>local</RequestID></Response>"
    else:
        body = f"<ErrorResponse>{error}<RequestId>local</RequestId></ErrorResponse>"
    return refusal.status, headers, body


def _cbor(texts: dict[str, str]) -> bytes:
    """Encode a map of texts (RFC 8949): major type 5 with its count, then texts of type 3 with 16-bit lengths."""
    encoded = bytes([0xA0 + len(texts)])
    for text in (text for pair in texts.items() for text in pair):
        content = text.encode()
        encoded += b"\x79" + len(content).to_bytes(2, "big") + content
    return encoded
