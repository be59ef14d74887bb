"""State that all tasks of a service share, such as a lock in the database that a bad release leaves behind.

A file stands for it. The scheduler removes the file when no task of the service runs any more.
"""

import hashlib
from functools import cache
from pathlib import Path

from local_cloud.processes import owned_folders


@cache
def _folder() -> Path:
    return owned_folders.make("local-cloud-shared")


def shared_file(service_arn: str) -> Path:
    """Return the path of the service's file. The file exists while the shared state disturbs the tasks."""
    return _folder() / hashlib.sha256(service_arn.encode()).hexdigest()[:16]


def clear(service_arn: str) -> None:
    """Remove the file: no task runs that could hold a lock."""
    shared_file(service_arn).unlink(missing_ok=True)
