"""A build is made once of equal inputs, whoever wants it, and never found half made."""

import os
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

from rollback_constructs.build_cache import get_or_build


def a_file(folder: Path) -> None:
    time.sleep(0.05)  # long enough for the others to come meanwhile
    (folder / "made").write_text(str(time.monotonic_ns()))


def test_equal_inputs_are_built_once_also_when_many_want_them_at_once(tmp_path: Path) -> None:
    file_contents: list[str] = []

    def want() -> None:
        file_contents.append((get_or_build("things", ["a", b"b"], a_file, tmp_path) / "made").read_text())

    threads = [threading.Thread(target=want) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert len(file_contents) == 4
    assert len(set(file_contents)) == 1


@pytest.mark.parametrize("other", [["a", "c"], ["ab"], ["a"], ["a", "b", ""]])
def test_other_inputs_are_another_build(tmp_path: Path, other: list[str]) -> None:
    assert get_or_build("things", ["a", "b"], a_file, tmp_path) != get_or_build("things", other, a_file, tmp_path)


def test_a_build_that_failed_is_made_again(tmp_path: Path) -> None:
    def fails(folder: Path) -> None:
        a_file(folder)
        raise RuntimeError("half of it")

    with pytest.raises(RuntimeError, match="half of it"):
        get_or_build("things", ["a"], fails, tmp_path)

    assert (get_or_build("things", ["a"], a_file, tmp_path) / "made").exists()
    assert not list((tmp_path / "things").glob("unfinished-*"))


def test_what_a_killed_build_left_goes_when_the_same_is_wanted_again(tmp_path: Path) -> None:
    killed = (
        "import os, sys\nfrom pathlib import Path\nfrom rollback_constructs.build_cache import get_or_build\n"
        "get_or_build('things', ['a'], lambda _: os.kill(os.getpid(), 9), Path(sys.argv[1]))"
    )
    constructs = Path(__file__).parents[3] / "constructs"
    subprocess.run([sys.executable, "-c", killed, str(tmp_path)], env={"PYTHONPATH": str(constructs)}, check=False)
    assert list((tmp_path / "things").glob("unfinished-*"))

    get_or_build("things", ["a"], a_file, tmp_path)

    assert not list((tmp_path / "things").glob("unfinished-*"))


def test_what_nobody_has_used_for_a_day_goes_when_something_new_is_built(tmp_path: Path) -> None:
    old, used = get_or_build("things", ["old"], a_file, tmp_path), get_or_build("things", ["used"], a_file, tmp_path)
    long_ago = time.time() - 25 * 60 * 60
    for folder in (old, used):
        os.utime(folder, (long_ago, long_ago))
    get_or_build("things", ["used"], a_file, tmp_path)

    get_or_build("things", ["new"], a_file, tmp_path)

    assert not old.exists()
    assert used.exists()
