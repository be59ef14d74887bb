"""Temporary folders are removed with their process, and a killed process's folders at the next start."""

import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from local_cloud.processes import owned_folders

LOCAL = Path(__file__).parents[3] / "local"
OWNER = """
import os, sys
from pathlib import Path
from local_cloud.processes import owned_folders
folder = owned_folders.make("things", Path(sys.argv[1]))
(folder / "file").write_text("held")
{then}
print(folder, flush=True)
sys.stdin.read()
"""


@contextmanager
def start_owner(place: Path, then: str = "") -> Iterator[tuple["subprocess.Popen[str]", Path]]:
    """Start a process that makes a folder and ends when its input closes; return both."""
    with subprocess.Popen(
        [sys.executable, "-c", OWNER.format(then=then), str(place)],
        env={"PYTHONPATH": str(LOCAL)}, text=True, stdin=subprocess.PIPE, stdout=subprocess.PIPE,
    ) as process:  # fmt: skip
        assert process.stdout is not None
        yield process, Path(process.stdout.readline().strip())


def test_a_folder_is_removed_with_its_process(tmp_path: Path) -> None:
    with start_owner(tmp_path) as (owner, folder):
        assert f"rollback-local-{owner.pid}-" in str(folder)

    assert not list(tmp_path.iterdir())


def test_the_next_process_removes_the_folder_of_a_killed_process(tmp_path: Path) -> None:
    with start_owner(tmp_path) as (owner, abandoned_folder):
        owner.send_signal(signal.SIGKILL)
    assert abandoned_folder.exists()

    with start_owner(tmp_path) as (_, folder):
        assert not abandoned_folder.exists()
        assert len(list(tmp_path.iterdir())) == 1
        assert folder.exists()


def test_a_running_process_keeps_its_folder(tmp_path: Path) -> None:
    with start_owner(tmp_path) as (_, folder):
        owned_folders.remove_abandoned(tmp_path)

        assert (folder / "file").read_text() == "held"


def test_a_folder_without_a_lock_file_stays(tmp_path: Path) -> None:
    folder = tmp_path / "rollback-local-1-abcdef"
    folder.mkdir()
    (folder / "work").write_text("a person's")

    owned_folders.remove_abandoned(tmp_path)

    assert (folder / "work").exists()


def test_a_link_to_another_folder_is_not_followed(tmp_path: Path) -> None:
    place, elsewhere = tmp_path / "place", tmp_path / "elsewhere"
    place.mkdir()
    elsewhere.mkdir()
    (elsewhere / ".owner").touch()
    (elsewhere / "work").mkdir()
    (place / "rollback-local-1-abcdef").symlink_to(elsewhere)

    owned_folders.remove_abandoned(place)

    assert (elsewhere / "work").exists()


def test_removal_is_repeated_while_a_child_still_writes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = tmp_path / "busy"
    folder.mkdir()
    remove_once, writes = shutil.rmtree, iter(["late", "later"])

    def rmtree(path: Path, *, ignore_errors: bool) -> None:
        remove_once(path, ignore_errors=ignore_errors)
        if name := next(writes, None):
            (path / name).mkdir(parents=True)

    monkeypatch.setattr(shutil, "rmtree", rmtree)

    owned_folders.remove(folder)

    assert not folder.exists()


def test_a_forked_process_does_not_remove_its_parents_folder(tmp_path: Path) -> None:
    with start_owner(tmp_path, "if os.fork() == 0: sys.exit(0)\nos.wait()") as (_, folder):
        owned_folders.remove_abandoned(tmp_path)

        assert (folder / "file").exists()
