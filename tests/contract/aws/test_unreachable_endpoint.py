"""An AWS endpoint that accepts connections and never answers costs an emergency two seconds, once.

The SDK has an address for each service (`AWS_ENDPOINT_URL_<service>`). A test sets the address of one service.
"""

import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import boto3
import pytest
from contract.aws.throttled_emergency import EmergencyRunner, tasks_without_processes
from contract.real_ports import WEB, real_ports

from local_cloud.deployment.server import LocalCloud
from rollback.bootstrap import make_ports
from rollback.domain.settings.environment import Settings
from rollback.errors import ExternalServiceError
from rollback.ports.all_ports import AllPorts

IMAGE = "123456789012.dkr.ecr.eu-west-1.amazonaws.com/web:v1"
GROUP = "arn:aws:elasticloadbalancing:eu-west-1:123456789012:targetgroup/web/0123456789abcdef"
# Name in the variable → a call that an emergency makes to that service.
OPTIONAL: dict[str, Callable[[AllPorts], object]] = {
    "CLOUDWATCH": lambda ports: ports.alarms.states(("outage",)),
    "ECR": lambda ports: ports.images.digest_of(IMAGE),
    "ELASTIC_LOAD_BALANCING_V2": lambda ports: ports.target_groups.health(GROUP),
    "CLOUDFORMATION": lambda ports: ports.stacks.describe("web"),
    "APPLICATION_AUTO_SCALING": lambda ports: ports.scaling.describe(WEB),
    "SFN": lambda ports: ports.workflow.is_running("arn:aws:states:eu-west-1:123456789012:execution:rollback:1"),
}
_GENEROUS_SECONDS = 8  # two on an idle machine; the clients with long timeouts take thirty


@contextmanager
def silent_server() -> Iterator[str]:
    """Yield the URL of a server that accepts every connection and never answers."""
    listening = socket.create_server(("127.0.0.1", 0))
    connections: list[socket.socket] = []

    def accept() -> None:
        while True:
            try:
                connections.append(listening.accept()[0])
            except OSError:
                return

    threading.Thread(target=accept, daemon=True).start()
    try:
        yield f"http://127.0.0.1:{listening.getsockname()[1]}"
    finally:
        listening.close()
        for connection in connections:
            connection.close()


def test_calls_that_an_emergency_can_skip_get_one_attempt_and_two_seconds() -> None:
    clients: list[tuple[str, Any]] = []

    class Session:
        def client(self, service: str, *, region_name: str | None, config: Any) -> Any:
            clients.append((service, config))
            return boto3.client(
                service, region_name="eu-west-1", aws_access_key_id="a", aws_secret_access_key="b", config=config
            )  # type: ignore[call-overload]

    session: Any = Session()
    settings = Settings(application="a", environment="e", services=(WEB,))
    ports = make_ports(
        settings, ledger_table="t", topic_arn="arn", critical_topic_arn="arn", session=session
    ).with_short_timeouts()
    ports_to_check = (ports.alarms, ports.images, ports.target_groups, ports.stacks, ports.scaling, ports.workflow)
    reads = [_client_of(port) for port in ports_to_check]
    for client in reads:
        assert client.meta.service_model is not None
    assert {service for service, _ in clients} == {
        "cloudwatch", "ecr", "elbv2", "cloudformation", "application-autoscaling", "stepfunctions",
    }  # fmt: skip
    for service, config in clients:
        assert (config.connect_timeout, config.read_timeout) == (1, 2), service
        assert config.retries["total_max_attempts"] == 1, service


def _client_of(port: Any) -> Any:
    """Return the client that the port calls."""
    adapter = vars(port).get("_port", port)
    attributes = vars(adapter)
    if "_client_in" in attributes:
        return attributes["_client_in"]("eu-west-1")
    return next(attributes[name] for name in ("_client", "_reader", "_cloudwatch") if name in attributes)


@pytest.mark.parametrize("service", OPTIONAL)
def test_an_endpoint_that_never_answers_costs_an_emergency_seconds_and_is_called_once(
    service: str, cloud: LocalCloud, monkeypatch: pytest.MonkeyPatch
) -> None:
    with silent_server() as address:
        monkeypatch.setenv(f"AWS_ENDPOINT_URL_{service}", address)
        ports = real_ports(cloud, monkeypatch).with_short_timeouts()
        began = time.monotonic()
        with pytest.raises(ExternalServiceError):
            OPTIONAL[service](ports)
        assert time.monotonic() - began < _GENEROUS_SECONDS


class EmergencyWithoutService(EmergencyRunner):
    """Run emergencies while one endpoint never answers."""

    def redirect_service(self, service: str, address: str, monkeypatch: pytest.MonkeyPatch) -> None:
        self._of, self._address, self._monkeypatch = f"AWS_ENDPOINT_URL_{service}", address, monkeypatch

    def _create_service(self, name: str) -> str:
        created = super()._create_service(name)
        self._monkeypatch.setenv(self._of, self._address)  # clients are made when they are first used
        return created

    def _delete_service(self, name: str) -> None:
        self._monkeypatch.delenv(self._of)
        super()._delete_service(name)


@pytest.mark.parametrize("service", OPTIONAL)
def test_an_emergency_calls_update_service_in_its_first_invocation_without_the_endpoint(
    service: str, cloud: LocalCloud, monkeypatch: pytest.MonkeyPatch
) -> None:
    for variable, value in cloud.environment().items():
        monkeypatch.setenv(variable, value)
    with tasks_without_processes(), silent_server() as address:
        emergencies = EmergencyWithoutService(cloud, 0.0, f"without {service}")
        emergencies.redirect_service(service, address, monkeypatch)
        course = emergencies.run_emergency(0)
    assert course.problem == ""
    assert course.tries == 1
    assert course.seconds < 2 * _GENEROUS_SECONDS
