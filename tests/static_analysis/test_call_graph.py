"""The call graph follows a package's own protocol of ports as it follows the whole `AllPorts`."""

import shutil

import pytest
from static_analysis.call_graph import LAMBDAS, CallGraph

_PORTS = """
from typing import Protocol

from rollback.ports.holders import HasClock, HasReadinessChecks, HasServices
from rollback.ports.all_ports import AllPorts


class ProbePorts(HasReadinessChecks, HasServices, Protocol):
    pass


class WiderProbePorts(ProbePorts, HasClock, Protocol):
    pass


def with_all_ports(ports: AllPorts) -> None:
    ports.for_readiness_checks().services.describe(None)


def with_protocol(ports: ProbePorts) -> None:
    ports.for_readiness_checks().services.describe(None)


def with_extended_protocol(ports: WiderProbePorts) -> None:
    ports.for_readiness_checks().services.describe(None)
"""


@pytest.fixture(scope="module")
def graph(tmp_path_factory: pytest.TempPathFactory) -> CallGraph:
    lambdas = tmp_path_factory.mktemp("tree") / "lambdas"
    shutil.copytree(LAMBDAS / "rollback", lambdas / "rollback")
    (lambdas / "rollback" / "probe.py").write_text(_PORTS)
    return CallGraph(lambdas)


def aws_calls(graph: CallGraph, entry: str) -> set[str]:
    return {
        f"{call.service}:{call.method}" for name in graph.reach(entry) for call in graph.body(name, frozenset()).aws
    }


@pytest.mark.parametrize("entry", ["with_protocol", "with_extended_protocol"])
def test_a_protocol_of_holders_reaches_the_aws_calls_that_all_ports_reach(graph: CallGraph, entry: str) -> None:
    through_all_ports = aws_calls(graph, "rollback.probe.with_all_ports")
    assert "ecs:describe_services" in through_all_ports
    assert "ecs:update_service" not in through_all_ports
    assert aws_calls(graph, f"rollback.probe.{entry}") == through_all_ports
