"""Recipients of pages and reports: the subscriptions that the stack creates, and the warning where there is none."""

import json
from pathlib import Path
from typing import Any

import pytest
from constructs.conftest import resources

from rollback_constructs.settings.advice import find_advice
from rollback_constructs.settings.environment import Configuration, merge
from stacks.assembly import project_context, synthesise

PAGER = "https://events.pager.example/integration/key/enqueue"
NOTIFY = ["mailto:oncall@shop.example", {"to": PAGER, "topics": ["critical", "rollbacks"]}, "sms:+4930123456789"]
PAGES = "rollback:no-recipient-of-pages"


def context_with(change: dict[str, Any]) -> dict[str, Any]:
    context = project_context()
    production = merge(context["environments"]["production"], change)
    return {"aws:cdk:bundling-stacks": [], "environments": {"production": production}}


def advice_on(change: dict[str, Any]) -> dict[str, str]:
    settings = Configuration.read(context_with(change)).environments["production"]
    return {advice.id: advice.text for advice in find_advice(settings, "production")}


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return synthesise(tmp_path_factory.mktemp("recipients"), context_with({"notify": NOTIFY}))


def subscriptions(folder: Path) -> dict[str, dict[str, Any]]:
    template = json.loads((folder / "MacroAiProductionRollbackStack.template.json").read_text())
    return {
        id_: resource["Properties"]
        for id_, resource in template["Resources"].items()
        if resource["Type"] == "AWS::SNS::Subscription"
    }


def test_each_recipient_is_subscribed_to_its_topics(folder: Path) -> None:
    subscribed = {
        (each["Protocol"], each["Endpoint"], "Critical" if "Critical" in each["TopicArn"]["Ref"] else "Rollbacks")
        for each in subscriptions(folder).values()
    }
    assert subscribed == {
        ("email", "oncall@shop.example", "Critical"),
        ("https", PAGER, "Critical"),
        ("https", PAGER, "Rollbacks"),
        ("sms", "+4930123456789", "Critical"),
    }


def test_another_order_moves_no_subscription(folder: Path, tmp_path: Path) -> None:
    """A subscription that CloudFormation creates again has to be confirmed again: until then it pages nobody."""
    reordered = synthesise(tmp_path, context_with({"notify": [*reversed(NOTIFY), "mailto:new@shop.example"]}))
    assert subscriptions(folder).items() <= subscriptions(reordered).items()
    assert len(subscriptions(reordered)) == len(subscriptions(folder)) + 1


def warnings_of(folder: Path) -> str:
    return (folder / "MacroAiProductionRollbackStack.metadata.json").read_text()


def test_a_synth_warns_while_no_recipient_is_decided(folder: Path, tmp_path: Path) -> None:
    undecided = synthesise(tmp_path, context_with({}))
    assert PAGES in warnings_of(undecided)
    assert PAGES not in warnings_of(folder)


@pytest.mark.parametrize(
    ("notify", "is_warned"),
    [
        (None, True),
        ([{"to": "mailto:team@shop.example", "topics": ["rollbacks"]}], True),
        ([], False),  # another tool subscribes
        (["mailto:oncall@shop.example"], False),
    ],
)
def test_a_recipient_of_reports_alone_is_no_recipient_of_pages(notify: Any, is_warned: bool) -> None:
    assert (PAGES in advice_on({"notify": notify})) is is_warned


def test_the_shipped_templates_subscribe_no_address(templates: dict[str, Any]) -> None:
    assert not any(resources(template, "AWS::SNS::Subscription") for template in templates.values())
