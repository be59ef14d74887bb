"""`rollback local up` runs a cloud for any client until Ctrl-C."""

import re
import socket
from urllib.parse import urlsplit

import pytest
from e2e.live import wait_for
from e2e.processes import ROLLBACK, Process, run

STATUS = (ROLLBACK, "status", "production")


@pytest.mark.e2e
def test_the_embedded_cloud_prints_its_variables_and_control_c_ends_all_its_processes() -> None:
    with Process([ROLLBACK, "local", "up", "--port", "0"]) as up:
        up.line_with("rollback status production")
        exported = (line.removeprefix("export ").partition("=") for line in up.lines if line.startswith("export "))
        variables = {name: value for name, _, value in exported}
        # The ledger knows the release once its deployment has completed.
        wait_for(lambda: re.search(r"\truns\tinfo\tv1\.0\.0", run(STATUS, variables).stdout))
        assert len(up.members()) > 1  # tasks and functions

        code = up.interrupt()

        assert code == 0, "\n".join(up.lines)
        assert "stopping the embedded cloud" in up.lines
        assert not [line for line in up.lines if "Traceback" in line], "\n".join(up.lines)
        wait_for(lambda: not up.members())
        address = urlsplit(variables["AWS_ENDPOINT_URL"])
        with (
            pytest.raises(ConnectionRefusedError),
            socket.create_connection((str(address.hostname), int(address.port or 0))),
        ):
            pass
