"""Neon's error answers by status: permanently refused, to be retried, or of unknown outcome."""

import pytest

from rollback.adapters.neon.errors import translate_response
from rollback.errors import CallRefused, ExternalServiceError, RefusalKind
from rollback.resources.database.errors import (
    AccessRefused,
    AlreadyExists,
    BackupNameRequired,
    BranchHasChildren,
    BranchNotReady,
    BranchProtected,
    NotFound,
    OutcomeUnknown,
    ProjectLocked,
    RequestRefused,
    RetryLater,
)

WHAT = "POST /projects/p/branches/b/restore"


def neon_error(status: int, message: str, *, changes: bool = True) -> ExternalServiceError:
    return translate_response(WHAT, status, {"message": message, "request_id": "r-1"}, None, changes=changes)


@pytest.mark.parametrize(
    ("status", "message", "kind", "reason"),
    [
        (401, "unauthorized", AccessRefused, RefusalKind.ACCESS),
        (403, "forbidden", AccessRefused, RefusalKind.ACCESS),
        (404, "branch not found", NotFound, RefusalKind.NOT_FOUND),
        (400, "preserve_under_name is required", BackupNameRequired, RefusalKind.REQUEST),
        (422, "cannot delete branch that has children", BranchHasChildren, RefusalKind.REQUEST),
        (422, "protected branch", BranchProtected, RefusalKind.REQUEST),
        (406, "anything new", RequestRefused, RefusalKind.REQUEST),
    ],
)
def test_a_permanent_refusal_by_neon_names_the_request_and_the_next_action(
    status: int, message: str, kind: type[CallRefused], reason: RefusalKind
) -> None:
    error = neon_error(status, f"{message}\n\x1b[31m")
    assert type(error) is kind
    assert isinstance(error, CallRefused)
    assert (error.action, error.kind) == (WHAT, reason)
    assert str(error).startswith(f"{WHAT} failed: {status}: {message} \ufffd[31m (request r-1); ")
    assert str(error).isprintable()


@pytest.mark.parametrize(
    ("status", "kind"),
    [
        (423, ProjectLocked),
        (429, RetryLater),
        (503, RetryLater),
        (409, AlreadyExists),
        (408, OutcomeUnknown),
        (425, OutcomeUnknown),
        (500, OutcomeUnknown),
        (524, OutcomeUnknown),
    ],
)
def test_other_error_statuses_of_neon_are_no_permanent_refusal(status: int, kind: type[ExternalServiceError]) -> None:
    error = neon_error(status, "busy")
    assert type(error) is kind
    assert not isinstance(error, CallRefused)


def test_neon_s_status_412_means_that_a_branch_is_not_ready() -> None:
    assert type(neon_error(412, "branch is not ready yet")) is BranchNotReady


@pytest.mark.parametrize("status", [408, 500])
def test_a_failed_read_may_be_sent_again(status: int) -> None:
    assert type(neon_error(status, "busy", changes=False)) is ExternalServiceError
