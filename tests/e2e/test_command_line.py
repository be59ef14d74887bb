"""The installed command against a cloud that `rollback local up` keeps running, as a person types it."""

import re
import shlex
import socket
from collections.abc import Iterator
from dataclasses import dataclass
from subprocess import CompletedProcess
from urllib.parse import urlsplit

import pytest

from contract.local_cloud.workload import eventually
from e2e.conftest import pointed_at
from e2e.live import PATIENCE_SECONDS, LiveStage
from e2e.processes import ROLLBACK, Process, run

pytestmark = [pytest.mark.e2e, pytest.mark.xdist_group("command-line")]


@dataclass(frozen=True)
class Terminal:
    """`up` runs in one window; in this one the variables are exported that it printed."""

    up: Process
    variables: dict[str, str]
    stage: LiveStage

    def rollback(self, words: str) -> CompletedProcess[str]:
        return run([ROLLBACK, *shlex.split(words)], self.variables)


@pytest.fixture(scope="module")
def terminal() -> Iterator[Terminal]:
    with Process([ROLLBACK, "local", "up", "--port", "0"]) as up:
        up.line_with("rollback status production")
        exported = (line.removeprefix("export ").partition("=") for line in up.lines if line.startswith("export "))
        variables = {name: value for name, _, value in exported}
        with pointed_at(variables):
            live = LiveStage()
            eventually(lambda: live.promoted(), PATIENCE_SECONDS)  # it bakes under the traffic of `up`
            yield Terminal(up, variables, live)


def test_status_tells_what_runs_and_that_there_is_no_way_back_yet(terminal: Terminal) -> None:
    said = terminal.rollback("status production")

    assert said.returncode == 0, said.stdout
    assert re.search(r"runs +v1\.0\.0 \(promoted\)", said.stdout)
    assert re.search(r"tasks +2 of 2, rollout COMPLETED", said.stdout)
    assert "there is no way back" in said.stdout
    assert re.search(r"rollback +none going on", said.stdout)


def test_a_typo_is_told_before_anything_is_started(terminal: Terminal) -> None:
    before = terminal.stage.history()

    said = terminal.rollback("start production --type servcie")

    assert said.returncode == 2
    assert "did you mean 'service'?" in said.stdout
    assert terminal.stage.history() == before


def test_an_environment_without_a_stack_is_told_with_what_to_do(terminal: Terminal) -> None:
    said = terminal.rollback("status staging")

    assert said.returncode == 2
    assert "cdk deploy MacroAiStagingRollbackStack" in said.stdout


def test_a_dry_run_prints_the_plan_and_changes_nothing(terminal: Terminal) -> None:
    terminal.stage.release("v1.1.0")
    before = terminal.stage.standing()

    said = terminal.rollback("start production --dry-run --reason 'only looking'")

    assert said.returncode == 0, said.stdout
    assert "planned" in said.stdout
    assert "v1.1.0 → v1.0.0" in said.stdout
    assert terminal.stage.standing() == before


@pytest.mark.parametrize(("version", "how"), [("v1.2.0", "--direct"), ("v1.3.0", "")], ids=["direct", "followed"])
def test_a_rollback_that_is_started_is_followed_to_its_end(terminal: Terminal, version: str, how: str) -> None:
    terminal.stage.release(version)

    said = terminal.rollback(f"start production {how} --reason 'it is bad'")

    assert said.returncode == 0, said.stdout
    assert f"{version} → v1.0.0" in said.stdout
    newest = terminal.stage.history()[0]
    assert f"Rollback {newest.id}: succeeded" in said.stdout
    assert newest.execution.startswith("direct:") == bool(how)
    shown = terminal.rollback("versions production").stdout
    assert re.search(r"▶ +│ v1\.0\.0 +│ promoted", shown)
    assert re.search(rf"{re.escape(version)} +│ quarantined", shown)


def test_history_lists_what_show_tells_in_full(terminal: Terminal) -> None:
    terminal.rollback("start production --dry-run --reason 'for the record'")
    newest = terminal.stage.history()[0]

    listed = terminal.rollback("history production --limit 1")
    shown = terminal.rollback(f"show production {newest.id}")

    assert listed.returncode == shown.returncode == 0
    assert newest.id in listed.stdout
    assert f"Rollback {newest.id}: {newest.outcome}" in shown.stdout


def test_a_rollback_that_nobody_knows_is_told_in_one_line(terminal: Terminal) -> None:
    said = terminal.rollback("show production express-api-20200101T000000Z-00000000")

    assert said.returncode == 2
    assert said.stdout.splitlines() == [
        "error: there is no rollback express-api-20200101T000000Z-00000000; `rollback history production` lists them"
    ]


def test_control_c_ends_the_local_cloud_and_all_that_it_started(terminal: Terminal) -> None:
    """The last test of the module: it takes the cloud away."""
    assert len(terminal.up.members()) > 1

    code = terminal.up.interrupt()

    assert code == 0, "\n".join(terminal.up.lines)
    assert terminal.up.lines[-1] == "stopping"
    eventually(lambda: not terminal.up.members())
    at = urlsplit(terminal.variables["AWS_ENDPOINT_URL"])
    with pytest.raises(ConnectionRefusedError), socket.create_connection((str(at.hostname), int(at.port or 0))):
        pass
