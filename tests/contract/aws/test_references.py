"""Promises of the port to roles, log groups and files, kept on the fake and on the embedded cloud."""

import json
import uuid

import boto3
import pytest
from botocore.stub import Stubber
from contract.real_ports import real_ports
from fakes.aws.images import FakeReferences

from local_cloud.deployment.server import LocalCloud
from rollback.adapters.aws.references import DefinitionReferences
from rollback.errors import ExternalServiceError
from rollback.ports.aws.references import References

TRUST = json.dumps({"Version": "2012-10-17", "Statement": []})


class Account:
    """Roles, log groups and files that a test creates and deletes."""

    def __init__(self, request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
        self.name = f"web-{uuid.uuid4().hex[:8]}"
        self.references: References
        self._fake = FakeReferences() if request.param == "fake" else None
        if self._fake is not None:
            self.references = self._fake
            return
        cloud: LocalCloud = request.getfixturevalue("cloud")
        self._iam, self._logs, self._s3 = (cloud.client(name) for name in ("iam", "logs", "s3"))
        self.references = real_ports(cloud, monkeypatch).references

    def role(self, path: str = "/") -> str:
        if self._fake is None:
            created_role = self._iam.create_role(RoleName=self.name, Path=path, AssumeRolePolicyDocument=TRUST)
            return str(created_role["Role"]["Arn"])
        arn = f"arn:aws:iam::123456789012:role{path}{self.name}"
        self._fake.roles.add(arn)
        return arn

    def log_group(self, name: str) -> None:
        if self._fake is None:
            self._logs.create_log_group(logGroupName=name)
        else:
            self._fake.log_groups.add(("", name))

    def file(self, key: str) -> str:
        arn = f"arn:aws:s3:::{self.name}/{key}"
        if self._fake is None:
            self._s3.create_bucket(
                Bucket=self.name, CreateBucketConfiguration={"LocationConstraint": self._s3.meta.region_name}
            )
            self._s3.put_object(Bucket=self.name, Key=key, Body=b"A=1")
        else:
            self._fake.files.add(arn)
        return arn

    def forget_role(self, arn: str) -> None:
        if self._fake is None:
            self._iam.delete_role(RoleName=self.name)
        else:
            self._fake.roles.discard(arn)


@pytest.fixture(params=["fake", "cloud"])
def account(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Account:
    return Account(request, monkeypatch)


def test_a_role_exists_by_arn_and_by_name_until_it_is_deleted(account: Account) -> None:
    arn = account.role()
    assert account.references.role_exists(arn) is True
    assert account.references.role_exists(account.name) is True
    account.forget_role(arn)
    assert account.references.role_exists(arn) is False


def test_a_role_of_the_same_name_under_another_path_is_another_role(account: Account) -> None:
    arn = account.role("/teams/")
    assert account.references.role_exists(arn) is True
    assert account.references.role_exists(arn.replace("/teams/", "/")) is False


def test_a_log_group_exists_only_under_its_whole_name(account: Account) -> None:
    account.log_group(f"/ecs/{account.name}-worker")
    assert account.references.log_group_exists(f"/ecs/{account.name}", "") is False
    account.log_group(f"/ecs/{account.name}")
    assert account.references.log_group_exists(f"/ecs/{account.name}", "") is True
    assert account.references.log_group_exists(f"/ecs/{account.name}", "us-east-1") is False


def test_a_file_exists_only_under_its_whole_key(account: Account) -> None:
    arn = account.file("config/web.env.old")
    assert account.references.file_exists(arn) is True
    assert account.references.file_exists(arn.removesuffix(".old")) is False
    assert account.references.file_exists("arn:aws:s3:::no-such-bucket-here/web.env") is False


def test_a_log_group_on_a_later_page_is_found() -> None:
    client = boto3.client("logs", region_name="eu-west-1", aws_access_key_id="a", aws_secret_access_key="b")
    with Stubber(client) as stub:
        stub.add_response("describe_log_groups", {"logGroups": [{"logGroupName": "/a/b"}], "nextToken": "2"})
        stub.add_response("describe_log_groups", {"logGroups": [{"logGroupName": "/a"}]})
        assert DefinitionReferences(client, lambda region: client, client).log_group_exists("/a", "") is True  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("service", "operation", "method", "arguments"),
    [
        ("iam", "get_role", "role_exists", ("arn:aws:iam::210987654321:role/theirs",)),
        ("logs", "describe_log_groups", "log_group_exists", ("/theirs", "")),
        ("s3", "list_objects_v2", "file_exists", ("arn:aws:s3:::theirs/web.env",)),
    ],
)
def test_the_existence_of_a_forbidden_reference_is_unknown_and_no_answer_is_a_failure(
    service: str, operation: str, method: str, arguments: tuple[str, ...]
) -> None:
    client = boto3.client(service, region_name="eu-west-1", aws_access_key_id="a", aws_secret_access_key="b")  # type: ignore[call-overload]
    references = DefinitionReferences(client, lambda region: client, client)
    with Stubber(client) as stub:
        stub.add_client_error(operation, "AccessDenied", "no", http_status_code=403)
        stub.add_client_error(operation, "InternalError", "no", http_status_code=500)
        assert getattr(references, method)(*arguments) is None
        with pytest.raises(ExternalServiceError):
            getattr(references, method)(*arguments)
