"""`rollback local up` keeps a cloud running for any client, until Ctrl-C."""

import re
import socket
from urllib.parse import urlsplit

import pytest
from e2e.live import wait_for
from e2e.processes import ROLLBACK, Process, run

STATUS = (ROLLBACK, "status", "production")


@pytest.mark.e2e
def test_the_local_cloud_tells_how_to_be_used_and_control_c_ends_all_that_it_started() -> None:
    with Process([ROLLBACK, "local", "up", "--port", "0"]) as up:
        up.line_with("rollback status production")
        exported = (line.removeprefix("export ").partition("=") for line in up.lines if line.startswith("export "))
        variables = {name: value for name, _, value in exported}
        # its deployment has only begun, and the ledger knows it once it has completed
        wait_for(lambda: re.search(r"runs +v1\.0\.0", run(STATUS, variables).stdout))
        assert len(up.members()) > 1  # the tasks and functions

        code = up.interrupt()

        assert code == 0, "\n".join(up.lines)
        assert "stopping" in up.lines
        assert not [line for line in up.lines if "Traceback" in line], "\n".join(up.lines)
        wait_for(lambda: not up.members())
        at = urlsplit(variables["AWS_ENDPOINT_URL"])
        with pytest.raises(ConnectionRefusedError), socket.create_connection((str(at.hostname), int(at.port or 0))):
            pass
