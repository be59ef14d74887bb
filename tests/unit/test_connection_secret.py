"""The secret with a database's address: another address in it, and all else as it was."""

import json

import pytest
from pydantic import SecretStr

from rollback.model.connection_secret import has_uri, is_pooled, token_of, with_uri
from rollback.model.errors import InvalidRequest

OLD, NEW = (
    SecretStr("postgresql://app:old@ep-old.neon.tech/app"),
    SecretStr("postgresql://app:new@ep-new.neon.tech/app"),
)
POOLED = SecretStr("postgresql://app:old@ep-old-pooler.eu-central-1.aws.neon.tech/app?sslmode=require")


def keyed(uri: SecretStr) -> SecretStr:
    return SecretStr(json.dumps({"SESSION": "kept", "URL": uri.get_secret_value(), "PORT": 8080}))


def test_the_whole_secret_or_one_key_of_it_is_replaced() -> None:
    assert with_uri(OLD, None, NEW) == NEW
    replaced = json.loads(with_uri(keyed(OLD), "URL", NEW).get_secret_value())
    assert replaced == {"SESSION": "kept", "URL": NEW.get_secret_value(), "PORT": 8080}
    assert list(replaced) == ["SESSION", "URL", "PORT"]


@pytest.mark.parametrize(("secret", "key"), [(OLD, None), (keyed(OLD), "URL")])
def test_what_is_written_is_found_written(secret: SecretStr, key: str | None) -> None:
    assert not has_uri(secret, key, NEW)
    assert has_uri(with_uri(secret, key, NEW), key, NEW)


@pytest.mark.parametrize("secret", [SecretStr("plain"), SecretStr("[1]"), SecretStr("{}"), keyed(OLD)])
def test_a_key_that_is_not_there_is_told_without_what_is(secret: SecretStr) -> None:
    with pytest.raises(InvalidRequest, match="no JSON object with the key 'DATABASE'") as told:
        with_uri(secret, "DATABASE", NEW)
    assert secret.get_secret_value() not in str(told.value)


def test_who_comes_by_the_pooler_is_told_the_pooler() -> None:
    assert is_pooled(POOLED, None)
    assert is_pooled(keyed(POOLED), "URL")
    assert not is_pooled(OLD, None)
    assert not is_pooled(SecretStr("not set yet"), None)


def test_the_token_is_one_that_secrets_manager_takes_and_a_retry_s_is_the_same() -> None:
    assert token_of("a") == token_of("a") != token_of("b")
    assert 32 <= len(token_of("a")) <= 64
