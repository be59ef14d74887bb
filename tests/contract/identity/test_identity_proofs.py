"""Proofs of identity, signed by botocore as the command signs them, and verified by the embedded STS."""

import threading
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, HTTPServer
from typing import Any

import boto3
import pytest
from contract.real_ports import real_ports
from fakes.clock import FakeClock

from local_cloud.deployment.server import LocalCloud
from local_cloud.iam import credentials
from rollback.adapters.aws.sts import StsIdentityProofs, read_answer
from rollback.approval.verify_identity import Verification, verify_identity
from rollback.domain.approval.identity_proof import PURPOSE_HEADER, SignedRequest, purpose_of_start
from rollback.errors import CallRefused, ExternalServiceError
from rollback.ports.all_ports import AllPorts
from rollback_cli.sign_proof import sign_proof, with_proof

PURPOSE = "a" * 64


@pytest.fixture
def ports(cloud: LocalCloud, monkeypatch: pytest.MonkeyPatch) -> AllPorts:
    return real_ports(cloud, monkeypatch)


@pytest.fixture
def session(cloud: LocalCloud) -> boto3.Session:
    """Session of an operator, who has assumed a role."""
    name = f"on-call-{uuid.uuid4().hex[:8]}"
    trust = '{"Version": "2012-10-17", "Statement": []}'
    arn = cloud.client("iam").create_role(RoleName=name, AssumeRolePolicyDocument=trust)["Role"]["Arn"]
    given = credentials.role_credentials(arn, "ada")
    return boto3.Session(given.access_key_id, given.secret_access_key, given.session_token, region_name=cloud.region)


def frozen(session: boto3.Session) -> credentials.Credentials:
    given = session.get_credentials()
    assert given is not None
    parts = given.get_frozen_credentials()
    return credentials.Credentials(str(parts.access_key), str(parts.secret_key), str(parts.token))


def verify(proof: object, ports: AllPorts, purpose: str = PURPOSE) -> Verification:
    return verify_identity(proof, purpose, "someone", ports)


def test_sts_names_the_role_and_the_session_of_the_signer(ports: AllPorts, session: boto3.Session) -> None:
    verification = verify(sign_proof(PURPOSE, session), ports)

    assert not verification.problem
    assert verification.identity.is_verified
    expected = session.client("sts").get_caller_identity()
    assert (verification.identity.arn, verification.identity.user_id) == (expected["Arn"], expected["UserId"])
    assert verification.identity.arn.endswith("/ada")


@pytest.mark.parametrize("name", [PURPOSE_HEADER, "X-Amz-Date", "X-Amz-Security-Token"])
def test_sts_refuses_a_signed_header_that_was_altered(name: str, ports: AllPorts, session: boto3.Session) -> None:
    """The pure rules can't see this: only STS knows the secret key."""
    proof = sign_proof(PURPOSE, session)
    altered = {
        PURPOSE_HEADER: "b" * 64,
        "X-Amz-Date": _moment(datetime.now(UTC) - timedelta(seconds=5)),
        "X-Amz-Security-Token": "stolen" * 40,
    }[name]
    proof["headers"][name] = altered

    verification = verify(proof, ports, purpose=altered if name == PURPOSE_HEADER else PURPOSE)

    assert not verification.identity.is_verified
    assert "STS did not confirm the identity: status 403" in verification.problem


def test_sts_refuses_a_signature_by_another_key(ports: AllPorts, session: boto3.Session) -> None:
    given = frozen(session)
    forged = boto3.Session(given.access_key_id, "guessed", given.session_token, region_name=session.region_name)

    assert "SignatureDoesNotMatch" in verify(sign_proof(PURPOSE, forged), ports).problem


def test_a_proof_older_than_a_minute_is_not_sent_although_sts_would_accept_it(
    ports: AllPorts, session: boto3.Session
) -> None:
    proof = sign_proof(PURPOSE, session)
    later = FakeClock(datetime.now(UTC) + timedelta(seconds=62))

    assert "older than 60 s" in verify(proof, replace(ports, clock=later)).problem
    assert verify(proof, ports).identity.is_verified


def test_sts_itself_refuses_a_signature_older_than_fifteen_minutes(
    ports: AllPorts, session: boto3.Session, monkeypatch: pytest.MonkeyPatch
) -> None:
    past = datetime.now(UTC) - timedelta(minutes=16)
    monkeypatch.setattr("botocore.auth.get_current_datetime", lambda *_, **__: past.replace(tzinfo=None))
    headers = {name.lower(): value for name, value in sign_proof(PURPOSE, session)["headers"].items()}

    with pytest.raises(CallRefused, match="SignatureDoesNotMatch"):
        ports.identity_proofs.identify(SignedRequest(headers))


