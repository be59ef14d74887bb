"""Ports that `bootstrap` makes, on the embedded cloud."""

from typing import Any

import boto3
import pytest
from support.builders import SERVICE

from local_cloud.deployment.server import LocalCloud
from rollback.bootstrap import make_ports
from rollback.domain.settings.environment import ServiceSettings, Settings
from rollback.drivers.all import ALL_DRIVERS
from rollback.ports.all_ports import AllPorts

WEB = ServiceSettings(name=SERVICE, cluster="c", ecs_service="s", container="app")


def real_ports(
    cloud: LocalCloud, monkeypatch: pytest.MonkeyPatch, service: ServiceSettings = WEB, **names: Any
) -> AllPorts:
    """Make the adapters of all ports; `names` are arguments of `make_ports`."""
    for variable, value in cloud.environment().items():
        monkeypatch.setenv(variable, value)
    settings = Settings(application="macro-ai", environment="production", services=(service,))
    topic = f"arn:aws:sns:{cloud.region}:{cloud.account}:none"
    return make_ports(
        settings,
        **{
            "ledger_table": "ledger",
            "topic_arn": topic,
            "critical_topic_arn": topic,
            "session": boto3.Session(),
            "drivers": ALL_DRIVERS,
            **names,
        },
    )
