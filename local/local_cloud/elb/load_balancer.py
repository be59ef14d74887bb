"""HTTP reverse proxies for the listeners of Application Load Balancers, and their metrics.

Requests take real time, so ``TargetResponseTime`` is in real seconds whatever the clock's scale. Metrics are published
every few simulated seconds. A listener follows only the ``forward`` of its default action.
"""

from __future__ import annotations

import contextlib
import http.client
import logging
import random
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from moto.elbv2.models import elbv2_backends

from local_cloud import clock
from local_cloud.elb import nodes, target_health
from local_cloud.elb.metrics import Counters, publish
from local_cloud.moto_fixes.cloudwatch import metric_statistics

PRIVATE_PREFIX = "127.10."  # loopback addresses that stand for a VPC's: a function outside a VPC has no route there
_ADDRESSES = {"internal": "127.10.0.1"}
METRIC_SECONDS = 5.0  # simulated
TARGET_TIMEOUT_SECONDS = 60.0  # real; ELB's default idle timeout
_MIN_INTERVAL_REAL_SECONDS = 0.05
_HOP_BY_HOP = {"connection", "keep-alive", "transfer-encoding", "content-length", "server", "date"}
_logger = logging.getLogger(__name__)
_round_robin = target_health.RoundRobin()
_proxies: dict[str, Proxy] = {}
_lock = threading.Lock()
_stopping = threading.Event()
_thread: threading.Thread | None = None
_wanted_port = 0


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    server: Proxy

    def _forward(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        group = self.server.target_group_arn()
        target = _round_robin.next_target(group) if group else None
        if group is None or target is None:
            self.server.counters.count_load_balancer_error(503)
            self._answer(503, [], b"503 Service Temporarily Unavailable")
            return
        headers = {k: v for k, v in self.headers.items() if k.lower() not in _HOP_BY_HOP}
        headers["X-Forwarded-For"] = self.client_address[0]
        connection = http.client.HTTPConnection("127.0.0.1", target.process_port, timeout=TARGET_TIMEOUT_SECONDS)
        started = time.monotonic()
        try:
            connection.request(self.command, self.path, body or None, headers)
            response = connection.getresponse()
            content = response.read()
        except (OSError, http.client.HTTPException) as error:
            status = 504 if isinstance(error, TimeoutError) else 502
            self.server.counters.count_connection_failure(group, status)
            self._answer(status, [], b"502 Bad Gateway" if status == 502 else b"504 Gateway Time-out")
            return
        finally:
            connection.close()
        self.server.counters.count_answer(group, response.status, time.monotonic() - started)
        self._answer(response.status, response.getheaders(), content)

    def _answer(self, status: int, headers: list[tuple[str, str]], body: bytes) -> None:
        self.send_response(status)
        for name, value in headers:
            if name.lower() not in _HOP_BY_HOP:
                self.send_header(name, value)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)

    do_GET = do_HEAD = do_POST = do_PUT = do_PATCH = do_DELETE = do_OPTIONS = _forward  # noqa: N815

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 (signature fixed by http.server)
        """Write no access log."""


def listen_on(port: int) -> None:
    """Give the next listener this port, if its address must be known before the stack is deployed."""
    global _wanted_port  # noqa: PLW0603 - one cloud per process
    _wanted_port = port


def _next_port() -> int:
    global _wanted_port
    port, _wanted_port = _wanted_port, 0
    return port


