"""The adapter's HTTP against the local GitHub: credentials, refusals, limits, redirects, and texts without secrets."""

import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from typing import Any

import pytest
from contract.github_repositories import NAME, LocalRepository
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from examples.github import SHA, STATUS

from local_cloud.github.faults import Fault, secondary_rate_limit
from local_cloud.github.server import LocalGitHub
from rollback.adapters.github.client import GitHubRepository
from rollback.adapters.github.credentials import AppToken, SecretToken
from rollback.adapters.github.http import GitHubHttp
from rollback.errors import CallRefused, ExternalServiceError, RefusalKind, Throttled
from rollback.resources.github.errors import Gone, RateLimited
from rollback.resources.github.issue import IssueContent

CONTENT = IssueContent(title="Rollback", body="Why", labels=("rollback",))
KEY = rsa.generate_private_key(public_exponent=65537, key_size=2048)
APP, INSTALLATION = "Iv1.abcdef", 4711
PERMISSIONS = {"statuses": "write", "issues": "write"}


def pem(key: Any) -> str:
    return str(
        key.private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.TraditionalOpenSSL, serialization.NoEncryption()
        ).decode()
    )


@pytest.fixture
def local() -> Iterator[LocalRepository]:
    with LocalGitHub() as server:
        yield LocalRepository(server)


def with_token(local: LocalRepository, token: str, name: str = NAME, **options: Any) -> GitHubRepository:
    return GitHubRepository(GitHubHttp(SecretToken(lambda: token), local.local.base_url, name, **options), name)


def with_app(local: LocalRepository, *, key: Any = KEY, installation: int = INSTALLATION) -> GitHubRepository:
    credential = AppToken(APP, installation, lambda: pem(key), PERMISSIONS, lambda: local.local.clock.now().timestamp())
    return GitHubRepository(GitHubHttp(credential, local.local.base_url, NAME), NAME)


def exchanged_tokens(local: LocalRepository) -> int:
    return sum("access_tokens" in exchange.request.path for exchange in local.local.exchanges)


def test_every_request_names_the_version_of_the_api_and_the_client(local: LocalRepository) -> None:
    local.github.set_commit_status(SHA, STATUS)
    (exchange,) = local.local.exchanges
    headers = exchange.request.headers
    assert headers["x-github-api-version"] == "2022-11-28"
    assert headers["user-agent"] == "macro-ai-rollback"
    assert headers["accept"] == "application/vnd.github+json"


def test_a_rotated_token_is_used_at_once(local: LocalRepository) -> None:
    local.github.set_commit_status(SHA, STATUS)
    old, local.token = local.token, local.local.create_token()
    del local.local.tokens[old]
    local.github.set_commit_status(SHA, STATUS)
    assert len(local.repository.statuses[SHA]) == 2


def test_a_wrong_token_is_refused_with_the_remedy(local: LocalRepository) -> None:
    with pytest.raises(CallRefused, match="expired or revoked: store a new one") as refused:
        with_token(local, "ghp_wrong").set_commit_status(SHA, STATUS)
    assert refused.value.kind is RefusalKind.CREDENTIALS


@pytest.mark.parametrize("secret", ["", "two words", "geheim\u00e4\u00f6", '{"token":\n"ghp_x"}'])
def test_a_secret_that_holds_no_token_is_refused_and_not_quoted(local: LocalRepository, secret: str) -> None:
    with pytest.raises(CallRefused, match="holds no token") as refused:
        with_token(local, secret).set_commit_status(SHA, STATUS)
    assert not secret or secret not in str(refused.value)
    assert local.local.exchanges == []


def test_a_token_that_does_not_see_the_repository_is_told_what_to_check(local: LocalRepository) -> None:
    token = local.local.create_token(repositories=frozenset({"macro-ai/other"}))
    with pytest.raises(CallRefused, match=r"check github\.repository") as refused:
        with_token(local, token).create_issue(CONTENT)
    assert refused.value.kind is RefusalKind.NOT_FOUND


def test_an_unknown_repository_is_refused_as_not_found(local: LocalRepository) -> None:
    with pytest.raises(CallRefused, match="macro-ai/none") as refused:
        with_token(local, local.token, "macro-ai/none").create_issue(CONTENT)
    assert refused.value.kind is RefusalKind.NOT_FOUND


def test_a_missing_permission_is_named(local: LocalRepository) -> None:
    token = local.local.create_token({"statuses": "write", "issues": "read"})
    repository = with_token(local, token)
    repository.set_commit_status(SHA, STATUS)
    with pytest.raises(CallRefused, match=r"permission for this call \(issues=write\) on macro-ai/shop") as refused:
        repository.create_issue(CONTENT)
    assert refused.value.kind is RefusalKind.ACCESS


def test_disabled_issues_are_refused_with_the_setting_that_turns_them_off(local: LocalRepository) -> None:
    local.disable_issues()
    with pytest.raises(Gone, match=r"set github\.issue to null"):
        local.github.create_issue(CONTENT)


