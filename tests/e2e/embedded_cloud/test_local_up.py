"""`rollback local up` runs an empty cloud, into which the CDK's own command deploys, until Ctrl-C."""

import re
import socket
import subprocess
from pathlib import Path
from urllib.parse import urlsplit

import pytest
from e2e.live import wait_for
from e2e.processes import ROLLBACK, ROOT, Process, environment, run

CDK = ROOT / ".tools" / "node_modules" / ".bin" / "cdk"
STATUS = (ROLLBACK, "status", "production")


def variables_of_a_shell(folder: dict[str, str]) -> dict[str, str]:
    """Return the variables that a shell has after `eval "$(rollback local env)"`."""
    before = environment({"AWS_PROFILE": "of-a-real-account", **folder})
    script = f'eval "$({ROLLBACK} local env)" && env -0'
    shell = subprocess.run(["bash", "-c", script], env=before, capture_output=True, text=True, check=True)
    after = dict(entry.split("=", 1) for entry in shell.stdout.split("\0") if entry)
    assert "AWS_PROFILE" not in after
    return {name: value for name, value in after.items() if name.startswith(("AWS_", "CDK_", "ROLLBACK_"))}


@pytest.mark.e2e
@pytest.mark.skipif(not CDK.exists(), reason="the CDK's command line is not installed; `make tools` does")
def test_cdk_deploys_into_the_local_cloud_a_release_runs_there_and_control_c_ends_all(tmp_path: Path) -> None:
    folder = {"ROLLBACK_LOCAL_FOLDER": str(tmp_path / "cloud")}
    with Process([ROLLBACK, "local", "up", "--port", "0"], folder) as up:
        up.line_with("rollback local down")
        cloud = variables_of_a_shell(folder)
        too_early = run([ROLLBACK, "local", "ship", "v1.0.0"], cloud)
        assert (too_early.returncode, "cdk deploy --all --app" in too_early.stdout) == (2, True), too_early.stdout

        assembly = str(tmp_path / "cloud" / "cdk.out")
        flags = ["--all", "--app", assembly, "--require-approval", "never", "--no-notices"]
        deployed = run([str(CDK), "deploy", *flags], cloud, seconds=600)
        assert deployed.returncode == 0, deployed.stdout
        shipped = run([ROLLBACK, "local", "ship", "v1.0.0"], cloud)
        assert (shipped.returncode, "v1.0.0 is being deployed" in shipped.stdout) == (0, True), shipped.stdout

        # The cloud sees the stacks and the service of the other processes, and sends the traffic that promotion needs.
        up.line_with("the stacks are deployed")
        up.line_with("10 requests per second are sent")
        up.line_with("release v1.0.0 is promoted")
        assert re.search(r"\truns\t.*v1\.0\.0 \(promoted\)", run(STATUS, cloud).stdout)
        assert len(up.members()) > 1  # tasks and functions

        code = up.interrupt()

        assert code == 0, "\n".join(up.lines)
        assert "stopping the embedded cloud" in up.lines
        assert not [line for line in up.lines if "Traceback" in line], "\n".join(up.lines)
        wait_for(lambda: not up.members())
        assert not (tmp_path / "cloud").exists()
        address = urlsplit(cloud["AWS_ENDPOINT_URL"])
        with (
            pytest.raises(ConnectionRefusedError),
            socket.create_connection((str(address.hostname), int(address.port or 0))),
        ):
            pass
