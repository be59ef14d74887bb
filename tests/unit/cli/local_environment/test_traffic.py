"""`rollback local traffic` counts every answer, and those that never came."""

import io
import sys
import threading
from collections import Counter
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from local_cloud.elb.load import Answer
from rollback_cli.local_environment.traffic import Answers, send
from rollback_cli.verbs.development.local.traffic import _Printer


class Handler(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        status = 500 if self.path == "/api/ping" else 200
        body = b'{"version": "v1.0.0"}'
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - fixed by http.server
        """Write nothing."""


@pytest.fixture
def url() -> Iterator[str]:
    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.05,))
        thread.start()
        yield f"http://127.0.0.1:{server.server_address[1]}"
        server.shutdown()
        thread.join()


def answers(*given: Answer) -> Answers:
    counted = Answers()
    for answer in given:
        counted.add(answer)
    return counted


def test_the_line_of_a_second_has_statuses_latencies_and_versions() -> None:
    line = answers(
        Answer(200, "v1.0.0", 0.004), Answer(500, "v1.1.0", 0.008), Answer(503, "", 0.001), Answer(None, "", 10)
    ).describe()
    assert line == (
        "200: 1  500: 1  503: 1  no answer: 1  |  median 8 ms, p95 10000 ms  |  no version 2, v1.0.0 1, v1.1.0 1"
    )


def test_a_second_without_answers_is_no_zero() -> None:
    assert Answers().describe() == "no answer yet"


def test_every_request_is_counted_once_and_both_paths_are_asked(url: str) -> None:
    reported: list[Answers] = []
    totals = send(url, 50, 2, reported.append)
    assert set(totals) == {"200", "500"}
    assert sum((second.statuses for second in reported), Counter()) <= totals
    assert all(set(second.versions) <= {"v1.0.0"} for second in reported)


def test_requests_without_an_answer_are_counted_as_such() -> None:
    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as closed:
        port = closed.server_address[1]
    assert set(send(f"http://127.0.0.1:{port}", 50, 1, lambda _: None)) == {"no answer"}


def test_control_c_ends_the_requests_and_keeps_the_counts(url: str) -> None:
    def interrupt(second: Answers) -> None:
        if second.statuses:
            raise KeyboardInterrupt

    assert sum(send(url, 50, None, interrupt).values()) > 0


def test_a_terminal_keeps_the_line_of_a_change_and_overwrites_the_others(monkeypatch: pytest.MonkeyPatch) -> None:
    output = io.StringIO()
    monkeypatch.setattr(sys, "stdout", output)
    printer = _Printer(is_live=True)
    for status in (200, 200, 500):
        printer.print(answers(Answer(status, "v1.0.0", 0.01)))
    assert output.getvalue().count("\n") == 2
    assert output.getvalue().count("\r") == 3


def test_a_pipe_gets_a_line_for_each_second(monkeypatch: pytest.MonkeyPatch) -> None:
    output = io.StringIO()
    monkeypatch.setattr(sys, "stdout", output)
    printer = _Printer(is_live=False)
    for _ in range(3):
        printer.print(answers(Answer(200, "v1.0.0", 0.01)))
    assert output.getvalue().count("\n") == 3
    assert "\r" not in output.getvalue()
