"""What the steps are promised of Secrets Manager and SSM, on the fake and on the embedded cloud."""

import uuid
from collections.abc import Callable

import pytest
from botocore.exceptions import ClientError
from contract.real_world import real_world
from fakes import FakeSecrets

from local_cloud.server import LocalCloud
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
            return f"arn:aws:secretsmanager:eu-west-1:123456789012:secret:{self.name}-AbCdEf"
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


def test_what_we_may_not_look_at_can_not_be_told() -> None:
    class Denied:
        def __getattr__(self, name: str) -> Callable[..., object]:
            def denied(**given: object) -> object:
                raise ClientError({"Error": {"Code": "AccessDeniedException", "Message": "no"}}, name)

            return denied

    denied: object = Denied()
    secrets = ReferencedSecrets(denied, denied)  # type: ignore[arg-type]
    assert secrets.exists("arn:aws:secretsmanager:eu-west-1:210987654321:secret:theirs-AbCdEf") is None
    assert secrets.exists("/theirs") is None
    hidden = FakeSecrets()
    hidden.hidden.add("/theirs")
    assert hidden.exists("/theirs") is None
