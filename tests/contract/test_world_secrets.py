"""What the steps are promised of Secrets Manager and SSM, on the fake and on the embedded cloud."""

import uuid
from collections.abc import Callable

import pytest
from botocore.exceptions import ClientError
from contract.real_world import real_world
from fakes import FakeSecrets
from pydantic import SecretStr

from local_cloud.server import LocalCloud
from rollback.model.errors import CallRefused, OutsideFailure
from rollback.steps.ports import Secrets
from rollback.world.secrets import ReferencedSecrets


class Store:
    """Secrets and parameters that a test makes and takes away; what a container would refer to them by."""

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
        self.secrets = real_world(cloud, monkeypatch).secrets

    def secret(self) -> str:
        if self._fake is not None:
            arn = f"arn:aws:secretsmanager:eu-west-1:123456789012:secret:{self.name}-AbCdEf"
            self._fake.values[arn] = SecretStr('{"url": "x"}')
            return arn
        return str(self._manager.create_secret(Name=self.name, SecretString='{"url": "x"}')["ARN"])

    def parameter(self) -> str:
        """Its name, which begins with a slash."""
        if self._fake is None:
            self._parameters.put_parameter(Name=f"/{self.name}", Value="x", Type="SecureString")
        return f"/{self.name}"

    def forget(self, value_from: str) -> None:
        """Scheduled for deletion, or deleted."""
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
def test_what_is_there_exists_and_what_is_deleted_or_about_to_be_does_not(
    store: Store, make: Callable[[Store], str]
) -> None:
    value_from = make(store)
    assert store.secrets.exists(value_from) is True
    store.forget(value_from)
    assert store.secrets.exists(value_from) is False


def test_a_key_and_a_version_inside_a_secret_are_the_secret_s(store: Store) -> None:
    """`valueFrom` is `<secret arn>:<json key>:<stage>:<version>` (ECS Developer Guide, "Secrets Manager")."""
    assert store.secrets.exists(f"{store.secret()}:url::") is True


def test_a_parameter_is_known_by_its_arn_too(cloud: LocalCloud, monkeypatch: pytest.MonkeyPatch) -> None:
    name, arn = f"/shop/{uuid.uuid4().hex[:8]}", f"arn:aws:ssm:{cloud.region}:{cloud.account}:parameter"
    cloud.client("ssm").put_parameter(Name=name, Value="x", Type="String")
    secrets = real_world(cloud, monkeypatch).secrets
    assert secrets.exists(f"{arn}{name}") is True
    assert secrets.exists(f"{arn}{name}-other") is False


# Secrets of our own: Neon's key, and the services' connection


def token() -> str:
    return f"rollback-{uuid.uuid4()}"


def test_a_value_is_read_as_it_was_written(store: Store) -> None:
    arn = store.secret()
    store.secrets.write(arn, SecretStr("postgresql://app:geheim@host/db"), token())
    assert store.secrets.read(arn).get_secret_value() == "postgresql://app:geheim@host/db"
    store.secrets.write(arn, SecretStr("postgresql://app:other@host/db"), token())
    assert store.secrets.read(arn).get_secret_value() == "postgresql://app:other@host/db"


def test_written_again_with_its_token_a_value_is_the_same_version_and_another_is_refused(store: Store) -> None:
    """Secrets Manager API, PutSecretValue: idempotent by ClientRequestToken; another value under it is an error."""
    arn, once = store.secret(), token()
    store.secrets.write(arn, SecretStr("first"), once)
    store.secrets.write(arn, SecretStr("first"), once)
    assert store.secrets.read(arn).get_secret_value() == "first"
    with pytest.raises(OutsideFailure):
        store.secrets.write(arn, SecretStr("second"), once)
    assert store.secrets.read(arn).get_secret_value() == "first"


def test_a_secret_that_is_about_to_be_deleted_can_not_be_read(store: Store) -> None:
    arn = store.secret()
    store.secrets.write(arn, SecretStr("geheim"), token())
    store.forget(arn)
    with pytest.raises(OutsideFailure, match=store.name):
        store.secrets.read(arn)


def test_a_secret_that_was_never_made_can_not_be_read(store: Store) -> None:
    with pytest.raises(OutsideFailure, match="never-made"):
        store.secrets.read("arn:aws:secretsmanager:eu-west-1:123456789012:secret:never-made-AbCdEf")


def test_a_value_is_not_shown_by_whoever_holds_it(store: Store) -> None:
    arn = store.secret()
    store.secrets.write(arn, SecretStr("geheim"), token())
    assert "geheim" not in repr(store.secrets.read(arn))


def test_what_we_may_not_look_at_can_not_be_told() -> None:
    class Denied:
        def __getattr__(self, name: str) -> Callable[..., object]:
            def denied(*_: object, **given: object) -> object:
                raise ClientError({"Error": {"Code": "AccessDeniedException", "Message": "no"}}, name)

            return denied

    denied: object = Denied()
    secrets = ReferencedSecrets(denied, denied)  # type: ignore[arg-type]
    assert secrets.exists("arn:aws:secretsmanager:eu-west-1:210987654321:secret:theirs-AbCdEf") is None
    assert secrets.exists("/theirs") is None
    hidden = FakeSecrets()
    hidden.hidden.add("/theirs")
    assert hidden.exists("/theirs") is None


# What Secrets Manager refuses, and what changes nothing


def test_a_value_that_is_written_again_late_does_not_bring_the_old_one_back(store: Store) -> None:
    """A retry of the first write, after the second: its token is known, so nothing becomes the current version."""
    arn, first = store.secret(), token()
    store.secrets.write(arn, SecretStr("first"), first)
    store.secrets.write(arn, SecretStr("second"), token())
    store.secrets.write(arn, SecretStr("first"), first)
    assert store.secrets.read(arn).get_secret_value() == "second"


def test_a_token_counts_for_its_own_secret(store: Store) -> None:
    one, same = store.secret(), token()
    store.secrets.write(one, SecretStr("one"), same)
    store.name += "-other"
    other = store.secret()
    store.secrets.write(other, SecretStr("other"), same)
    assert [store.secrets.read(arn).get_secret_value() for arn in (one, other)] == ["one", "other"]


def test_a_secret_that_was_never_made_can_not_be_written(store: Store) -> None:
    arn = "arn:aws:secretsmanager:eu-west-1:123456789012:secret:never-made-AbCdEf"
    with pytest.raises(CallRefused, match="never-made"):
        store.secrets.write(arn, SecretStr("geheim"), token())


def test_a_token_that_is_too_short_is_refused(store: Store) -> None:
    arn = store.secret()
    with pytest.raises(CallRefused):
        store.secrets.write(arn, SecretStr("geheim"), "short")


def test_a_key_of_a_secret_that_is_about_to_be_deleted_is_not_there(store: Store) -> None:
    arn = store.secret()
    store.forget(arn)
    assert store.secrets.exists(f"{arn}:url::") is False


def test_a_parameter_that_is_gone_is_not_there_by_its_arn_either(store: Store) -> None:
    name = store.parameter()
    assert store.secrets.exists(f"arn:aws:ssm:eu-west-1:123456789012:parameter{name}") is True
    store.forget(name)
    assert store.secrets.exists(f"arn:aws:ssm:eu-west-1:123456789012:parameter{name}") is False