@pytest.mark.parametrize("status", [403, 429])
@pytest.mark.parametrize(("retry_after", "seconds"), [(30, 30), (None, 60)])
def test_a_secondary_rate_limit_asks_to_wait(
    local: LocalRepository, status: int, retry_after: int | None, seconds: int
) -> None:
    local.local.faults.inject(secondary_rate_limit("POST", "/issues$", status, retry_after))
    with pytest.raises(RateLimited) as limited:
        local.github.create_issue(CONTENT)
    assert limited.value.retry_after_seconds == seconds
    assert local.repository.issues == {}


def test_a_used_up_primary_limit_asks_to_wait_until_its_reset(local: LocalRepository) -> None:
    now = 1_800_000_000.0
    headers = {"x-ratelimit-remaining": "0", "x-ratelimit-reset": str(int(now) + 900)}
    local.local.faults.inject(Fault("POST", "/issues$", 403, "API rate limit exceeded", headers))
    with pytest.raises(RateLimited) as limited:
        with_token(local, local.token, now=lambda: now).create_issue(CONTENT)
    assert limited.value.retry_after_seconds == 900


@pytest.mark.parametrize("header", ["soon", "9" * 400, "nan?", "١٢"])
def test_a_wait_that_is_no_number_is_a_minute(local: LocalRepository, header: str) -> None:
    fault = Fault("POST", "/issues$", 429, "slow down", {"Retry-After": header.encode().decode("latin-1")})
    local.local.faults.inject(fault)
    with pytest.raises(RateLimited) as limited:
        local.github.create_issue(CONTENT)
    assert limited.value.retry_after_seconds == 60


@pytest.mark.parametrize("status", [500, 502, 503, 504])
def test_an_error_of_the_server_after_the_work_leaves_the_outcome_unknown(local: LocalRepository, status: int) -> None:
    local.local.faults.inject(Fault("POST", "/issues$", status, is_applied_first=True))
    with pytest.raises(ExternalServiceError, match="check whether it took effect") as failed:
        local.github.create_issue(CONTENT)
    assert type(failed.value) is ExternalServiceError
    assert len(local.repository.issues) == 1


def test_a_silent_server_leaves_the_outcome_unknown(local: LocalRepository) -> None:
    local.local.faults.inject(Fault("POST", "/issues$", 500, hang_seconds=1.0, is_applied_first=True))
    with pytest.raises(ExternalServiceError, match="ReadTimeout"):
        with_token(local, local.token, read_seconds=0.2).create_issue(CONTENT)


def test_a_server_that_can_not_be_reached_did_nothing(local: LocalRepository) -> None:
    repository = with_token(local, local.token)
    local.local.stop()
    with pytest.raises(Throttled, match="was not sent"):
        repository.create_issue(CONTENT)


@pytest.mark.parametrize("answer", [b"", b"<html>", b"[", b'"text"'])
def test_an_answer_that_is_not_githubs_is_an_error_of_ours(answer: bytes) -> None:
    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(200)
            self.send_header("Content-Length", str(len(answer)))
            self.end_headers()
            self.wfile.write(answer)

        def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 (signature fixed by http.server)
            """Write no log."""

    server = HTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True).start()
    try:
        http = GitHubHttp(SecretToken(lambda: "ghp_x"), f"http://127.0.0.1:{server.server_address[1]}", NAME)
        with pytest.raises(ExternalServiceError):
            GitHubRepository(http, NAME).issue(1)
    finally:
        server.shutdown()
        server.server_close()


# Moved repositories


def test_a_moved_repository_is_followed_with_method_and_body(local: LocalRepository) -> None:
    local.local.move(NAME, "new-owner/store")
    created = local.github.create_issue(CONTENT)
    local.github.update_issue(created.number, CONTENT, close=True)
    local.github.set_commit_status(SHA, STATUS)
    assert local.repository.issues[1].answer["state"] == "closed"
    assert [issue.number for issue in local.github.issues("rollback", created.created_at)] == [1]


@pytest.mark.parametrize("status", [301, 302, 307, 308])
def test_a_redirection_to_another_server_gets_no_credential(local: LocalRepository, status: int) -> None:
    with LocalGitHub() as other:
        location = f"{other.base_url}/repos/macro-ai/shop/issues"
        local.local.faults.inject(Fault("POST", "/issues$", status, headers={"Location": location}))
        with pytest.raises(CallRefused, match="another server"):
            local.github.create_issue(CONTENT)
        assert other.exchanges == []


def test_a_redirection_out_of_the_api_gets_no_credential(local: LocalRepository) -> None:
    api = f"{local.local.base_url}/api/v3"
    repository = GitHubRepository(GitHubHttp(SecretToken(lambda: local.token), api, NAME), NAME)
    fault = Fault("POST", "/issues$", 301, headers={"Location": f"{local.local.base_url}/login"})
    local.local.faults.inject(fault)
    with pytest.raises(CallRefused, match="another server"):
        repository.create_issue(CONTENT)


def test_a_circle_of_redirections_ends(local: LocalRepository) -> None:
    location = f"{local.local.base_url}/repos/macro-ai/shop/issues"
    local.local.faults.inject(Fault("POST", "/issues$", 307, headers={"Location": location}, times=99))
    with pytest.raises(CallRefused, match="more than 3 times"):
        local.github.create_issue(CONTENT)


