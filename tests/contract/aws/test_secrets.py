"""Promises of the port to Secrets Manager and SSM, kept on the fake and on the embedded cloud."""

import uuid
from collections.abc import Callable

import pytest
from botocore.exceptions import ClientError
from contract.real_ports import real_ports
from fakes.aws.secrets import FakeSecrets
from pydantic import SecretStr

from local_cloud.deployment.server import LocalCloud
from rollback.adapters.aws.secrets import ReferencedSecrets
from rollback.errors import CallRefused, ExternalServiceError
from rollback.ports.aws.references import Secrets


class Store:
    """Secrets and parameters that a test creates and deletes, named as a container refers to them."""

    def __init__(self, request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
        self.name = f"shop/{uuid.uuid4().hex[:8]}"
        self.secrets: Secrets
        if request.param == "fake":
            self._fake: FakeSecrets | None = FakeSecrets()
            self.secrets = self._fake
            return
        self._fake = None
        cloud: LocalCloud = request.getfixturevalue("cloud")
        self._region, self._account = cloud.region, cloud.account
        self._manager, self._parameters = cloud.client("secretsmanager"), cloud.client("ssm")
        self.secrets = real_ports(cloud, monkeypatch).secrets

    def secret(self) -> str:
        if self._fake is not None:
            arn = f"arn:aws:secretsmanager:eu-west-1:123456789012:secret:{self.name}-AbCdEf"
            self._fake.values[arn] = SecretStr('{"url": "x"}')
            return arn
        return str(self._manager.create_secret(Name=self.name, SecretString='{"url": "x"}')["ARN"])

    def parameter(self) -> str:
        """Create a parameter; return its name, which begins with a slash."""
        if self._fake is None:
            self._parameters.put_parameter(Name=f"/{self.name}", Value="x", Type="SecureString")
        return f"/{self.name}"

    def plain_parameter(self) -> str:
        """Create a parameter; return its name, which has no slash."""
        if self._fake is None:
            self._parameters.put_parameter(Name=self.name, Value="x", Type="String")
        return self.name

    def forget(self, value_from: str) -> None:
        """Schedule a secret for deletion, or delete a parameter."""
        if self._fake is not None:
            self._fake.missing.add(value_from)
        elif ":secretsmanager:" in value_from:
            self._manager.delete_secret(SecretId=value_from, RecoveryWindowInDays=7)
        else:
            self._parameters.delete_parameter(Name=value_from)


@pytest.fixture(params=["fake", "cloud"])
def store(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Store:
    return Store(request, monkeypatch)


@pytest.mark.parametrize("make", [Store.secret, Store.parameter], ids=["secret", "parameter"])
def test_a_secret_or_parameter_exists_until_its_deletion_is_scheduled_or_done(
    store: Store, make: Callable[[Store], str]
) -> None:
    value_from = make(store)
    assert store.secrets.exists(value_from) is True
    store.forget(value_from)
    assert store.secrets.exists(value_from) is False


def test_a_reference_to_a_key_in_a_secret_means_the_secret(store: Store) -> None:
    """`valueFrom` is `<secret arn>:<json key>:<stage>:<version>` (ECS Developer Guide, "Secrets Manager")."""
    assert store.secrets.exists(f"{store.secret()}:url::") is True


def test_a_parameter_exists_by_its_arn_too(cloud: LocalCloud, monkeypatch: pytest.MonkeyPatch) -> None:
    name, arn = f"/shop/{uuid.uuid4().hex[:8]}", f"arn:aws:ssm:{cloud.region}:{cloud.account}:parameter"
    cloud.client("ssm").put_parameter(Name=name, Value="x", Type="String")
    secrets = real_ports(cloud, monkeypatch).secrets
    assert secrets.exists(f"{arn}{name}") is True
    assert secrets.exists(f"{arn}{name}-other") is False


# Secrets of our own: Neon's key, and the services' connection


def token() -> str:
    return f"rollback-{uuid.uuid4()}"


def test_a_secret_is_read_as_it_was_written(store: Store) -> None:
    arn = store.secret()
    store.secrets.write(arn, SecretStr("postgresql://app:geheim@host/db"), token())
    assert store.secrets.read(arn).get_secret_value() == "postgresql://app:geheim@host/db"
    store.secrets.write(arn, SecretStr("postgresql://app:other@host/db"), token())
    assert store.secrets.read(arn).get_secret_value() == "postgresql://app:other@host/db"


def test_a_repeated_token_writes_no_second_version_and_refuses_another_value(store: Store) -> None:
    """Secrets Manager API, PutSecretValue: idempotent by ClientRequestToken; another value under it is an error."""
    arn, once = store.secret(), token()
    store.secrets.write(arn, SecretStr("first"), once)
    store.secrets.write(arn, SecretStr("first"), once)
    assert store.secrets.read(arn).get_secret_value() == "first"
    with pytest.raises(ExternalServiceError):
        store.secrets.write(arn, SecretStr("second"), once)
    assert store.secrets.read(arn).get_secret_value() == "first"


def test_a_secret_that_is_about_to_be_deleted_can_not_be_read(store: Store) -> None:
    arn = store.secret()
    store.secrets.write(arn, SecretStr("geheim"), token())
    store.forget(arn)
    with pytest.raises(ExternalServiceError, match=store.name):
        store.secrets.read(arn)


def test_a_missing_secret_can_not_be_read(store: Store) -> None:
    with pytest.raises(ExternalServiceError, match="never-made"):
        store.secrets.read("arn:aws:secretsmanager:eu-west-1:123456789012:secret:never-made-AbCdEf")


def test_the_representation_of_a_secret_hides_its_value(store: Store) -> None:
    arn = store.secret()
    store.secrets.write(arn, SecretStr("geheim"), token())
    assert "geheim" not in repr(store.secrets.read(arn))


def test_the_existence_of_a_forbidden_secret_is_unknown() -> None:
    class Denied:
        def __getattr__(self, name: str) -> Callable[..., object]:
            def denied(*named: object, **parameters: object) -> object:
                raise ClientError({"Error": {"Code": "AccessDeniedException", "Message": "no"}}, name)

            return denied

    client: object = Denied()
    secrets = ReferencedSecrets(lambda region: client, lambda region: client)  # type: ignore[arg-type,return-value]
    assert secrets.exists("arn:aws:secretsmanager:eu-west-1:210987654321:secret:theirs-AbCdEf") is None
    assert secrets.exists("/theirs") is None
    hidden = FakeSecrets()
    hidden.hidden.add("/theirs")
    assert hidden.exists("/theirs") is None


# Refusals of Secrets Manager, and calls that change nothing


def test_a_late_retry_of_an_older_write_keeps_the_newer_value(store: Store) -> None:
    """A retry of the first write, after the second: its token is known, so nothing becomes the current version."""
    arn, first = store.secret(), token()
    store.secrets.write(arn, SecretStr("first"), first)
    store.secrets.write(arn, SecretStr("second"), token())
    store.secrets.write(arn, SecretStr("first"), first)
    assert store.secrets.read(arn).get_secret_value() == "second"


def test_a_token_counts_for_its_own_secret_only(store: Store) -> None:
    first, same = store.secret(), token()
    store.secrets.write(first, SecretStr("one"), same)
    store.name += "-other"
    other = store.secret()
    store.secrets.write(other, SecretStr("other"), same)
    assert [store.secrets.read(arn).get_secret_value() for arn in (first, other)] == ["one", "other"]


def test_a_missing_secret_can_not_be_written(store: Store) -> None:
    arn = "arn:aws:secretsmanager:eu-west-1:123456789012:secret:never-made-AbCdEf"
    with pytest.raises(CallRefused, match="never-made"):
        store.secrets.write(arn, SecretStr("geheim"), token())


def test_a_token_that_is_too_short_is_refused(store: Store) -> None:
    arn = store.secret()
    with pytest.raises(CallRefused):
        store.secrets.write(arn, SecretStr("geheim"), "short")


def test_a_key_of_a_secret_that_is_about_to_be_deleted_does_not_exist(store: Store) -> None:
    arn = store.secret()
    store.forget(arn)
    assert store.secrets.exists(f"{arn}:url::") is False


def test_a_deleted_parameter_does_not_exist_by_its_arn(store: Store) -> None:
    name = store.parameter()
    assert store.secrets.exists(f"arn:aws:ssm:eu-west-1:123456789012:parameter{name}") is True
    store.forget(name)
    assert store.secrets.exists(f"arn:aws:ssm:eu-west-1:123456789012:parameter{name}") is False


# Meaning of an ARN


def test_an_arn_of_a_parameter_outside_a_hierarchy_means_a_name_without_a_slash(store: Store) -> None:
    """`parameter/MyParam` is MyParam: asked for as `/MyParam`, it would be taken for gone."""
    store.name = f"MyParam-{uuid.uuid4().hex[:8]}"
    name = store.plain_parameter()
    arn = f"arn:aws:ssm:eu-west-1:123456789012:parameter/{name}"
    assert store.secrets.exists(arn) is True
    store.forget(name)
    assert store.secrets.exists(arn) is False


def test_a_reference_to_a_missing_stage_of_a_secret_does_not_exist() -> None:
    """ECS developer guide, "Example referencing a specific key within a secret": `…:<key>:<stage>:<version>`."""
    arn = "arn:aws:secretsmanager:eu-west-1:123456789012:secret:web-AbCdEf"
    regions: list[str] = []
    client = Answers({"VersionIdsToStages": {"v-2": ["AWSCURRENT"], "v-1": ["AWSPREVIOUS"]}})

    def in_region(region: str) -> Answers:
        regions.append(region)
        return client

    secrets = ReferencedSecrets(in_region, in_region)  # type: ignore[arg-type]
    assert secrets.exists(f"{arn}:url::") is True
    assert secrets.exists(f"{arn}:url:AWSPREVIOUS:") is True
    assert secrets.exists(f"{arn}:url:AWSPENDING:") is False
    assert secrets.exists(f"{arn}:url::v-1") is True
    assert secrets.exists(f"{arn}:url::v-0") is None, "a version without a stage is listed nowhere"
    assert set(regions) == {"eu-west-1"}
    assert client.parameters["SecretId"] == arn


def test_a_parameter_of_another_region_is_read_there() -> None:
    regions: list[str] = []

    def in_region(region: str) -> object:
        regions.append(region)
        return Pages([{"Parameters": [], "NextToken": "more"}, {"Parameters": [{"Name": "/a/b"}]}])

    secrets = ReferencedSecrets(in_region, in_region)  # type: ignore[arg-type]
    assert secrets.exists("arn:aws:ssm:us-east-1:123456789012:parameter/a/b") is True, "it is on the second page"
    assert secrets.exists("/a/b") is True
    assert regions == ["us-east-1", ""]


def test_a_parameter_of_another_name_with_the_same_arn_is_no_evidence() -> None:
    def in_region(region: str) -> object:
        return Pages([{"Parameters": [{"Name": "/MyParam"}]}])

    secrets = ReferencedSecrets(in_region, in_region)  # type: ignore[arg-type]
    assert secrets.exists("arn:aws:ssm:eu-west-1:123456789012:parameter/MyParam") is None


class Answers:
    """A client that gives one answer; `parameters`: those of the last call."""

    def __init__(self, answer: dict[str, object]) -> None:
        self.answer, self.parameters = answer, dict[str, object]()

    def __getattr__(self, name: str) -> Callable[..., object]:
        def answers(**parameters: object) -> object:
            self.parameters = parameters
            return self.answer

        return answers


class Pages:
    """A client whose paginator has these pages."""

    def __init__(self, pages: list[dict[str, object]]) -> None:
        self._pages = pages

    def get_paginator(self, operation: str) -> "Pages":
        assert operation == "describe_parameters"
        return self

    def paginate(self, **parameters: object) -> list[dict[str, object]]:
        assert parameters
        return self._pages
