"""What all tasks of a service share, and a bad release may leave behind: a file, gone once the service is at zero."""

import hashlib
from functools import cache
from pathlib import Path

from local_cloud.processes import owned_folders


@cache
def _folder() -> Path:
    return owned_folders.make("local-cloud-shared")


def shared_file(service_arn: str) -> Path:
    """It exists while something is in the tasks' way."""
    return _folder() / hashlib.sha256(service_arn.encode()).hexdigest()[:16]


def clear(service_arn: str) -> None:
    """No task runs any more: nobody holds anything."""
    shared_file(service_arn).unlink(missing_ok=True)
