"""A MiniStack with our shims (`cloud/`), in a process of its own, on loopback and a free port."""

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
# The path is this process's alone: in PYTHONPATH deployed functions would have it too.
_SERVE = f"import sys; sys.path.insert(0, {str(ROOT / 'tests')!r}); from referee.cloud.serve import main; main()"


@dataclass(frozen=True)
class Decision:
    """What IAM said to a call of a role."""

    role: str
    action: str
    resource: str
    allowed: bool


def free_port() -> int:
    """A port of loopback that nothing listens on at this moment."""
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        return int(found.getsockname()[1])


def ask(judge: str, question: Any) -> Any:
    """The answer of a function of `judges.py`, which runs in the referee's own environment.

    Raises:
        RuntimeError: with what the judge said instead.
    """
    done = subprocess.run(
        [str(PYTHON), str(Path(__file__).with_name("judges.py")), judge],
        input=json.dumps(question), capture_output=True, text=True, check=False,
    )  # fmt: skip
    if done.returncode:
        raise RuntimeError(f"the judge {judge} ended with {done.returncode}:\n{done.stderr[-3000:]}")
    return json.loads(done.stdout)


class Emulator:
    """One cloud; its log and its journal are files in `folder`."""

    def __init__(self, folder: Path, *, iam: bool, wait_scale: float = 1.0) -> None:
        """Start it.

        Args:
            iam: whether the policies of roles and users are enforced.
            wait_scale: what Step Functions' waits are multiplied by.
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
        """This process's variables without any that steer an AWS client, and those of this cloud."""
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
        """A client of boto3, as the account's root."""
        import boto3  # noqa: PLC0415 - takes a while

        given = {"region_name": REGION, "aws_access_key_id": "test", "aws_secret_access_key": "test"}
        return cast(Any, boto3.Session()).client(service, endpoint_url=self.endpoint, **given)

    def wait_until_up(self) -> Self:
        """Wait until it answers.

        Raises:
            RuntimeError: it ended, or does not answer within half a minute.
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
        """What IAM decided of roles' calls since `forget`."""
        return [Decision(**line) for line in self._lines() if "role" in line]

    def unknown_calls(self) -> list[str]:
        """Calls since `forget` that neither MiniStack nor a shim knows."""
        return [f"{line['unknown']}: {line['answer']}" for line in self._lines() if "unknown" in line]

    def forget(self) -> None:
        """Begin the journal anew."""
        self._began = len(self._journal.read_text().splitlines())

    def end(self) -> None:
        """End it, with the workers of its functions."""
        child_processes.end(self._process)

    def _lines(self) -> list[dict[str, Any]]:
        return [json.loads(line) for line in self._journal.read_text().splitlines()[self._began :]]
