"""HTTP probes of a service. `bootstrap` imports this module late, since httpx takes a while to load."""

import time

import httpx

from rollback.resources.aws.ecs_service import ProbeResult

_MAX_BODY = 65_536


class HttpxHttp:
    """Adapter. Each probe has a connection of its own, since a kept connection would prove nothing."""

    def __init__(self) -> None:
        self._client = httpx.Client(
            headers={"User-Agent": "rollback-verify", "Cache-Control": "no-cache"},
            limits=httpx.Limits(max_keepalive_connections=0),
            follow_redirects=False,
            trust_env=False,
        )

    def get(self, url: str, timeout_seconds: float, *, with_body: bool = False) -> ProbeResult:
        """Read the body to its end; a redirect is an answer like others."""
        started = time.perf_counter()
        try:
            with self._client.stream("GET", url, timeout=timeout_seconds) as response:
                body = bytearray()
                for part in response.iter_bytes() if with_body else response.iter_raw():
                    body += part[: _MAX_BODY - len(body)] if with_body else b""
                    if time.perf_counter() - started > timeout_seconds:  # httpx limits each read, not the whole body
                        return _unanswered(started, f"body not complete after {timeout_seconds:g} s")
                text = bytes(body).decode(errors="replace")
                seconds = time.perf_counter() - started
                return ProbeResult(status=response.status_code, seconds=seconds, body=text)
        except httpx.TimeoutException:
            return _unanswered(started, f"no answer within {timeout_seconds:g} s")
        except (httpx.HTTPError, httpx.InvalidURL) as error:
            return _unanswered(started, f"{type(error).__name__}: {error}")


def _unanswered(started: float, error: str) -> ProbeResult:
    return ProbeResult(status=None, seconds=time.perf_counter() - started, error=error)
