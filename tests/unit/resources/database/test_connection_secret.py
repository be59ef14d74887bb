"""Secret with a database's address: only the address is replaced."""

import json

import pytest
from pydantic import SecretStr

from rollback.errors import InvalidRequest
from rollback.resources.database.connection_secret import SecretKeys, has_uri, is_pooled, role_in, token_of, with_uri

OLD, NEW = (
    SecretStr("postgresql://app:old@ep-old.neon.tech/app"),
    SecretStr("postgresql://app:new@ep-new.neon.tech/app"),
)
WHOLE, KEYED = SecretKeys(), SecretKeys(address="URL")
POOLED = SecretStr("postgresql://app:old@ep-old-pooler.eu-central-1.aws.neon.tech/app?sslmode=require")


def keyed_secret(uri: SecretStr) -> SecretStr:
    return SecretStr(json.dumps({"SESSION": "kept", "URL": uri.get_secret_value(), "PORT": 8080}))


def test_the_whole_secret_or_one_key_of_the_secret_is_replaced() -> None:
    assert with_uri(OLD, WHOLE, NEW) == NEW
    secret_fields = json.loads(with_uri(keyed_secret(OLD), KEYED, NEW).get_secret_value())
    assert secret_fields == {"SESSION": "kept", "URL": NEW.get_secret_value(), "PORT": 8080}
    assert list(secret_fields) == ["SESSION", "URL", "PORT"]


@pytest.mark.parametrize(("secret", "keys"), [(OLD, WHOLE), (keyed_secret(OLD), KEYED), (POOLED, WHOLE)])
def test_a_written_address_is_recognised_in_the_secret(secret: SecretStr, keys: SecretKeys) -> None:
    assert not has_uri(secret, keys, NEW)
    assert has_uri(with_uri(secret, keys, NEW), keys, NEW)


@pytest.mark.parametrize("secret", [SecretStr("plain"), SecretStr("[1]"), SecretStr("{}"), keyed_secret(OLD)])
def test_the_error_about_a_missing_key_does_not_show_the_secret(secret: SecretStr) -> None:
    with pytest.raises(InvalidRequest, match="no JSON object with the key 'DATABASE'") as error_info:
        with_uri(secret, SecretKeys(address="DATABASE"), NEW)
    assert secret.get_secret_value() not in str(error_info.value)


def test_a_pooled_address_in_the_secret_is_recognised() -> None:
    assert is_pooled(POOLED, WHOLE)
    assert is_pooled(keyed_secret(POOLED), KEYED)
    assert not is_pooled(OLD, WHOLE)
    assert not is_pooled(SecretStr("not set yet"), WHOLE)


def test_the_request_token_is_valid_for_secrets_manager_and_the_same_for_a_retry() -> None:
    assert token_of("a") == token_of("a") != token_of("b")
    assert 32 <= len(token_of("a")) <= 64


@pytest.mark.parametrize(
    ("current", "neon", "changed_fields"),
    [
        (  # the host only: scheme, role, database, port and query are the application's
            "postgresql+asyncpg://app_rw:s%2Fe@ep-old.neon.tech:5432/orders?sslmode=require&application_name=api",
            "postgresql://neondb_owner:other@ep-new.neon.tech/neondb?sslmode=require&channel_binding=require",
            "postgresql+asyncpg://app_rw:s%2Fe@ep-new.neon.tech:5432/orders?sslmode=require&application_name=api",
        ),
        (  # the same role with another password: the branch was made from a protected one
            "postgres://app:old@ep-old.neon.tech/orders",
            "postgresql://app:n%23w@ep-new.neon.tech/neondb",
            "postgres://app:n%23w@ep-new.neon.tech/orders",
        ),
        (  # the same password, encoded in another way, stays as it is written
            "postgres://app:a%2Db@ep-old.neon.tech/orders",
            "postgresql://app:a-b@ep-new.neon.tech/orders",
            "postgres://app:a%2Db@ep-new.neon.tech/orders",
        ),
        (  # a password that comes from elsewhere is not written into the URI
            "postgres://app@ep-old.neon.tech/orders",
            "postgresql://app:new@ep-new.neon.tech/orders",
            "postgres://app@ep-new.neon.tech/orders",
        ),
        (  # a client without SNI names the endpoint in its options
            "postgres://app:x@ep-old-pooler.neon.tech/orders?options=endpoint%3Dep-old",
            "postgresql://app:x@ep-new-pooler.neon.tech/orders",
            "postgres://app:x@ep-new-pooler.neon.tech/orders?options=endpoint%3Dep-new",
        ),
        (  # the local Neon tells endpoints apart by their port
            "postgres://app:x@127.0.0.1:4001/orders?connect_timeout=9",
            "postgresql://app:x@127.0.0.1:4002/app",
            "postgres://app:x@127.0.0.1:4002/orders?connect_timeout=9",
        ),
        ("not set yet", "postgresql://o:x@ep-new.neon.tech/db", "postgresql://o:x@ep-new.neon.tech/db"),
    ],
)
def test_only_the_host_in_the_secret_is_replaced(current: str, neon: str, changed_fields: str) -> None:
    """https://neon.com/docs/guides/protected-branches: new passwords for the roles of a protected branch's child."""
    assert with_uri(SecretStr(current), WHOLE, SecretStr(neon)).get_secret_value() == changed_fields
    assert has_uri(SecretStr(changed_fields), WHOLE, SecretStr(neon))


def test_a_separate_host_key_is_written_with_the_password_of_the_same_role() -> None:
    keys = SecretKeys(address="host", role="username", password="password")
    stored_fields = {
        "host": "ep-old-pooler.neon.tech",
        "port": 5432,
        "username": "app",
        "password": "old",
        "dbname": "orders",
    }
    secret = SecretStr(json.dumps(stored_fields))
    assert (is_pooled(secret, keys), role_in(secret, keys)) == (True, "app")
    of_role = SecretStr("postgresql://app:n%23w@ep-new-pooler.neon.tech/neondb")
    changed_secret = with_uri(secret, keys, of_role)
    assert json.loads(changed_secret.get_secret_value()) == {
        **stored_fields,
        "host": "ep-new-pooler.neon.tech",
        "password": "n#w",
    }
    assert has_uri(changed_secret, keys, of_role)
    of_owner = SecretStr("postgresql://neondb_owner:theirs@ep-new-pooler.neon.tech/neondb")
    owner_fields = json.loads(with_uri(secret, keys, of_owner).get_secret_value())
    assert owner_fields == {**stored_fields, "host": "ep-new-pooler.neon.tech"}


def test_the_error_about_an_unreadable_address_does_not_show_the_address() -> None:
    with pytest.raises(InvalidRequest, match="can't be read") as error_info:
        with_uri(SecretStr("postgres://app:a/b@ep-old.neon.tech/orders"), WHOLE, NEW)
    assert "a/b" not in str(error_info.value)