class Proxy(ThreadingHTTPServer):
    """A listener's socket on this machine."""

    daemon_threads = True
    request_queue_size = 256

    def __init__(self, load_balancer: Any, listener: Any) -> None:
        address = _ADDRESSES.get(str(load_balancer.scheme), "127.0.0.1")
        super().__init__((address, _next_port()), _Handler)
        self.load_balancer, self.listener = load_balancer, listener
        self.counters = Counters()
        threading.Thread(target=self.serve_forever, args=(0.05,), name="load balancer", daemon=True).start()

    def target_group_arn(self) -> str | None:
        """Draw the target group of the next request by weight; None if the listener forwards to none."""
        for action in self.listener.default_actions:
            if action.type != "forward":
                continue
            groups = action.data.get("ForwardConfig", {}).get("TargetGroups")
            if groups:
                weights = [float(group.get("Weight", 1)) for group in groups]
                return str(random.choices(groups, weights)[0]["TargetGroupArn"]) if sum(weights) else None
            if action.data.get("TargetGroupArn"):
                return str(action.data["TargetGroupArn"])
        return None

    def target_group_arns(self) -> set[str]:
        """Return every target group that the listener may forward to."""
        return {
            arn
            for action in self.listener.default_actions
            for arn in (
                action.data.get("TargetGroupArn"),
                *(group["TargetGroupArn"] for group in action.data.get("ForwardConfig", {}).get("TargetGroups", [])),
            )
            if arn
        }

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Ignore a client that hangs up, which is no error of the load balancer."""

    def close(self) -> None:
        """Stop listening."""
        self.shutdown()
        self.server_close()


def _load_balancer(arn: str) -> Any:
    _, _, _, region, account, _ = arn.split(":", 5)
    return elbv2_backends[account][region].load_balancers[arn]


def _proxy(load_balancer: Any, listener: Any) -> Proxy:
    with _lock:
        if listener.arn not in _proxies:
            _proxies[listener.arn] = Proxy(load_balancer, listener)
        proxy = _proxies[listener.arn]
        proxy.listener = listener  # moto makes another object when a listener is modified
        return proxy


def load_balancer_port(load_balancer_arn: str, listener_port: int | None = None) -> int:
    """Return the local port of a load balancer's listener.

    Args:
        load_balancer_arn: of the load balancer.
        listener_port: the listener's port in AWS; None: the first listener.

    Raises:
        LookupError: the load balancer has no such listener.
    """
    load_balancer = _load_balancer(load_balancer_arn)
    for listener in load_balancer.listeners.values():
        if listener_port is None or int(listener.port) == listener_port:
            return int(_proxy(load_balancer, listener).server_address[1])
    raise LookupError(
        f"load balancer {load_balancer_arn} has no listener{f' on {listener_port}' * bool(listener_port)}"
    )


def base_url(load_balancer_arn: str, listener_port: int | None = None) -> str:
    """Return the URL at which the load balancer answers on this machine."""
    port = load_balancer_port(load_balancer_arn, listener_port)
    address = _ADDRESSES.get(str(_load_balancer(load_balancer_arn).scheme), "127.0.0.1")
    return f"http://{address}:{port}"


def install() -> None:
    """Listen for every present and future load balancer, and publish its metrics."""
    global _thread  # noqa: PLW0603 (one publisher per process, as there is one moto)
    metric_statistics.install()
    if _thread is None:
        _stopping.clear()
        _thread = threading.Thread(target=_run, name="load balancer metrics", daemon=True)
        _thread.start()


def stop() -> None:
    """Close every listener."""
    global _thread  # noqa: PLW0603
    _stopping.set()
    if _thread is not None:
        _thread.join(timeout=10)
        _thread = None
    with _lock:
        for proxy in _proxies.values():
            proxy.close()
        _proxies.clear()
    nodes.forget()


def _run() -> None:
    while not _stopping.wait(max(_MIN_INTERVAL_REAL_SECONDS, clock.real_seconds(METRIC_SECONDS))):
        try:
            _follow_and_publish()
        except Exception:  # the last handler of this thread: the next interval must come
            _logger.exception("publishing load balancer metrics failed")


def _follow_and_publish() -> None:
    existing = {
        listener.arn: _proxy(load_balancer, listener)
        for account in list(elbv2_backends.values())
        for backend in list(account.values())
        for load_balancer in list(backend.load_balancers.values())
        for listener in list(load_balancer.listeners.values())
    }
    for arn in set(_proxies) - set(existing):
        with _lock, contextlib.suppress(KeyError):
            _proxies.pop(arn).close()
    for proxy in existing.values():
        publish(proxy.load_balancer.arn, proxy.target_group_arns(), proxy.counters.take())
