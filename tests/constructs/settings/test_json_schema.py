"""The JSON Schema of `cdk.json` is that of today's models, takes what a synth takes, and refuses a wrong name."""

import json
from collections.abc import Mapping
from typing import Any

import pytest
from jsonschema import Draft202012Validator  # type: ignore[import-untyped]
from support.wrong_settings import SHOP, WRONG, attached

from rollback_constructs.settings.environment import Configuration
from rollback_constructs.settings.json_schema import SCHEMA_FILE, cdk_json_schema, schema_text
from stacks.assembly import PROJECT

SCHEMA = cdk_json_schema()
VALIDATOR = Draft202012Validator(SCHEMA)
CDK_JSON: dict[str, Any] = json.loads((PROJECT / "cdk.json").read_text())
# A schema can't describe the other cases: conflicts between settings, and names in AWS.
REFUSED_BY_THE_SCHEMA = (
    "a truth in place of minutes", "a truth in place of a count", "a number in quotes", "a number in place of a truth",
    "a half round", "a period that CloudWatch does not have", "a negative time",
    "a short account", "a misspelt setting", "a misspelt setting of a service", "a misspelt choice",
    "a required setting left out", "no services", "text in place of services", "text in place of a service",
    "text in place of an environment", "an environment with a slash", "an environment in capitals",
    "an environment without name", "a mail address without scheme", "a pager without encryption",
    "a recipient of a topic that does not exist", "a recipient of nothing", "a recipient without address",
)  # fmt: skip


def problems(context: Mapping[str, Any]) -> list[str]:
    return [error.json_path for error in VALIDATOR.iter_errors({**CDK_JSON, "context": context})]


def test_the_published_schema_is_that_of_the_models() -> None:
    """`make schemas` writes it."""
    assert (PROJECT / "docs" / "schemas" / SCHEMA_FILE).read_text() == schema_text()
    Draft202012Validator.check_schema(SCHEMA)


def test_the_shipped_cdk_json_names_the_schema_and_keeps_it() -> None:
    assert (PROJECT / CDK_JSON["$schema"]).samefile(PROJECT / "docs" / "schemas" / SCHEMA_FILE)
    assert problems(CDK_JSON["context"]) == []


def test_all_settings_with_their_defaults_keep_the_schema() -> None:
    """A default that the schema refuses would be marked in an editor as soon as it is written down."""
    environments = Configuration.read(CDK_JSON["context"]).environments
    whole = {name: json.loads(settings.model_dump_json()) for name, settings in environments.items()}
    assert problems({"environments": whole}) == []


def test_an_existing_service_and_recipients_of_both_forms_keep_the_schema() -> None:
    recipients = ["mailto:a@shop.example", {"to": "https://pager.example/x", "topics": ["critical", "rollbacks"]}]
    assert problems(attached({}, {"notify": recipients, "policy": {"mode": "observe"}})) == []
    assert problems({"environments": {"production": {"services": [SHOP]}}, "@aws-cdk/core:x": True, "team": 1}) == []


@pytest.mark.parametrize("case", REFUSED_BY_THE_SCHEMA)
def test_a_wrong_setting_is_marked_where_it_is(case: str) -> None:
    found = problems(WRONG[case][0])
    assert found
    assert all(path.startswith("$.context.environments") for path in found)
