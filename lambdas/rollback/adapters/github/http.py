"""HTTP requests to GitHub's REST API: headers, time limits, redirects and pages.

A change is sent once. Redirects are followed to the same API only, so that no credential leaves it. GitHub redirects
requests for a repository that was renamed or moved, and asks to repeat the same request at the new URL
(https://docs.github.com/en/rest/using-the-rest-api/best-practices-for-using-the-rest-api).
"""

import time
from collections.abc import Callable, Iterator, Mapping
from typing import Any, Protocol

import httpx

from rollback.adapters.github.errors import next_after_unknown, translate_response
from rollback.errors import CallRefused, ExternalServiceError, RefusalKind, Throttled

API_VERSION = "2022-11-28"  # GitHub Enterprise Server supports it too; a newer version may not be there
# GitHub ends a request after 10 s; a delivery has less time, and looks for the effect of a change without an answer.
_CONNECT_SECONDS, _READ_SECONDS = 2.0, 4.0
_MAX_REDIRECTS = 3
_SCHEME = "Bearer "
_REDIRECTS = frozenset({301, 302, 307, 308})
_PAGE = 100
_MAX_PAGES = 50
_NEVER_SENT = (httpx.ConnectError, httpx.ConnectTimeout, httpx.PoolTimeout)

Query = Mapping[str, str | int]
Send = Callable[[str, Mapping[str, Any], str], Any]  # path, body and token of a POST request


class Credential(Protocol):
    """Source of the token that a request carries."""

    def token(self, send: Send) -> str:
        """Return the token. `send` makes a POST request with a token of its own."""
        ...

    def renew(self) -> bool:
        """Forget a token that GitHub refused, and report whether another one may be accepted."""
        ...


