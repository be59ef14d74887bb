"""The command reads the settings in the outputs of a stack, packed or not, and names damage."""

import pytest

from rollback.domain.settings.environment import ServiceSettings, Settings
from rollback.domain.settings.packed import pack
from rollback.errors import InvalidRequest
from rollback_cli.deployed_stack import from_outputs

SERVICE = ServiceSettings(name="shop", cluster="shop", ecs_service="shop", container="web")
SETTINGS = Settings(application="shop", environment="production", services=(SERVICE,))
TEXT = SETTINGS.model_dump_json(exclude_defaults=True)
OUTPUTS = {
    "LedgerTable": "ledger",
    "TopicArn": "arn:aws:sns:eu-west-1:123456789012:rollbacks",
    "CriticalTopicArn": "arn:aws:sns:eu-west-1:123456789012:critical",
    "WorkflowArn": "arn:aws:states:eu-west-1:123456789012:stateMachine:rollback",
}


@pytest.mark.parametrize("text", [TEXT, pack(TEXT)], ids=["plain", "packed"])
def test_settings_are_read_from_the_output(text: str) -> None:
    assert from_outputs({"Settings": text, **OUTPUTS}, "ShopRollbackStack").settings == SETTINGS


def test_damaged_settings_are_told_with_the_stack_and_what_to_do() -> None:
    with pytest.raises(InvalidRequest, match=r"^stack ShopRollbackStack: the packed settings .*; deploy the rollback"):
        from_outputs({"Settings": pack(TEXT)[:-12], **OUTPUTS}, "ShopRollbackStack")
