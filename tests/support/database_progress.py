"""Narrow the database's progress of a document to the class of one strategy."""

from typing import TypeVar

from rollback.domain.database.progress import DatabaseProgress

ProgressT = TypeVar("ProgressT", bound=DatabaseProgress)


def narrow(progress: DatabaseProgress | None, kind: type[ProgressT]) -> ProgressT:
    """Return the progress, which must have this class."""
    assert isinstance(progress, kind), progress
    return progress
