"""A start of the embedded cloud that fails says so, and leaves nothing running."""

import socket
import subprocess
import sys

import pytest

from local_cloud.deployment.server import LocalCloud, PortInUseError

_A_PART_FAILS = """
import threading
from local_cloud.cloudwatch import alarms
from local_cloud.deployment.server import LocalCloud

install, before = alarms.install, set(threading.enumerate())
def fails(): raise LookupError("no alarms")
alarms.install = fails
cloud = LocalCloud()
try:
    cloud.start()
except LookupError:
    print([thread.name for thread in threading.enumerate() if thread not in before])
alarms.install = install
with cloud:
    print(cloud.client("sqs").list_queues()["ResponseMetadata"]["HTTPStatusCode"])
"""


def test_a_taken_port_is_an_error_at_once() -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]

        with pytest.raises(PortInUseError, match=f"port {port} .*in use"):
            LocalCloud(port=port).start()


def test_what_was_started_before_a_failure_is_stopped_and_the_start_can_be_repeated() -> None:
    done = subprocess.run(
        [sys.executable, "-c", _A_PART_FAILS], capture_output=True, text=True, check=False, timeout=120
    )

    assert done.stdout.splitlines() == ["[]", "200"], done.stderr