def test_a_next_page_on_another_server_is_not_asked(local: LocalRepository) -> None:
    with LocalGitHub() as other:
        link = f'<{other.base_url}/repos/x/y/issues?page=2>; rel="next"'
        local.local.faults.inject(Fault("GET", "/comments$", 200, headers={"Link": link}, answer=[]))
        with pytest.raises(CallRefused, match="another server"):
            list(local.github.comments(1))
        assert other.exchanges == []


# GitHub Apps


def test_an_app_exchanges_its_key_for_a_token_with_the_needed_permissions_once(local: LocalRepository) -> None:
    local.local.install_app(APP, INSTALLATION, KEY.public_key())
    repository = with_app(local)
    repository.create_issue(CONTENT)
    repository.set_commit_status(SHA, STATUS)
    assert exchanged_tokens(local) == 1
    assert local.local.exchanges[0].answer["permissions"] == PERMISSIONS
    with pytest.raises(CallRefused, match="permission"):
        repository.deployment(SHA, "production")


def test_an_apps_token_is_exchanged_again_before_it_expires(local: LocalRepository) -> None:
    local.local.install_app(APP, INSTALLATION, KEY.public_key())
    repository = with_app(local)
    repository.set_commit_status(SHA, STATUS)
    local.local.clock.pass_time(minutes=54)
    repository.set_commit_status(SHA, STATUS)
    assert exchanged_tokens(local) == 1
    local.local.clock.pass_time(minutes=2)
    repository.set_commit_status(SHA, STATUS)
    assert exchanged_tokens(local) == 2


def test_a_revoked_token_of_an_app_is_exchanged_once_more(local: LocalRepository) -> None:
    local.local.install_app(APP, INSTALLATION, KEY.public_key())
    repository = with_app(local)
    repository.set_commit_status(SHA, STATUS)
    for token in [token for token in local.local.tokens if token.startswith("ghs_")]:
        del local.local.tokens[token]
    repository.set_commit_status(SHA, STATUS)
    assert exchanged_tokens(local) == 2
    assert len(local.repository.statuses[SHA]) == 2


@pytest.mark.parametrize(
    ("key", "installation"),
    [(rsa.generate_private_key(public_exponent=65537, key_size=2048), INSTALLATION), (KEY, 1)],
    ids=["another key", "another installation"],
)
def test_a_wrong_key_or_installation_is_refused(local: LocalRepository, key: Any, installation: int) -> None:
    local.local.install_app(APP, INSTALLATION, KEY.public_key())
    with pytest.raises(CallRefused):
        with_app(local, key=key, installation=installation).set_commit_status(SHA, STATUS)
    assert local.repository.statuses == {}


def test_an_installation_without_a_permission_refuses_the_token(local: LocalRepository) -> None:
    local.local.install_app(APP, INSTALLATION, KEY.public_key(), {"statuses": "write"})
    with pytest.raises(CallRefused, match="not granted"):
        with_app(local).set_commit_status(SHA, STATUS)


@pytest.mark.parametrize("secret", ["", "no key", pem(ec.generate_private_key(ec.SECP256R1())), pem(KEY)[:400]])
def test_a_secret_that_holds_no_rsa_key_is_refused_and_not_quoted(local: LocalRepository, secret: str) -> None:
    credential = AppToken(APP, INSTALLATION, lambda: secret, PERMISSIONS)
    repository = GitHubRepository(GitHubHttp(credential, local.local.base_url, NAME), NAME)
    with pytest.raises(CallRefused, match="holds no RSA key") as refused:
        repository.set_commit_status(SHA, STATUS)
    assert not secret or secret not in str(refused.value)


# Secrets


@pytest.mark.parametrize("status", [400, 401, 403, 404, 410, 422, 429, 500, None])
def test_no_error_shows_the_token(local: LocalRepository, status: int | None) -> None:
    local.local.faults.inject(Fault("POST", "/issues$", status))
    with pytest.raises(ExternalServiceError) as failed:
        local.github.create_issue(CONTENT)
    error: BaseException | None = failed.value
    while error is not None:
        assert local.token not in f"{error!r} {error}"
        error = error.__cause__ or error.__context__


def test_a_kept_token_is_not_shown_by_its_objects(local: LocalRepository) -> None:
    local.local.install_app(APP, INSTALLATION, KEY.public_key())
    repository = with_app(local)
    repository.set_commit_status(SHA, STATUS)
    shown = repr(vars(repository)) + repr(vars(repository._http))
    assert not [token for token in local.local.tokens if token in shown]


def test_two_threads_exchange_one_token(local: LocalRepository) -> None:
    local.local.install_app(APP, INSTALLATION, KEY.public_key())
    repository = with_app(local)
    threads = [threading.Thread(target=repository.set_commit_status, args=(SHA, STATUS)) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert exchanged_tokens(local) == 1
    assert len(local.repository.statuses[SHA]) == 4
