"""Servers that quote the request in their answer: no error of an adapter shows the credential that it sent."""

import json
import threading
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import ClassVar

import pytest
from pydantic import SecretStr

from rollback.adapters.github.credentials import SecretToken
from rollback.adapters.github.http import GitHubHttp
from rollback.adapters.neon.http import NeonHttp
from rollback.adapters.postgres.session import open_session
from rollback.adapters.webhooks import HttpxWebhooks
from rollback.errors import ExternalServiceError
from rollback.resources.database.errors import QueryFailed
from rollback.text import without_secret

CANARY = "c4n4ry-s3cr3t"
STATUSES = (400, 401, 403, 404, 409, 422, 423, 429, 500, 503)


class QuotingServer(BaseHTTPRequestHandler):
    """Refuses every request with a message that quotes its path and its credential."""

    status: ClassVar[int] = 400

    def _refuse(self) -> None:
        self.rfile.read(int(self.headers.get("Content-Length", 0)))
        message = f"can't take {self.path} with {self.headers.get('Authorization')}, said the proxy"
        answer = json.dumps({"message": message, "errors": [message, {"message": message}]}).encode()
        self.send_response(self.status)
        self.send_header("Content-Length", str(len(answer)))
        self.send_header("Retry-After", "30")
        self.end_headers()
        self.wfile.write(answer)

    do_GET = do_POST = do_PATCH = do_DELETE = _refuse  # noqa: N815 - the base class's names

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the base class's name
        """Write no log."""


@pytest.fixture(scope="module")
def server() -> Iterator[str]:
    running = ThreadingHTTPServer(("127.0.0.1", 0), QuotingServer)
    thread = threading.Thread(target=running.serve_forever, args=(0.05,))
    thread.start()
    yield f"http://127.0.0.1:{running.server_address[1]}"
    running.shutdown()
    running.server_close()
    thread.join()


def _neon_reads(base: str) -> None:
    NeonHttp(lambda: CANARY, base, sleep=lambda _: None).read("/projects/p")


def _neon_changes(base: str) -> None:
    NeonHttp(lambda: CANARY, base).change("POST", "/projects/p/branches", {})


def _github(base: str) -> None:
    GitHubHttp(SecretToken(lambda: CANARY), base, "owner/name").change("POST", "/repos/owner/name/issues", {})


def _webhook_path(base: str) -> None:
    HttpxWebhooks().post(SecretStr(f"{base}/services/T0/B0/{CANARY}"), b"{}", {})


def _webhook_query(base: str) -> None:
    HttpxWebhooks().post(SecretStr(f"{base}/hook?sig={CANARY}&v=1"), b"{}", {})


@pytest.mark.parametrize("status", STATUSES)
@pytest.mark.parametrize("send", [_neon_reads, _neon_changes, _github, _webhook_path, _webhook_query])
def test_a_refusal_that_quotes_the_credential_is_shown_without_it(
    send: Callable[[str], None], status: int, server: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(QuotingServer, "status", status)
    with pytest.raises(ExternalServiceError, match="said the proxy") as failure:
        send(server)
    assert CANARY not in str(failure.value)


@pytest.mark.parametrize(
    "address",
    [
        f"postgresql://app:part@{CANARY}@127.0.0.1:1/db",
        f"postgresql://app:{CANARY}/part@127.0.0.1:1/db",
        f"postgresql://app:1/{CANARY}@127.0.0.1:1/db",
    ],
)
def test_a_password_that_a_uri_would_take_for_a_host_or_port_is_refused_unquoted(address: str) -> None:
    with (
        pytest.raises(QueryFailed, match="percent-encode the special characters") as failure,
        open_session(SecretStr(address)),
    ):
        raise AssertionError("no session is opened")
    assert CANARY not in str(failure.value)


@pytest.mark.parametrize(
    ("secret", "quoted"),
    [
        (CANARY, CANARY),
        (f"https://hooks.example/{CANARY}?v=1", f"POST /{CANARY}"),
        (f"https://hooks.example/a?sig={CANARY}%40", f"sig {CANARY}@ is unknown"),
        (f"https://hooks.example/a?sig={CANARY}%40", f"sig {CANARY}%40 is unknown"),
    ],
)
def test_each_part_of_a_secret_is_removed_decoded_or_not(secret: str, quoted: str) -> None:
    shown = without_secret(f"no: {quoted}", secret)
    assert CANARY not in shown
    assert shown.startswith("no: ")
