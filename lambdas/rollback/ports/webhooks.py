"""Port to incoming webhooks of other systems."""

from collections.abc import Mapping
from typing import Protocol

from pydantic import SecretStr

from rollback.effects import changes_state


class Webhooks(Protocol):
    """Incoming webhooks. A URL is a credential: no error and no log names it."""

    @changes_state
    def post(self, url: SecretStr, body: bytes, headers: Mapping[str, str]) -> None:
        """Send one POST request with a JSON body, within a few seconds, without following a redirect.

        Raises:
            CallRefused: the receiver answered with 3xx or 4xx; a repeated request is refused too.
            Throttled: the receiver answered with 429.
            ExternalServiceError: 408, 425, 5xx, no answer, or no connection; the message may have arrived.
        """
        ...
