"""Answers to HTTP requests."""

from urllib.parse import urlsplit

from rollback.resources.aws.ecs_service import (
    ProbeResult,
)


class FakeHttp:
    """Answers by URL; an existing site without a set answer returns 200 in 10 ms, other sites do not answer."""

    def __init__(self, *sites: str) -> None:
        self.sites = set(sites) or {"http://api.test"}
        self.answers: dict[str, ProbeResult] = {}
        self.asked: list[str] = []

    def get(self, url: str, timeout_seconds: float, *, with_body: bool = False) -> ProbeResult:
        self.asked.append(url)
        answer = self.answers.get(url) or self._of_site(url)
        answer = answer if with_body else answer.model_copy(update={"body": ""})
        if answer.seconds > timeout_seconds:
            return ProbeResult(status=None, seconds=timeout_seconds, error=f"no answer within {timeout_seconds:g} s")
        return answer

    def _of_site(self, url: str) -> ProbeResult:
        try:
            parts = urlsplit(url)
        except ValueError as error:
            return ProbeResult(status=None, seconds=0.0, error=f"InvalidURL: {error}")
        if parts.scheme not in {"http", "https"}:
            return ProbeResult(status=None, seconds=0.0, error="UnsupportedProtocol: neither http:// nor https://")
        if f"{parts.scheme}://{parts.netloc}" not in self.sites or "//" in parts.path:
            return ProbeResult(status=None, seconds=0.01, error="ConnectError: Name or service not known")
        return ProbeResult(status=200, seconds=0.01)