def test_a_start_with_credentials_has_a_proof_for_its_execution_alone(
    ports: AllPorts, cloud: LocalCloud, session: boto3.Session, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in frozen(session).as_environment().items():
        monkeypatch.setenv(name, value)
    started = with_proof({"type": "full", "reason": "ünlucky"}, "cli-1")

    assert verify(started["proof"], ports, purpose_of_start(started, "arn:aws:x:cli-1")).identity.is_verified
    assert "another start" in verify(started["proof"], ports, purpose_of_start(started, "arn:aws:x:cli-2")).problem
    other = {**started, "type": "service"}
    assert "another start" in verify(started["proof"], ports, purpose_of_start(other, "arn:aws:x:cli-1")).problem


def test_a_start_without_credentials_goes_on_without_a_proof(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN", "AWS_REGION", "AWS_DEFAULT_REGION"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", "/dev/null")
    monkeypatch.setenv("AWS_CONFIG_FILE", "/dev/null")

    assert with_proof({"type": "full"}, "cli-1") == {"type": "full"}


@pytest.mark.parametrize(
    ("region", "endpoint"),
    [
        ("eu-west-1", "https://sts.eu-west-1.amazonaws.com"),
        ("us-east-1", "https://sts.us-east-1.amazonaws.com"),
        ("cn-north-1", "https://sts.cn-north-1.amazonaws.com.cn"),
        ("us-gov-west-1", "https://sts.us-gov-west-1.amazonaws.com"),
    ],
)
def test_the_endpoint_is_the_regional_one_of_the_partition(
    region: str, endpoint: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("AWS_ENDPOINT_URL", raising=False)
    adapter = StsIdentityProofs(boto3.Session("key", "secret", region_name=region).client("sts"))

    assert (adapter.endpoint(), adapter.region()) == (endpoint, region)


ANSWER = (
    '<GetCallerIdentityResponse xmlns="https://sts.amazonaws.com/doc/2011-06-15/"><GetCallerIdentityResult>'
    "<Arn>{arn}</Arn><UserId>AIDA</UserId><Account>123456789012</Account></GetCallerIdentityResult>"
    "<ResponseMetadata><RequestId>1</RequestId></ResponseMetadata></GetCallerIdentityResponse>"
)
USER = ANSWER.format(arn="arn:aws:iam::123456789012:user/teams/ada")


def test_the_documented_answer_is_read() -> None:
    identity = read_answer(USER.encode())

    assert (identity.arn, identity.user_id) == ("arn:aws:iam::123456789012:user/teams/ada", "AIDA")
    assert (identity.account, identity.is_verified) == ("123456789012", True)


@pytest.mark.parametrize(
    "answer",
    [
        "",
        "no xml",
        '{"GetCallerIdentityResponse": {}}',
        f'<!DOCTYPE x [<!ENTITY e "x">]>{USER}',
        f"<wrapped>{USER}</wrapped>",
        USER.replace("GetCallerIdentityRes", "AssumeRoleRes"),
        USER.replace("sts.amazonaws.com", "evil.test"),
        USER.replace("<Arn>", "<Arn>arn:aws:iam::123456789012:root</Arn><Arn>", 1),
        USER.replace("<Account>123456789012", "<Account>210987654321"),
        ANSWER.format(arn="ada"),
        ANSWER.format(arn="arn:aws:s3:::bucket"),
        ANSWER.format(arn="arn:aws:iam::123456789012:user/&lt;b&gt; ada"),
        ANSWER.format(arn=f"arn:aws:iam::123456789012:user/{'a' * 9000}"),
    ],
)
def test_an_answer_in_another_form_names_nobody(answer: str) -> None:
    with pytest.raises(ExternalServiceError, match="can't be used"):
        read_answer(answer.encode())


@contextmanager
def _server(answer: Callable[[BaseHTTPRequestHandler], None]) -> Iterator[str]:
    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            self.rfile.read(int(self.headers.get("Content-Length") or 0))
            answer(self)

        def log_message(self, *_: Any) -> None: ...

    server = HTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True).start()
    try:
        yield f"http://127.0.0.1:{server.server_address[1]}"
    finally:
        server.shutdown()
        server.server_close()


def _respond(status: int, body: str = "", **headers: str) -> Callable[[BaseHTTPRequestHandler], None]:
    def answer(handler: BaseHTTPRequestHandler) -> None:
        handler.send_response(status)
        for name, value in {"Content-Length": str(len(body)), **headers}.items():
            handler.send_header(name, value)
        handler.end_headers()
        handler.wfile.write(body.encode())

    return answer


def _adapter(endpoint: str) -> StsIdentityProofs:
    return StsIdentityProofs(
        boto3.Session("key", "secret", region_name="eu-west-1").client("sts", endpoint_url=endpoint)
    )


def test_a_redirect_is_not_followed() -> None:
    with (
        _server(_respond(200, USER)) as elsewhere,
        _server(_respond(307, Location=f"{elsewhere}/")) as endpoint,
        pytest.raises(ExternalServiceError, match="status 307"),
    ):
        _adapter(endpoint).identify(SignedRequest({"host": "sts"}))


@pytest.mark.parametrize("status", [201, 204, 500, 503])
def test_only_status_200_confirms_an_identity(status: int) -> None:
    with (
        _server(_respond(status, "" if status == 204 else USER)) as endpoint,
        pytest.raises(ExternalServiceError, match=f"status {status}"),
    ):
        _adapter(endpoint).identify(SignedRequest({"host": "sts"}))


def test_no_answer_leaves_the_identity_unverified() -> None:
    with pytest.raises(ExternalServiceError, match="gave no answer"):
        _adapter("http://127.0.0.1:9").identify(SignedRequest({"host": "sts"}))


def _moment(at: datetime) -> str:
    return at.strftime("%Y%m%dT%H%M%SZ")
