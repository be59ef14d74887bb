"""Advice on valid settings that few teams want: a synth warns and goes on."""

import json
from pathlib import Path
from typing import Any

import pytest
from constructs.conftest import resources
from support.wrong_settings import CERTIFICATE, HERE

from rollback_constructs.settings.advice import find_advice
from rollback_constructs.settings.environment import Configuration, merge
from stacks.assembly import project_context, synthesise

ADDRESS = "https://api.shop.example"
NOTIFY = {"notify": ["mailto:oncall@shop.example"]}


def context_with(*changes: dict[str, Any]) -> dict[str, Any]:
    production = project_context()["environments"]["production"]
    for change in changes:
        production = merge(production, change)
    return {"aws:cdk:bundling-stacks": [], "environments": {"production": production}}


def advice_on(*changes: dict[str, Any]) -> list[str]:
    settings = Configuration.read(context_with(NOTIFY, *changes)).environments["production"]
    return [advice.id for advice in find_advice(settings, "production")]


def service(**changes: Any) -> dict[str, Any]:
    return {"services": [changes]}


def test_the_shipped_environments_get_no_advice_but_to_name_a_recipient() -> None:
    configuration = Configuration.read(project_context())
    for name, settings in configuration.environments.items():
        assert [advice.id for advice in find_advice(settings, name)] == ["rollback:no-recipient-of-pages"]


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        ({"policy": {"poll_seconds": 1}}, ["rollback:fast-polls"]),
        ({"policy": {"poll_seconds": 5}}, []),
        (service(base_url=ADDRESS), ["rollback:https-without-certificate"]),
        (service(base_url=ADDRESS, workload={"certificate_arn": CERTIFICATE}), []),
        (
            service(base_url="http://api.shop.example", workload={"certificate_arn": CERTIFICATE}),
            ["rollback:certificate-without-https"],
        ),
        (service(base_url="http://api.shop.example"), []),
    ],
)
def test_unusual_settings_get_advice(change: dict[str, Any], expected: list[str]) -> None:
    assert advice_on(change) == expected


def test_a_mode_that_nobody_chose_gets_advice_to_observe_first() -> None:
    context = context_with(NOTIFY)
    del context["environments"]["production"]["policy"]["mode"]
    settings = Configuration.read(context).environments["production"]
    assert [advice.id for advice in find_advice(settings, "production")] == ["rollback:mode-not-decided"]


def test_a_certificate_gives_the_load_balancer_an_https_listener_and_nothing_else(tmp_path: Path) -> None:
    change = service(base_url=ADDRESS, workload={"certificate_arn": CERTIFICATE})
    folder = synthesise(tmp_path, context_with(NOTIFY, HERE, change))
    template = json.loads((folder / "MacroAiProductionStack.template.json").read_text())
    (listener,) = resources(template, "AWS::ElasticLoadBalancingV2::Listener")
    assert (listener["Protocol"], listener["Port"]) == ("HTTPS", 443)
    assert listener["Certificates"] == [{"CertificateArn": CERTIFICATE}]
    assert "TLS13" in listener["SslPolicy"]
    warnings = (folder / "MacroAiProductionRollbackStack.metadata.json").read_text()
    assert "aws:cdk:warning" not in warnings
