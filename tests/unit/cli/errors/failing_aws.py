"""HTTP server of one error: every request of an AWS client gets the same answer."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import parse_qs

_CALLER = """<GetCallerIdentityResponse><GetCallerIdentityResult><Account>111122223333</Account>
</GetCallerIdentityResult></GetCallerIdentityResponse>"""
_ERROR = """<ErrorResponse><Error><Type>Sender</Type><Code>{code}</Code><Message>{message}</Message></Error>
<RequestId>0f7c1b2e-request</RequestId></ErrorResponse>"""
_STACK = """<DescribeStacksResponse><DescribeStacksResult><Stacks><member><StackName>s</StackName>
<CreationTime>2026-03-01T03:00:00Z</CreationTime><StackStatus>CREATE_COMPLETE</StackStatus>
<Outputs>{outputs}</Outputs></member></Stacks></DescribeStacksResult></DescribeStacksResponse>"""
_OUTPUT = "<member><OutputKey>{name}</OutputKey><OutputValue>{value}</OutputValue></member>"


@dataclass(frozen=True)
class Answer:
    """Answer of CloudFormation; STS names the account 111122223333."""

    status: int
    body: str


def error(status: int, code: str, message: str) -> Answer:
    """Build an error as CloudFormation's query protocol has it."""
    return Answer(status, _ERROR.format(code=code, message=message))


def stack(**outputs: str) -> Answer:
    """Build a stack with outputs."""
    return Answer(200, _STACK.format(outputs="".join(_OUTPUT.format(name=n, value=v) for n, v in outputs.items())))


@contextmanager
def serve(answer: Answer) -> Iterator[str]:
    """Serve an answer on a free port, and yield the address."""

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            form = parse_qs(self.rfile.read(int(self.headers.get("Content-Length", 0))).decode())
            is_caller = form.get("Action") == ["GetCallerIdentity"]
            body = (_CALLER if is_caller else answer.body).encode()
            self.send_response(200 if is_caller else answer.status)
            self.send_header("Content-Type", "text/xml")
            self.send_header("Content-Length", str(len(body)))
            self.send_header("x-amzn-RequestId", "0f7c1b2e-request")
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: object) -> None:
            """Print nothing."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_address[1]}"
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
