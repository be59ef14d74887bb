"""The local GitHub: its REST API on a port of this machine. It refuses what GitHub refuses.

Evidence for each answer is in docs/github.md, "The local GitHub".
"""

import base64
import json
import secrets
import threading
import time
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import TracebackType
from typing import Any, Self
from urllib.parse import parse_qsl, unquote, urlencode, urlsplit

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import padding, rsa

from local_cloud.github.faults import Fault, Faults
from local_cloud.github.repository import Answer, Clock, GitHubRefusal, Repository
from local_cloud.github.shapes import ACCESS_TOKENS, OPERATIONS, PERMISSIONS, Operation

_VERSIONS = frozenset({"2022-11-28", "2026-03-10"})
_DOCS = "https://docs.github.com/rest"
_DEFAULT_PAGE, _MAX_PAGE = 30, 100
_ALL_PERMISSIONS = {"statuses": "write", "deployments": "write", "issues": "write", "metadata": "read"}
_MAX_ASSERTION_SECONDS = 600


@dataclass(frozen=True)
class Access:
    """Rights of a token.

    Attributes:
        permissions: permission → `read` or `write`.
        repositories: names of the visible repositories; None: all.
        holder: kind of the token, in GitHub's refusals.
    """

    permissions: Mapping[str, str]
    repositories: frozenset[str] | None = None
    holder: str = "personal access token"
    expires_at: datetime | None = None

    def may(self, permission: str, level: str) -> bool:
        """Whether the token has a permission."""
        held = self.permissions.get(permission)
        return held == "write" or (held == "read" and level == "read")


@dataclass(frozen=True)
class App:
    """A GitHub App with one installation."""

    app_id: str
    installation_id: int
    public_key: rsa.RSAPublicKey
    access: Access


@dataclass(frozen=True)
class Request:
    """A request that reached the local GitHub, for tests."""

    method: str
    path: str
    query: Mapping[str, str]
    headers: Mapping[str, str]
    body: Any


@dataclass(frozen=True)
class Exchange:
    """A request with its answer."""

    request: Request
    status: int
    answer: Any


