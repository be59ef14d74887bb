"""An environment that the previous release deployed, with two releases of the service: the second one is bad."""

import json
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from e2e.conftest import pointed_at
from e2e.live import DeployedEnvironment, wait_for
from e2e.processes import Process
from previous_release.fixture import unpack_code

from rollback.domain.releases.release import Release

_CLOUD = [sys.executable, str(Path(__file__).with_name("cloud_process.py"))]
_TESTS = str(Path(__file__).parents[2])
_PATH = {"PYTHONPATH": os.pathsep.join(filter(None, (_TESTS, os.environ.get("PYTHONPATH"))))}

Deploy = Callable[[str], None]

_WITH_PORTS = """
import json, sys
from rollback.bootstrap import make_ports
from rollback.domain.settings.environment import Settings
known = json.loads(sys.argv[1])
ports = make_ports(Settings.model_validate_json(known.pop("settings")), **known)
"""


class PreviousEnvironment(DeployedEnvironment):
    """Environment whose operators use the code of the previous release too."""

    def __init__(self, code: Path) -> None:
        super().__init__()
        self._code = code

    def run_previous(self, statements: str) -> None:
        """Run statements with the previous release's code; `ports` are its adapters."""
        known = {
            "settings": self.deployed.settings.model_dump_json(),
            "ledger_table": self.deployed.ledger_table,
            "topic_arn": self.deployed.topic_arn,
            "critical_topic_arn": self.deployed.critical_topic_arn,
            "workflow_arn": self.deployed.workflow_arn,
        }
        command = [sys.executable, "-c", f"{_WITH_PORTS}\n{statements}", json.dumps(known)]
        environment = {**os.environ, "PYTHONPATH": str(self._code)}
        ended = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
        assert ended.returncode == 0, ended.stderr

    def promote(self, version: str) -> Release:
        """Promote a release as an operator of the previous release does."""
        self.run_previous(
            "from rollback.promotion.promote import promote_by_operator\n"
            f"promote_by_operator({self.service.name!r}, {version!r}, 'a test', ports)"
        )
        (promoted,) = self.promoted()
        return promoted


@pytest.fixture(scope="module")
def cloud_process() -> Iterator[Process]:
    with Process(_CLOUD, _PATH) as process:
        yield process


@pytest.fixture(scope="module")
def cloud(cloud_process: Process) -> dict[str, str]:
    """Environment variables of the clients of the cloud."""
    variables: dict[str, str] = json.loads(cloud_process.line_with('"AWS_ENDPOINT_URL"'))
    return variables


@pytest.fixture(scope="module")
def deploy(cloud_process: Process) -> Deploy:
    """Function that deploys `today` or `previous` over what is deployed."""

    def deploy_release(release: str) -> None:
        seen = len(cloud_process.lines)
        cloud_process.send_line(f"deploy {release}")
        cloud_process.line_with(f"deployed: {release}", after=seen)

    return deploy_release


@pytest.fixture(scope="module")
def live(cloud: dict[str, str], tmp_path_factory: pytest.TempPathFactory) -> Iterator[PreviousEnvironment]:
    """Environment of the previous release: v1.0.0 is promoted, v2.0.0 runs."""
    code = tmp_path_factory.mktemp("previous")
    unpack_code(code)
    with pointed_at(cloud):
        deployed = PreviousEnvironment(code)
        deployed.promote(deployed.release().version)
        wait_for(lambda: set(deployed.alarm_states().values()) == {"OK"})
        deployed.release()
        yield deployed
