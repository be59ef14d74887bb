"""MiniStack with our shims (`cloud/`), in a process of its own, on loopback and a free port."""

import json
import os
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self, cast

from local_cloud.processes import child_processes

ROOT = Path(__file__).parents[2]
PYTHON = ROOT / ".referee" / "bin" / "python"
ACCOUNT, REGION = "123456789012", "eu-west-1"
_START_SECONDS = 60.0
# Only this process gets the path: deployed functions would inherit it from PYTHONPATH.
_SERVE = f"import sys; sys.path.insert(0, {str(ROOT / 'tests')!r}); from referee.cloud.serve import main; main()"


@dataclass(frozen=True)
class Decision:
    """Decision of IAM about a role's call."""

    role: str
    action: str
    resource: str
    allowed: bool


def free_port() -> int:
    """Find a port of loopback that no process listens on now."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return int(listener.getsockname()[1])


def ask(judge: str, question: Any) -> Any:
    """Ask a function of `judges.py`, which runs in the referee's own environment.

    Raises:
        RuntimeError: the judge failed; the text has its output.
    """
    process = subprocess.run(
        [str(PYTHON), str(Path(__file__).with_name("judges.py")), judge],
        input=json.dumps(question), capture_output=True, text=True, check=False,
    )  # fmt: skip
    if process.returncode:
        raise RuntimeError(f"the judge {judge} ended with {process.returncode}:\n{process.stderr[-3000:]}")
    return json.loads(process.stdout)


class Emulator:
    """MiniStack; its log and its journal are files in a folder."""

    def __init__(self, folder: Path, *, iam: bool, wait_scale: float = 1.0) -> None:
        """Start the process.

        Args:
            folder: where the log and the journal are written.
            iam: whether the policies of roles and users are enforced.
            wait_scale: factor of Step Functions' waits.
        """
        folder.mkdir(parents=True)
        self.endpoint = f"http://localhost:{(port := free_port())}"
        self.log, self._journal = folder / "ministack.log", folder / "journal.jsonl"
        self._began = 0
        own = {
            "GATEWAY_PORT": str(port), "BIND_HOST": "127.0.0.1", "MINISTACK_ACCOUNT_ID": ACCOUNT,
            "MINISTACK_REGION": REGION, "AUTH": str(iam).lower(), "LAMBDA_EXECUTOR": "local",
            "SFN_WAIT_SCALE": str(wait_scale), "SFTP_ENABLED": "0", "REFEREE_JOURNAL": str(self._journal),
        }  # fmt: skip
        with self.log.open("w") as log:
            self._process = child_processes.start(
                [str(PYTHON), "-c", _SERVE],
                cwd=folder, env={**self.environment(), **own}, stdout=log, stderr=subprocess.STDOUT,
            )  # fmt: skip

    def environment(self) -> dict[str, str]:
        """Join the variables of this cloud to this process's, without those of an AWS client."""
        inherited = {name: value for name, value in os.environ.items() if not name.startswith(("AWS_", "CDK_"))}
        tools = (str(Path(sys.executable).parent), str(ROOT / ".tools" / "node_modules" / ".bin"))
        return {
            **inherited,
            "PATH": os.pathsep.join((*tools, os.environ["PATH"])),
            "AWS_ENDPOINT_URL": self.endpoint,
            "AWS_ENDPOINT_URL_S3": self.endpoint,
            "AWS_REGION": REGION,
            "AWS_DEFAULT_REGION": REGION,
            "AWS_ACCESS_KEY_ID": "test",
            "AWS_SECRET_ACCESS_KEY": "test",
            "AWS_EC2_METADATA_DISABLED": "true",
            "CDK_DEFAULT_ACCOUNT": ACCOUNT,
            "CDK_DEFAULT_REGION": REGION,
            "CDK_DISABLE_CLI_TELEMETRY": "true",
            "COLUMNS": "250",
            "NO_COLOR": "1",
            "TERM": "dumb",
        }

    def client(self, service: str) -> Any:
        """Make a client of boto3 as the account's root."""
        import boto3  # noqa: PLC0415 - the import takes a while

        options = {"region_name": REGION, "aws_access_key_id": "test", "aws_secret_access_key": "test"}
        return cast(Any, boto3.Session()).client(service, endpoint_url=self.endpoint, **options)

    def wait_until_up(self) -> Self:
        """Wait until MiniStack answers.

        Raises:
            RuntimeError: MiniStack ended, or gave no answer within 60 seconds.
        """
        deadline = time.monotonic() + _START_SECONDS
        while time.monotonic() < deadline and self._process.poll() is None:
            try:
                with urllib.request.urlopen(f"{self.endpoint}/_ministack/health", timeout=2):  # noqa: S310 - our own address
                    return self
            except (urllib.error.URLError, OSError):
                time.sleep(0.1)
        raise RuntimeError(f"MiniStack does not answer; see {self.log}:\n{self.log.read_text()[-3000:]}")

    def decisions(self) -> list[Decision]:
        """Decisions of IAM about roles' calls since `forget`."""
        return [Decision(**line) for line in self._lines() if "role" in line]

    def unknown_calls(self) -> list[str]:
        """Calls since `forget` that neither MiniStack nor a shim knows."""
        return [f"{line['unknown']}: {line['answer']}" for line in self._lines() if "unknown" in line]

    def forget(self) -> None:
        """Ignore the lines that the journal has now."""
        self._began = len(self._journal.read_text().splitlines())

    def end(self) -> None:
        """End the process and the workers of its functions."""
        child_processes.end(self._process)

    def _lines(self) -> list[dict[str, Any]]:
        return [json.loads(line) for line in self._journal.read_text().splitlines()[self._began :]]