class GitHubHttp:
    """HTTP client for one repository; thread-safe, as httpx's client is.

    Args:
        credential: source of the token; the token is neither shown nor logged.
        api_url: URL of the API.
        repository: owner/name, for the texts of errors.
        now: seconds since 1970.
        read_seconds: time limit of an answer.
    """

    def __init__(
        self,
        credential: Credential,
        api_url: str,
        repository: str,
        now: Callable[[], float] = time.time,
        read_seconds: float = _READ_SECONDS,
    ) -> None:
        self._credential, self._repository, self._now = credential, repository, now
        self._base = httpx.URL(api_url.rstrip("/") + "/")
        self._client = httpx.Client(
            headers={
                "User-Agent": "macro-ai-rollback",  # GitHub refuses requests without one
                "Accept": "application/vnd.github+json",
                "X-GitHub-Api-Version": API_VERSION,
            },
            timeout=httpx.Timeout(read_seconds, connect=_CONNECT_SECONDS),
            # A connection kept while Lambda froze the function may be dead; a change on it would have no known outcome.
            limits=httpx.Limits(max_keepalive_connections=0),
            follow_redirects=False,
        )

    def read(self, path: str) -> Any:
        """Send a GET request.

        Raises:
            ExternalServiceError: GitHub refused or gave no answer; the class says which.
        """
        return self._json(f"GET {path}", self._send("GET", self._url(path), None))

    def pages(self, path: str, query: Query, member: str | None = None) -> Iterator[Any]:
        """Iterate over the items of a list, page by page along the header `Link`.

        Args:
            path: path of the list.
            query: parameters besides the size of a page.
            member: member of the answer that has the list; None: the answer is the list.

        Raises:
            ExternalServiceError: as for `read`; or the list does not end.
        """
        url = self._url(path).copy_merge_params({**query, "per_page": _PAGE})
        for _ in range(_MAX_PAGES):
            answer = self._send("GET", url, None)
            body = self._json(f"GET {path}", answer)
            items = body.get(member) if member is not None and isinstance(body, dict) else body
            if not isinstance(items, list):
                raise ExternalServiceError(f"GitHub answered GET {path} with something else than a list")
            yield from items
            following = answer.links.get("next", {}).get("url")
            if following is None:
                return
            url = self._same_api(f"GET {path}", answer.url.join(following))
        raise ExternalServiceError(f"GitHub's list at {path} has more than {_MAX_PAGES} pages; the rest was not read")

    def change(self, method: str, path: str, body: Mapping[str, Any]) -> Any:
        """Send a POST or PATCH request once.

        Raises:
            Throttled: nothing was done.
            CallRefused: nothing was done, and the same request would be refused again.
            ExternalServiceError: the change may have been made.
        """
        return self._json(f"{method} {path}", self._send(method, self._url(path), body))

    def _send(self, method: str, url: httpx.URL, body: Mapping[str, Any] | None) -> httpx.Response:
        answer = self._send_as(method, url, body, self._credential.token(self._with_own_token))
        if answer.status_code == 401 and self._credential.renew():  # nothing was done
            answer = self._send_as(method, url, body, self._credential.token(self._with_own_token))
        return answer

    def _with_own_token(self, path: str, body: Mapping[str, Any], token: str) -> Any:
        """Send a request of the credential itself, which exchanges a key for a token."""
        return self._json(f"POST {path}", self._send_as("POST", self._url(path), body, token))

    def _send_as(self, method: str, url: httpx.URL, body: Mapping[str, Any] | None, token: str) -> httpx.Response:
        what = f"{method} {url.path}"
        if not token.isascii() or not token.isprintable() or " " in token or not token:  # httpx would quote it
            raise CallRefused(
                "the secret of github holds no token; store the token there as one line of text",
                action=what,
                resource=self._repository,
                kind=RefusalKind.CREDENTIALS,
            )
        for _ in range(_MAX_REDIRECTS + 1):
            answer = self._once(what, method, url, body, token)
            location = answer.headers.get("location")
            if answer.status_code not in _REDIRECTS or not location:
                return answer
            url = self._same_api(what, answer.url.join(location))
        raise CallRefused(
            f"GitHub redirected {what} more than {_MAX_REDIRECTS} times: set github.repository to its present name",
            action=what,
            resource=self._repository,
        )

    def _once(
        self, what: str, method: str, url: httpx.URL, body: Mapping[str, Any] | None, token: str
    ) -> httpx.Response:
        headers = {"Authorization": f"{_SCHEME}{token}"}
        try:
            return self._client.request(method, url, json=body, headers=headers)
        except _NEVER_SENT as error:
            raise Throttled(f"{what} was not sent: {type(error).__name__}; send it again later") from None
        except httpx.HTTPError as error:  # its text may quote the request
            text = f"{what} got no answer: {type(error).__name__}; {next_after_unknown(what)}"
            raise ExternalServiceError(text) from None

    def _json(self, what: str, answer: httpx.Response) -> Any:
        try:
            body = answer.json()
        except ValueError:
            body = None
        if answer.is_success and body is not None:
            return body
        if answer.is_success:
            raise ExternalServiceError(f"GitHub answered {what} with {answer.status_code}, but not with JSON")
        members = body if isinstance(body, dict) else {}
        token = answer.request.headers.get("Authorization", "").removeprefix(_SCHEME)
        raise translate_response(
            what, self._repository, answer.status_code, answer.headers, members, self._now(), token
        )

    def _url(self, path: str) -> httpx.URL:
        return self._base.join(path.lstrip("/"))

    def _same_api(self, what: str, url: httpx.URL) -> httpx.URL:
        """Return the URL if it lies in the same API; the credential is for no other server."""
        is_same = (url.scheme, url.host, url.port) == (self._base.scheme, self._base.host, self._base.port)
        if is_same and url.path.startswith(self._base.path) and not url.userinfo:
            return url
        raise CallRefused(
            f"GitHub redirected {what} to another server, {url.host}, which gets no credential: set github.api_url and "
            "github.repository to the new place",
            action=what,
            resource=self._repository,
        )