class LocalGitHub:
    """A GitHub with repositories, tokens and Apps. Attributes are what a test arranges and asserts."""

    def __init__(self, port: int = 0) -> None:
        self.faults, self.clock = Faults(), Clock()
        self.repositories: dict[str, Repository] = {}
        self.moved: dict[str, str] = {}  # former name → present name
        self.tokens: dict[str, Access] = {}
        self.apps: dict[int, App] = {}
        self.exchanges: list[Exchange] = []
        self._port = port
        self._lock = threading.RLock()
        self._server: _Server | None = None

    @property
    def base_url(self) -> str:
        """URL that stands for `https://api.github.com`.

        Raises:
            RuntimeError: the local GitHub does not run.
        """
        if self._server is None:
            raise RuntimeError("the local GitHub does not run: start it first")
        return f"http://127.0.0.1:{self._server.server_address[1]}"

    def start(self) -> Self:
        """Serve on a free port."""
        self._server = _Server(("127.0.0.1", self._port), _Handler)
        self._server.github = self
        threading.Thread(target=self._server.serve_forever, args=(0.05,), name="github", daemon=True).start()
        return self

    def stop(self) -> None:
        """End the server."""
        if self._server is not None:
            self._server.shutdown()
            self._server.server_close()
        self._server = None

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    def create_repository(self, name: str, *commits: str) -> Repository:
        """Make a repository with commits."""
        repository = Repository(name, len(self.repositories) + 1, self.base_url, self.clock)
        repository.commits |= set(commits)
        self.repositories[name.lower()] = repository
        return repository

    def create_token(
        self, permissions: Mapping[str, str] | None = None, repositories: frozenset[str] | None = None
    ) -> str:
        """Make a token, by default with all permissions on all repositories."""
        token = f"github_pat_{secrets.token_hex(20)}"
        self.tokens[token] = Access(_ALL_PERMISSIONS if permissions is None else permissions, repositories)
        return token

    def install_app(
        self, app_id: str, installation_id: int, key: rsa.RSAPublicKey, permissions: Mapping[str, str] | None = None
    ) -> None:
        """Install an App on all repositories."""
        access = Access(permissions or _ALL_PERMISSIONS, holder="integration")
        self.apps[installation_id] = App(app_id, installation_id, key, access)

    def move(self, old: str, new: str) -> None:
        """Rename or transfer a repository; requests for the former name are redirected."""
        repository = self.repositories.pop(old.lower())
        repository.name = new
        self.repositories[new.lower()] = repository
        self.moved[old.lower()] = new

    def answer(self, request: Request) -> tuple[int, Any, dict[str, str]]:
        """Return status, body and headers of the answer.

        Raises:
            GitHubRefusal: GitHub refuses the request.
        """
        self._check_headers(request)
        parameters = ACCESS_TOKENS.parameters(request.method, request.path)
        if parameters is not None:
            with self._lock:
                return 201, self._exchange_token(int(parameters["installation_id"]), request), {}
        access = self._access(request)
        operation, parameters, repository = self._operation(request, access)
        permission, level = operation.permission
        if not access.may(permission, level):
            headers = {"X-Accepted-GitHub-Permissions": f"{permission}={level}"}
            raise GitHubRefusal(403, f"Resource not accessible by {access.holder}", headers=headers)
        operation.check(request.query, request.body)
        with self._lock:
            return self._carry_out(operation, parameters, repository, request)

    def _check_headers(self, request: Request) -> None:
        if not request.headers.get("user-agent"):
            raise GitHubRefusal(403, "Request forbidden by administrative rules.")
        version = request.headers.get("x-github-api-version", "2022-11-28")
        if version not in _VERSIONS:
            raise GitHubRefusal(400, f"{version} is not a supported version")

    def _access(self, request: Request) -> Access:
        scheme, _, token = request.headers.get("authorization", "").partition(" ")
        access = self.tokens.get(token)
        is_expired = access is not None and access.expires_at is not None and self.clock.now() >= access.expires_at
        if scheme.lower() not in {"bearer", "token"} or access is None or is_expired:
            raise GitHubRefusal(401, "Bad credentials")
        return access

    def _operation(self, request: Request, access: Access) -> tuple[Operation, dict[str, str], Repository]:
        path = self._by_name(request.path)
        for operation in OPERATIONS:
            parameters = operation.parameters(request.method, path)
            if parameters is None:
                continue
            name = f"{parameters['owner']}/{parameters['repo']}".lower()
            if name in self.moved:
                moved_to = self.repositories[self.moved[name].lower()]
                rest = path.split("/", 4)[4]
                query = f"?{urlencode(request.query)}" if request.query else ""
                location = f"{self.base_url}/repositories/{moved_to.id}/{rest}{query}"
                raise GitHubRefusal(301, "Moved Permanently", headers={"Location": location})
            repository = self.repositories.get(name)
            is_visible = access.repositories is None or (repository and repository.name in access.repositories)
            if repository is None or not is_visible:
                raise GitHubRefusal(404, "Not Found")
            return operation, {key: unquote(value) for key, value in parameters.items()}, repository
        raise GitHubRefusal(404, "Not Found")

    def _by_name(self, path: str) -> str:
        """Return the path with owner and name in place of the id that a redirection names."""
        _, kind, identity, *rest = [*path.split("/"), "", ""]
        if kind != "repositories" or not identity.isdecimal():
            return path
        name = next((one.name for one in self.repositories.values() if one.id == int(identity)), "none/none")
        return "/".join(["", "repos", name, *(part for part in rest if part)])

    def _carry_out(  # noqa: PLR0912 - one case for each operation
        self, operation: Operation, parameters: Mapping[str, str], repository: Repository, request: Request
    ) -> tuple[int, Any, dict[str, str]]:
        body, query = request.body, dict(request.query)
        match operation.method, operation.template.removeprefix("/repos/{owner}/{repo}"):
            case "GET", "/commits/{ref}/status":
                combined = repository.combined_status(parameters["ref"])
                page, headers = self._page(combined["statuses"], request)
                return 200, {**combined, "statuses": page}, headers
            case "POST", "/statuses/{sha}":
                return 201, repository.add_status(parameters["sha"], body), {}
            case "GET", "/issues":
                return self._list(repository.list_issues(query), request)
            case "POST", "/issues":
                return 201, repository.create_issue(body), {}
            case "GET", "/issues/{issue_number}":
                return 200, repository.issue(_number(parameters["issue_number"])), {}
            case "PATCH", "/issues/{issue_number}":
                return 200, repository.update_issue(_number(parameters["issue_number"]), body), {}
            case "GET", "/issues/{issue_number}/comments":
                return self._list(repository.comments(_number(parameters["issue_number"])), request)
            case "POST", "/issues/{issue_number}/comments":
                return 201, repository.add_comment(_number(parameters["issue_number"]), body), {}
            case "GET", "/deployments":
                return self._list(_selected(repository.deployments, query), request)
            case "GET", "/deployments/{deployment_id}/statuses":
                identity = _number(parameters["deployment_id"])
                if identity not in repository.deployment_statuses:
                    raise GitHubRefusal(404, "Not Found")
                return self._list(repository.deployment_statuses[identity], request)
            case "POST", "/deployments/{deployment_id}/statuses":
                return 201, repository.add_deployment_status(_number(parameters["deployment_id"]), body), {}
            case other:
                raise AssertionError(f"no answer to {other}")

    def _list(self, items: list[Answer], request: Request) -> tuple[int, Any, dict[str, str]]:
        page, headers = self._page(items, request)
        return 200, page, headers

    def _page(self, items: list[Answer], request: Request) -> tuple[list[Answer], dict[str, str]]:
        """Return a page and the header `Link`, which names the next page."""
        size = min(int(request.query.get("per_page") or _DEFAULT_PAGE), _MAX_PAGE) or _DEFAULT_PAGE
        number = max(int(request.query.get("page") or 1), 1)
        page = items[(number - 1) * size : number * size]
        if number * size >= len(items):
            return page, {}
        following = urlencode({**request.query, "page": number + 1})
        return page, {"Link": f'<{self.base_url}{request.path}?{following}>; rel="next"'}

    def _exchange_token(self, installation_id: int, request: Request) -> Answer:
        """Make an installation's token for a signed assertion.

        Raises:
            GitHubRefusal: 401, the assertion is wrong; 404, no such installation; 422, more permissions than it has.
        """
        app = self.apps.get(installation_id)
        assertion = request.headers.get("authorization", "").partition(" ")[2]
        issuer = self._issuer(assertion)
        if app is None or issuer != app.app_id:
            raise GitHubRefusal(404, "Not Found")
        ACCESS_TOKENS.check(request.query, request.body)
        wanted = request.body.get("permissions") or dict(app.access.permissions)
        unknown = wanted.keys() - PERMISSIONS
        if unknown or not all(app.access.may(name, level) for name, level in wanted.items()):
            raise GitHubRefusal(422, "The permissions requested are not granted to this installation.")
        token, expires_at = f"ghs_{secrets.token_hex(18)}", self.clock.now() + timedelta(hours=1)
        self.tokens[token] = Access({**wanted, "metadata": "read"}, holder="integration", expires_at=expires_at)
        return {
            "token": token,
            "expires_at": f"{expires_at.astimezone(UTC):%Y-%m-%dT%H:%M:%SZ}",
            "permissions": wanted,
            "repository_selection": "all",
        }

    def _issuer(self, assertion: str) -> str:
        """Return the App that signed an assertion.

        Raises:
            GitHubRefusal: 401, GitHub's answer to each kind of wrong assertion.
        """
        try:
            unsigned, _, signature = assertion.rpartition(".")
            header, claims = (json.loads(_decode(part)) for part in unsigned.split("."))
        except ValueError:
            raise GitHubRefusal(401, "A JSON web token could not be decoded") from None
        if header.get("alg") != "RS256":
            raise GitHubRefusal(401, "A JSON web token could not be decoded")
        issuer, now = str(claims.get("iss")), self.clock.now().timestamp()
        keys = [app.public_key for app in self.apps.values() if app.app_id == issuer]
        if not keys:
            raise GitHubRefusal(401, "'Issuer' claim ('iss') must be an Integer")
        try:
            keys[0].verify(_decode(signature), unsigned.encode(), padding.PKCS1v15(), hashes.SHA256())
        except InvalidSignature:
            raise GitHubRefusal(401, "A JSON web token could not be decoded") from None
        if claims["iat"] > now:
            raise GitHubRefusal(401, "'Issued at' claim ('iat') must be an Integer representing a time in the past")
        if not now < claims["exp"] <= now + _MAX_ASSERTION_SECONDS:
            raise GitHubRefusal(401, "'Expiration time' claim ('exp') is too far in the future")
        return issuer


