"""The record of the local cloud names a living cloud, or none."""

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from rollback.errors import InvalidRequest, NotAvailable
from rollback_cli.local_environment import cloud_record
from rollback_cli.local_environment.cloud_record import LocalCloudRecord

RECORD = LocalCloudRecord(
    variables={"AWS_ENDPOINT_URL": "http://localhost:1"}, application_url="http://localhost:2", requests_per_second=10
)
# A cloud's process: it holds the record until a signal ends it in order.
CLOUD = """
import signal, sys, time
from rollback_cli.local_environment import cloud_record
signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
with cloud_record.owned_record():
    cloud_record.save(cloud_record.LocalCloudRecord(variables={}, application_url="", requests_per_second=0))
    print("ready", flush=True)
    while True:
        time.sleep(0.1)
"""


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    folder = tmp_path / ".rollback" / "local-cloud"
    monkeypatch.setenv(cloud_record.FOLDER_VARIABLE, str(folder))
    return folder


@contextmanager
def living_cloud() -> Iterator["subprocess.Popen[str]"]:
    process = subprocess.Popen([sys.executable, "-c", CLOUD], stdout=subprocess.PIPE, text=True)
    try:
        assert process.stdout is not None
        assert process.stdout.readline() == "ready\n"
        yield process
    finally:
        process.kill()
        process.communicate()


def test_without_a_cloud_the_error_says_how_to_start_one() -> None:
    with pytest.raises(InvalidRequest, match=r"no local cloud runs .*rollback local up --deploy"):
        cloud_record.read()
    assert not cloud_record.is_ready()


def test_a_starting_cloud_has_no_record_yet() -> None:
    with cloud_record.owned_record():
        assert not cloud_record.is_ready()
        with pytest.raises(InvalidRequest, match="is starting: wait"):
            cloud_record.read()


def test_the_record_of_a_ready_cloud_is_read_as_it_was_saved(folder: Path) -> None:
    with cloud_record.owned_record():
        cloud_record.save(RECORD)
        assert cloud_record.is_ready()
        assert cloud_record.read() == RECORD
        assert (folder / "cloud.json").stat().st_mode & 0o077 == 0


def test_nothing_stays_behind_when_a_cloud_has_ended(folder: Path) -> None:
    with cloud_record.owned_record():
        cloud_record.save(RECORD)
        (cloud_record.assembly_folder() / "asset").mkdir(parents=True)
    assert not folder.parent.exists()


def test_other_files_beside_the_record_stay(folder: Path) -> None:
    with cloud_record.owned_record():
        (folder.parent / "notes").touch()
    assert [file.name for file in folder.parent.iterdir()] == ["notes"]


def test_a_second_cloud_is_refused_and_the_record_of_the_first_stays() -> None:
    with cloud_record.owned_record():
        cloud_record.save(RECORD)
        with pytest.raises(InvalidRequest, match=r"runs already .*rollback local down"), cloud_record.owned_record():
            pass
        with pytest.raises(InvalidRequest, match="runs already"):
            cloud_record.require_none()
        assert cloud_record.read() == RECORD


def test_a_damaged_record_is_an_error_with_the_way_out(folder: Path) -> None:
    with cloud_record.owned_record():
        (folder / "cloud.json").write_text('{"endpoint": 1}')
        with pytest.raises(NotAvailable, match=r"another version .*rollback local down"):
            cloud_record.read()


def test_a_killed_cloud_does_not_run_and_the_next_one_starts_from_nothing(folder: Path) -> None:
    with living_cloud() as process:
        (folder / "cdk.out").mkdir()
        assert cloud_record.is_ready()
        process.kill()
        process.wait()
        with pytest.raises(InvalidRequest, match="no local cloud runs"):
            cloud_record.read()
        with cloud_record.owned_record():
            assert [file.name for file in folder.iterdir()] == ["owner"]


def test_the_end_of_a_living_cloud_is_awaited(folder: Path) -> None:
    with living_cloud() as process:
        assert cloud_record.end()
        assert process.wait(30) == 0
        assert not folder.exists()


def test_the_end_of_a_killed_cloud_removes_its_record(folder: Path) -> None:
    with living_cloud() as process:
        process.send_signal(signal.SIGKILL)
        process.wait()
        assert folder.exists()
        assert not cloud_record.end()
        assert not folder.exists()


def test_a_process_that_has_the_id_of_a_dead_cloud_is_not_ended(folder: Path) -> None:
    folder.mkdir(parents=True)
    (folder / "owner").write_text(str(os.getpid()))  # a signal would end this test
    assert not cloud_record.end()


def test_the_folder_is_that_of_the_working_directory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(cloud_record.FOLDER_VARIABLE)
    monkeypatch.chdir(tmp_path)
    assert cloud_record.record_folder() == tmp_path / ".rollback" / "local-cloud"
