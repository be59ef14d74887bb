"""Fixtures of the referee: one MiniStack with our stacks for the whole run.

`make referee` runs these tests; `make test` leaves them out.
"""

import os
import shutil
import signal
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import FrameType

import pytest
from referee.assembly import deploy_stacks
from referee.emulator import PYTHON, ROOT, Emulator
from referee.live import Live, application

_WORK = pytest.StashKey[Path]()
# A plain `pytest` loads no test here: it has no MiniStack, and the tests take two minutes.
collect_ignore_glob = [] if os.environ.get("REFEREE") else ["test_*.py"]


def pytest_configure(config: pytest.Config) -> None:
    """Create the run's folder, and turn SIGTERM into KeyboardInterrupt, so that fixtures end their processes."""
    if not os.environ.get("REFEREE"):
        return

    def interrupt(number: int, frame: FrameType | None) -> None:
        raise KeyboardInterrupt

    signal.signal(signal.SIGTERM, interrupt)
    shelf = ROOT / "build" / "referee"
    shelf.mkdir(parents=True, exist_ok=True)
    config.stash[_WORK] = Path(tempfile.mkdtemp(prefix=time.strftime("%H%M%S-"), dir=shelf))


def pytest_unconfigure(config: pytest.Config) -> None:
    """Print the path of the logs, if they were kept."""
    work = config.stash.get(_WORK, None)
    if work is not None and work.exists():
        print(f"logs of the referee: {work.relative_to(ROOT)}")  # noqa: T201 - after pytest's own summary


def pytest_sessionfinish(session: pytest.Session, exitstatus: int) -> None:
    """Delete the logs of a run that succeeded."""
    work = session.config.stash.get(_WORK, None)
    if work is not None and exitstatus == pytest.ExitCode.OK:
        shutil.rmtree(work, ignore_errors=True)


@pytest.fixture(scope="session")
def work(pytestconfig: pytest.Config) -> Path:
    """Folder of the run."""
    return pytestconfig.stash[_WORK]


@pytest.fixture(scope="session")
def emulator(work: Path) -> Iterator[Emulator]:
    """MiniStack with IAM enforced."""
    assert PYTHON.exists(), "run `make referee`, which installs MiniStack"
    started = Emulator(work / "production", iam=True)
    try:
        yield started.wait_until_up()
    finally:
        started.end()


@pytest.fixture(scope="session")
def live(emulator: Emulator, work: Path) -> Iterator[Live]:
    """Both production stacks, deployed by the CDK, without the permission that the variable PLANT names."""
    with application() as base_url:
        deploy_stacks(emulator, base_url, work)
        deployed = Live(emulator)
        with planted(deployed, os.environ.get("PLANT", "")):
            yield deployed


@contextmanager
def planted(live: Live, action: str) -> Iterator[None]:
    """Revoke a permission for the whole run, which must fail then."""
    if not action:
        yield
        return
    with live.without(action) as roles:
        assert roles, f"no role has {action}"
        yield