def _selected(deployments: list[Answer], query: Mapping[str, str]) -> list[Answer]:
    filters = {name: query[name] for name in ("sha", "ref", "task", "environment") if name in query}
    chosen = [one for one in deployments if all(one[name] == value for name, value in filters.items())]
    return list(reversed(chosen))


def _number(text: str) -> int:
    if not text.isdecimal():
        raise GitHubRefusal(404, "Not Found")
    return int(text)


def _decode(part: str) -> bytes:
    return base64.urlsafe_b64decode(part + "=" * (-len(part) % 4))


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    github: LocalGitHub


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    server: _Server

    def _serve(self) -> None:
        url = urlsplit(self.path)
        content = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        fault = self.server.github.faults.next(self.command, url.path)
        if fault is not None and not fault.is_applied_first:
            self._fail(fault)
            return
        request: Request | None = None
        headers: dict[str, str] = {}
        try:
            request = self._request(url.path, url.query, content)
            status, answer, headers = self.server.github.answer(request)
        except GitHubRefusal as refusal:
            status, headers = refusal.status, refusal.headers
            answer = _refused(refusal.status, str(refusal), refusal.errors)
        if request is not None:
            self.server.github.exchanges.append(Exchange(request, status, answer))
        if fault is not None:
            self._fail(fault)
            return
        self._answer(status, answer, headers)

    do_GET = do_POST = do_PATCH = do_DELETE = do_PUT = _serve  # noqa: N815

    def _request(self, path: str, query: str, content: bytes) -> Request:
        headers = {name.lower(): value for name, value in self.headers.items()}
        try:
            body = json.loads(content) if content else {}
        except ValueError:
            raise GitHubRefusal(400, "Problems parsing JSON") from None
        return Request(self.command, path, dict(parse_qsl(query)), headers, body)

    def _fail(self, fault: Fault) -> None:
        if fault.hang_seconds:
            time.sleep(fault.hang_seconds)
        if fault.status is None:
            self.close_connection = True
            return
        answer = _refused(fault.status, fault.message) if fault.answer is None else fault.answer
        self._answer(fault.status, answer, fault.headers)

    def _answer(self, status: int, answer: Any, headers: Mapping[str, str]) -> None:
        content = json.dumps(answer).encode()
        self.send_response(status)
        for name, value in {"Content-Type": "application/json; charset=utf-8", **headers}.items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 (signature fixed by http.server)
        """Write no access log: requests carry tokens."""


def _refused(status: int, message: str, errors: tuple[Any, ...] = ()) -> Answer:
    answer: Answer = {"message": message, "documentation_url": _DOCS, "status": str(status)}
    return {**answer, "errors": list(errors)} if errors else answer
