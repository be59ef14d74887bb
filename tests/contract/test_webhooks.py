"""The webhook adapter against a local receiver: each answer becomes one kind of error, and none names the URL."""

import json
import socket
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import ClassVar

import pytest
from pydantic import SecretStr

from rollback.adapters import webhooks
from rollback.adapters.webhooks import HttpxWebhooks
from rollback.errors import CallRefused, ExternalServiceError, Throttled

TOKEN = "T0KEN-of-the-webhook"


class Receiver(BaseHTTPRequestHandler):
    """Answers with the status in the path, quotes the path, and keeps what it got."""

    got: ClassVar[list[tuple[dict[str, str], bytes]]] = []

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"]))
        self.got.append((dict(self.headers), body))
        status = self.path.split("/")[1]
        if status == "silence":
            released.wait(10)
            return
        text = f"no such hook: http://{self.headers['Host']}{self.path}".encode()
        self.send_response(int(status))
        self.send_header("Retry-After", "30")
        self.send_header("Location", "http://127.0.0.1:1/")
        self.send_header("Content-Length", str(len(text)))
        self.end_headers()
        self.wfile.write(text)

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the base class's name
        """Write no log."""


released = threading.Event()


@pytest.fixture
def receiver() -> Iterator[str]:
    Receiver.got.clear()
    released.clear()
    server = ThreadingHTTPServer(("127.0.0.1", 0), Receiver)
    thread = threading.Thread(target=server.serve_forever, args=(0.05,))
    thread.start()
    yield f"http://127.0.0.1:{server.server_address[1]}"
    released.set()
    server.shutdown()
    server.server_close()
    thread.join()


def post(base: str, path: str) -> None:
    HttpxWebhooks().post(SecretStr(f"{base}/{path}/{TOKEN}"), b'{"a": 1}', {"X-Rollback-Signature": "v1=x"})


def test_a_message_arrives_once_with_its_headers(receiver: str) -> None:
    post(receiver, "200")
    ((headers, body),) = Receiver.got
    assert json.loads(body) == {"a": 1}
    assert headers["Content-Type"] == "application/json"
    assert headers["X-Rollback-Signature"] == "v1=x"


@pytest.mark.parametrize("status", ["202", "204"])
def test_any_answer_of_success_counts(receiver: str, status: str) -> None:
    post(receiver, status)
    assert len(Receiver.got) == 1


@pytest.mark.parametrize(
    ("status", "error"),
    [
        ("302", CallRefused),
        ("400", CallRefused),
        ("403", CallRefused),
        ("404", CallRefused),
        ("408", ExternalServiceError),
        ("410", CallRefused),
        ("429", Throttled),
        ("500", ExternalServiceError),
        ("503", ExternalServiceError),
    ],
)
def test_each_answer_becomes_one_error_without_the_url(
    receiver: str, status: str, error: type[ExternalServiceError]
) -> None:
    with pytest.raises(ExternalServiceError, match=f"the webhook answered {status}") as failure:
        post(receiver, status)
    assert type(failure.value) is error
    assert TOKEN not in str(failure.value)
    assert len(Receiver.got) == 1


def test_throttling_says_how_long_to_wait(receiver: str) -> None:
    with pytest.raises(Throttled, match="wait 30 seconds"):
        post(receiver, "429")


def test_a_receiver_that_does_not_answer_leaves_the_outcome_unknown(
    receiver: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(webhooks, "_TIMEOUT", 0.2)
    with pytest.raises(ExternalServiceError, match="may have arrived") as failure:
        post(receiver, "silence")
    assert not isinstance(failure.value, CallRefused | Throttled)


def test_a_closed_port_is_a_failure_without_the_url() -> None:
    with socket.socket() as closed:
        closed.bind(("127.0.0.1", 0))
        base = f"http://127.0.0.1:{closed.getsockname()[1]}"
        with pytest.raises(ExternalServiceError, match="can't be reached: ConnectError") as failure:
            post(base, "200")
    assert TOKEN not in str(failure.value)


@pytest.mark.parametrize("url", ["", "x", "http://host:port", f"ftp://{TOKEN}/"])
def test_a_text_that_is_no_url_is_refused_without_the_text(url: str) -> None:
    with pytest.raises(CallRefused, match="URL is not valid") as failure:
        HttpxWebhooks().post(SecretStr(url), b"{}", {})
    assert TOKEN not in str(failure.value)
