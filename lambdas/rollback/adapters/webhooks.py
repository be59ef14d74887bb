"""Incoming webhooks by HTTPS. `bootstrap` imports this module late, since httpx takes a while to load."""

from collections.abc import Mapping

import httpx
from pydantic import SecretStr

from rollback.errors import CallRefused, ExternalServiceError, RefusalKind, Throttled
from rollback.text import service_message, without_secret

_TIMEOUT = httpx.Timeout(3.0)
_TRANSIENT = frozenset({408, 425})
_QUOTED = 200
_KINDS = {401: RefusalKind.ACCESS, 403: RefusalKind.ACCESS, 404: RefusalKind.NOT_FOUND, 410: RefusalKind.NOT_FOUND}
# Slack and Teams answer 429 with the seconds to wait (https://docs.slack.dev/apis/web-api/rate-limits).
_RETRY_AFTER = "Retry-After"


class HttpxWebhooks:
    """Adapter. No text names the URL, and of an answer only its first characters are quoted."""

    def __init__(self) -> None:
        self._client = httpx.Client(
            headers={"User-Agent": "rollback-delivery", "Content-Type": "application/json"},
            timeout=_TIMEOUT,
            follow_redirects=False,
            trust_env=False,
        )

    def post(self, url: SecretStr, body: bytes, headers: Mapping[str, str]) -> None:
        """Send the request once."""
        secret = url.get_secret_value()
        try:
            answer = self._client.post(secret, content=body, headers=dict(headers))
        # `from None`, since an error of httpx may quote the URL.
        except (httpx.InvalidURL, httpx.UnsupportedProtocol):
            raise CallRefused("the webhook's URL is not valid: put a valid URL into its secret") from None
        except httpx.TimeoutException:
            raise ExternalServiceError("the webhook gave no answer in time; the message may have arrived") from None
        except httpx.HTTPError as error:
            raise ExternalServiceError(f"the webhook can't be reached: {type(error).__name__}") from None
        if answer.is_success:
            return
        said = service_message(without_secret(answer.text, secret), _QUOTED)
        text = f"the webhook answered {answer.status_code}: {said or 'without a text'}"
        if answer.status_code == httpx.codes.TOO_MANY_REQUESTS:
            wait = service_message(without_secret(answer.headers.get(_RETRY_AFTER, ""), secret), _QUOTED)
            raise Throttled(f"{text}; it asks to wait {wait or 'an unknown number of'} seconds")
        if answer.status_code in _TRANSIENT or answer.is_server_error:
            raise ExternalServiceError(text)
        raise CallRefused(text, kind=_KINDS.get(answer.status_code, RefusalKind.REQUEST))
