"""Posted messages of webhooks."""

from collections.abc import Mapping
from dataclasses import dataclass

from pydantic import SecretStr

from rollback.errors import RollbackError


@dataclass(frozen=True)
class PostedMessage:
    """One request."""

    url: SecretStr
    body: bytes
    headers: dict[str, str]


class FakeWebhooks:
    """Store the requests; a test may set an error as the answer."""

    def __init__(self) -> None:
        self.posted: list[PostedMessage] = []
        self.answer: RollbackError | None = None

    def post(self, url: SecretStr, body: bytes, headers: Mapping[str, str]) -> None:
        self.posted.append(PostedMessage(url, body, dict(headers)))
        if self.answer is not None:
            raise self.answer
