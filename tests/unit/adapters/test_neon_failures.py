"""Neon's answers by status: refused for good, to be asked again, or of unknown outcome."""

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


def answered(status: int, message: str, *, changes: bool = True) -> ExternalServiceError:
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
def test_what_neon_refuses_for_good_names_the_request_and_says_what_to_do(
    status: int, message: str, kind: type[CallRefused], reason: RefusalKind
) -> None:
    error = answered(status, f"{message}\n\x1b[31m")
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
def test_the_rest_is_not_refused_for_good(status: int, kind: type[ExternalServiceError]) -> None:
    error = answered(status, "busy")
    assert type(error) is kind
    assert not isinstance(error, CallRefused)


def test_a_branch_that_is_not_ready_passes() -> None:
    assert type(answered(412, "branch is not ready yet")) is BranchNotReady


@pytest.mark.parametrize("status", [408, 500])
def test_a_look_that_failed_may_be_sent_again(status: int) -> None:
    assert type(answered(status, "busy", changes=False)) is ExternalServiceError
