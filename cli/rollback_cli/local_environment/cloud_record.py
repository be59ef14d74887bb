"""Record of the running local cloud: a folder by which other commands find the cloud, and end it.

The process of the cloud holds a lock (`flock`) on a file of the folder while it lives. The kernel releases the lock
when the process dies, so a free lock proves that the cloud is gone, also after a kill.
"""

import fcntl
import os
import shutil
import signal
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path

from pydantic import BaseModel, ConfigDict, ValidationError

from rollback.errors import InvalidRequest, NotAvailable

FOLDER_VARIABLE = "ROLLBACK_LOCAL_FOLDER"
_DEFAULT_FOLDER = Path(".rollback") / "local-cloud"
_END_SECONDS = 90.0
_POLL_SECONDS = 0.1
_START = "start one with `rollback local up --deploy`"


class LocalCloudRecord(BaseModel):
    """The running cloud, as its process has recorded it.

    Attributes:
        variables: environment variables of its clients.
        application_url: address of the load balancer.
        requests_per_second: traffic that the cloud's process sends; 0: none.
    """

    model_config = ConfigDict(frozen=True)

    variables: Mapping[str, str]
    application_url: str
    requests_per_second: float


def record_folder() -> Path:
    """Return the folder of the record: `.rollback/local-cloud` in the working directory, or that of the variable."""
    return Path(os.environ.get(FOLDER_VARIABLE) or _DEFAULT_FOLDER).absolute()


def assembly_folder() -> Path:
    """Return the folder of the cloud assembly that fits the running cloud."""
    return record_folder() / "cdk.out"


@contextmanager
def owned_record() -> Iterator[None]:
    """Hold the record's lock while the block runs, and remove the record at its end.

    Raises:
        InvalidRequest: another local cloud has the record.
    """
    folder = record_folder()
    lock = _acquire(folder)
    try:
        yield
    finally:
        _remove(folder)
        os.close(lock)


def save(record: LocalCloudRecord) -> None:
    """Record the cloud: it is ready."""
    unfinished = _record_file().with_suffix(".unfinished")
    unfinished.touch(mode=0o600)
    unfinished.write_text(record.model_dump_json(indent=2))
    unfinished.rename(_record_file())


def is_ready() -> bool:
    """Whether a cloud runs and has recorded itself."""
    return _owner() is not None and _record_file().exists()


def require_none() -> None:
    """Check that no cloud runs or starts.

    Raises:
        InvalidRequest: one does.
    """
    if _owner() is not None:
        raise InvalidRequest(_runs_already(record_folder()))


def read() -> LocalCloudRecord:
    """Return the record of the running cloud.

    Raises:
        InvalidRequest: no cloud runs, or it is starting.
        NotAvailable: another version of the command has written the record.
    """
    if _owner() is None:
        raise InvalidRequest(f"no local cloud runs from {record_folder()}: {_START}, or change to its directory")
    try:
        return LocalCloudRecord.model_validate_json(_record_file().read_text())
    except FileNotFoundError:
        raise InvalidRequest(
            "the local cloud is starting: wait until `rollback local up` says that it is ready"
        ) from None
    except ValidationError as error:
        raise NotAvailable(
            f"{_record_file()} is of another version of this command: end that cloud with `rollback local down`"
        ) from error


def end() -> bool:
    """End the running cloud in order, and wait for its end; remove the record of a killed one.

    Returns:
        Whether a cloud ran.

    Raises:
        NotAvailable: the cloud did not end in time.
    """
    process_id = _owner()
    if process_id is None:
        _remove(record_folder())
        return False
    with suppress(ProcessLookupError):  # it has ended meanwhile
        os.kill(process_id, signal.SIGTERM)
    deadline = time.monotonic() + _END_SECONDS
    while _owner() == process_id:
        if time.monotonic() > deadline:
            raise NotAvailable(
                f"the local cloud, process {process_id}, has not ended within {_END_SECONDS:g} s: "
                f"end it with `kill -9 {process_id}`, then run `rollback local down` again"
            )
        time.sleep(_POLL_SECONDS)
    return True


def _runs_already(folder: Path) -> str:
    return f"a local cloud runs already from {folder}: use it, or end it with `rollback local down`"


def _acquire(folder: Path) -> int:
    while True:
        folder.mkdir(parents=True, exist_ok=True)
        lock = os.open(_lock_file(), os.O_CREAT | os.O_RDWR, 0o600)
        if not _try_lock(lock):
            os.close(lock)
            raise InvalidRequest(_runs_already(folder))
        with suppress(FileNotFoundError):
            if _lock_file().stat().st_ino == os.fstat(lock).st_ino:
                break
        os.close(lock)  # the former owner removed the file after we had opened it
    for entry in folder.iterdir():
        if entry.name not in {_lock_file().name, log_file().name}:
            _remove_entry(entry)  # a killed cloud left it
    os.truncate(lock, 0)
    os.write(lock, str(os.getpid()).encode())
    return lock


def _try_lock(lock: int) -> bool:
    """Take the owner's lock. Another command that looks for an owner has it for a moment, so try for a second."""
    for _ in range(10):
        with suppress(BlockingIOError):
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            return True
        time.sleep(_POLL_SECONDS)
    return False


def _owner() -> int | None:
    """Return the process id of the living owner of the record; None if there is none."""
    try:
        lock = os.open(_lock_file(), os.O_RDONLY)
    except FileNotFoundError:
        return None
    try:
        fcntl.flock(lock, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        text = os.read(lock, 20)
        return int(text) if text else None
    else:
        return None
    finally:
        os.close(lock)


def _remove(folder: Path) -> None:
    """Remove the folder, its lock file last; also `.rollback`, if it is empty then."""
    for entry in sorted(folder.glob("*"), key=lambda path: path == _lock_file()):
        _remove_entry(entry)
    for emptied in (folder, *((folder.parent,) if folder.parent.name == _DEFAULT_FOLDER.parent.name else ())):
        with suppress(OSError):
            emptied.rmdir()


def _remove_entry(entry: Path) -> None:
    if entry.is_dir() and not entry.is_symlink():
        shutil.rmtree(entry, ignore_errors=True)
    else:
        entry.unlink(missing_ok=True)


def log_file() -> Path:
    """Return the file that a cloud in the background writes its output to."""
    return record_folder() / "output.log"


def _lock_file() -> Path:
    return record_folder() / "owner"


def _record_file() -> Path:
    return record_folder() / "cloud.json"
