"""CDK tokens in settings: validated as stand-ins of the right form, and back in their places afterwards."""

from typing import Any

import pytest

from rollback_constructs.settings.environment import Application, Configuration, InvalidSettings
from rollback_constructs.settings.tokens import TokenStandIns

ACCOUNT, REGION = "123456789012", "eu-west-1"


def token(number: int) -> str:
    return f"${{Token[TOKEN.{number}]}}"


EXISTING: dict[str, Any] = {
    "load_balancer": f"app/{token(1)}/{token(2)}",
    "target_groups": [f"targetgroup/{token(3)}/{token(4)}"],
    "task_role_arns": [token(5)],
    "execution_role_arns": [f"arn:{token(20)}:iam::{token(21)}:role/execution"],
    "log_group": f"/ecs/{token(6)}",
    "repository": token(7),
}
SERVICE: dict[str, Any] = {
    "name": "api",
    "cluster": token(8),
    "ecs_service": token(9),
    "container": "api",
    "base_url": f"https://{token(10)}/shop",
    "endpoints": [{"path": "/health"}],
    "existing": EXISTING,
}
ENVIRONMENT: dict[str, Any] = {
    "services": [SERVICE],
    "database": {
        "project_id": "quiet-sun-1",
        "branch_id": "br-main-1",
        "api_key_secret_arn": token(11),
        "connection_secret_arn": token(12),
    },
    "keys": {"ledger": token(13), "secrets": [token(14)]},
    "policy": {"mode": "observe"},
}


def stand_ins(region: str | None = None, account: str | None = None) -> TokenStandIns:
    return TokenStandIns(region=region, account=account, partition=None)


def read(environment: dict[str, Any]) -> Configuration:
    return Configuration.read({"environments": {"production": environment}})


@pytest.mark.parametrize("place", [{}, {"region": REGION, "account": ACCOUNT}], ids=["unknown", "known"])
def test_settings_with_tokens_are_valid_and_get_their_tokens_back(place: dict[str, str]) -> None:
    tokens = stand_ins(**place)
    configuration = read({**place, **tokens.replace(ENVIRONMENT)})
    (settings,) = configuration.environments.values()

    restored = tokens.restore(settings)
    runtime = tokens.restore(settings.runtime_settings(Application(), "production", {}, "Shop"))

    (service,) = restored.services
    existing = service.existing
    assert existing is not None
    assert {name: _as_list(getattr(existing, name)) for name in EXISTING} == {
        name: _as_list(value) for name, value in EXISTING.items()
    }
    assert (service.cluster, service.ecs_service, service.base_url) == (token(8), token(9), f"https://{token(10)}/shop")
    assert (restored.keys.ledger, restored.keys.secrets) == (token(13), (token(14),))
    assert runtime.database is not None
    assert (runtime.database.api_key_secret_arn, runtime.database.connection_secret_arn) == (token(11), token(12))
    assert runtime.services[0].base_url == f"https://{token(10)}/shop"
    assert type(runtime.database.strategy) is type(settings.database.strategy)  # type: ignore[union-attr]


def _as_list(value: Any) -> Any:
    return list(value) if isinstance(value, list | tuple) else value


def test_a_literal_beside_tokens_gives_the_stand_ins_its_account_region_and_partition() -> None:
    tokens = stand_ins()
    replaced = tokens.replace(
        {
            "keys": {"ledger": token(1)},
            "arn": "arn:aws-cn:ecs:cn-north-1:210987654321:cluster/shop",
            "role_arn": token(2),
        }
    )
    assert replaced["keys"]["ledger"].startswith("arn:aws-cn:kms:cn-north-1:210987654321:key/")
    assert replaced["role_arn"].startswith("arn:aws-cn:iam::210987654321:role/")


def test_equal_tokens_stay_equal_and_different_ones_stay_different() -> None:
    replaced = stand_ins().replace({"a": token(1), "b": token(1), "c": token(2)})
    assert replaced["a"] == replaced["b"] != replaced["c"]


def test_the_same_service_twice_is_refused_though_its_name_is_a_token() -> None:
    twice = {**ENVIRONMENT, "services": [SERVICE, {**SERVICE, "name": "again"}]}
    tokens = stand_ins()
    with pytest.raises(InvalidSettings) as error:
        read(tokens.replace(twice))
    message = tokens.describe(str(error.value))
    assert "are the same ECS service, <known at deployment>/<known at deployment>; describe it once" in message
    assert "0000000" not in message


def test_text_without_a_token_is_left_alone() -> None:
    settings = {"a": "${AWS::Region}", "b": 1, "c": [True, None, 2.5], "d": {"e": "x"}}
    assert stand_ins().replace(settings) == settings
