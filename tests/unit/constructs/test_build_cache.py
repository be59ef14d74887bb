"""The build cache builds equal inputs once, for any number of processes, and never returns an unfinished build."""

import os
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

from rollback_constructs.functions.build_cache import get_or_build


def write_file(folder: Path) -> None:
    time.sleep(0.05)  # long enough for the other threads to request the same build
    (folder / "content").write_text(str(time.monotonic_ns()))


def test_equal_inputs_are_built_once_for_many_threads_at_once(tmp_path: Path) -> None:
    contents: list[str] = []

    def ask() -> None:
        contents.append((get_or_build("things", ["a", b"b"], write_file, tmp_path) / "content").read_text())

    threads = [threading.Thread(target=ask) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert len(contents) == 4
    assert len(set(contents)) == 1


@pytest.mark.parametrize("other", [["a", "c"], ["ab"], ["a"], ["a", "b", ""]])
def test_other_inputs_get_another_build(tmp_path: Path, other: list[str]) -> None:
    assert get_or_build("things", ["a", "b"], write_file, tmp_path) != get_or_build(
        "things", other, write_file, tmp_path
    )


def test_a_failed_build_is_built_again(tmp_path: Path) -> None:
    def write_and_fail(folder: Path) -> None:
        write_file(folder)
        raise RuntimeError("half of it")

    with pytest.raises(RuntimeError, match="half of it"):
        get_or_build("things", ["a"], write_and_fail, tmp_path)

    assert (get_or_build("things", ["a"], write_file, tmp_path) / "content").exists()
    assert not list((tmp_path / "things").glob("unfinished-*"))


def test_files_of_a_killed_build_are_deleted_when_the_same_inputs_are_built_again(tmp_path: Path) -> None:
    program = (
        "import os, sys\nfrom pathlib import Path\nfrom rollback_constructs.functions.build_cache import get_or_build\n"
        "get_or_build('things', ['a'], lambda _: os.kill(os.getpid(), 9), Path(sys.argv[1]))"
    )
    constructs = Path(__file__).parents[3] / "constructs"
    subprocess.run([sys.executable, "-c", program, str(tmp_path)], env={"PYTHONPATH": str(constructs)}, check=False)
    assert list((tmp_path / "things").glob("unfinished-*"))

    get_or_build("things", ["a"], write_file, tmp_path)

    assert not list((tmp_path / "things").glob("unfinished-*"))


def test_a_build_that_was_not_used_for_a_day_is_deleted_when_another_is_built(tmp_path: Path) -> None:
    old_build, used_build = (
        get_or_build("things", ["old"], write_file, tmp_path),
        get_or_build("things", ["used"], write_file, tmp_path),
    )
    long_ago = time.time() - 25 * 60 * 60
    for folder in (old_build, used_build):
        os.utime(folder, (long_ago, long_ago))
    get_or_build("things", ["used"], write_file, tmp_path)

    get_or_build("things", ["new"], write_file, tmp_path)

    assert not old_build.exists()
    assert used_build.exists()
