"""A failed start of the embedded cloud raises an error, and leaves no part running."""

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


def test_the_cloud_refuses_a_port_that_another_process_uses() -> None:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen()
        port = listener.getsockname()[1]

        with pytest.raises(PortInUseError, match=f"port {port} .*in use"):
            LocalCloud(port=port).start()


def test_a_failed_start_stops_its_parts_and_can_be_repeated() -> None:
    process = subprocess.run(
        [sys.executable, "-c", _A_PART_FAILS], capture_output=True, text=True, check=False, timeout=120
    )

    assert process.stdout.splitlines() == ["[]", "200"], process.stderr
