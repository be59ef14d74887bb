"""Explain an error that ended the command."""

import re
from collections.abc import Iterator

import typer
from botocore import exceptions as sdk
from pydantic import ValidationError

from rollback.errors import (
    CallRefused,
    Conflict,
    ExternalServiceError,
    InvalidRequest,
    RefusalKind,
    RollbackError,
    Throttled,
)
from rollback.text import one_line
from rollback_cli.errors.explanation import Explanation
from rollback_cli.errors.split_message import split_message
from rollback_cli.shell.exit_codes import ExitCode

_NO_CREDENTIALS = (sdk.NoCredentialsError, sdk.PartialCredentialsError)
_NO_CONNECTION = (
    sdk.EndpointConnectionError,
    sdk.ConnectTimeoutError,
    sdk.ReadTimeoutError,
    sdk.ProxyConnectionError,
    sdk.ConnectionClosedError,
    sdk.SSLError,
)
_LOG_IN = "log in again (`aws sso login`), and check AWS_PROFILE and this machine's clock"
_LOOK_FIRST = "look with `rollback history ENV` whether something was started, then run the command again"


def explain(error: BaseException, words: list[str]) -> Explanation:
    """Explain an error in two lines.

    Args:
        error: the error.
        words: words after the command's name.
    """
    explanation = _explain(error, words)
    return Explanation(one_line(explanation.what), one_line(explanation.next), explanation.code)


def _explain(error: BaseException, words: list[str]) -> Explanation:
    match error:
        case RollbackError():
            return _of_the_sdk(error) or _of_ours(error, words)
        case ValueError() if "Invalid endpoint" in str(error):  # botocore has no error of its own for it
            return Explanation(
                f"{error}: this is no address", "set AWS_ENDPOINT_URL to an address such as http://localhost:5000"
            )
        case typer.Abort():
            return Explanation(
                "the question was not answered with yes; nothing was started",
                "run the command again, with --yes to start without a question",
            )
        case ImportError():
            return Explanation(
                f"this verb needs the package {error.name or error}, which is not installed",
                "install this command with its extra `local` (the embedded cloud) or from a clone by `make install`",
            )
        case OSError():
            return Explanation(
                f"{error.filename or 'the operating system'} can't be used: {error.strerror or error}",
                "check that the file or folder exists, and that you may use it",
            )
        case ValidationError():
            return Explanation(
                f"a stored value can't be read by this version of the command: {_first_defect(error)}",
                "use the version of the command that belongs to the deployed rollback stack (`rollback --version`)",
            )
        case _:
            return _of_the_sdk(error) or _of_a_defect(error, words)


def _of_ours(error: RollbackError, words: list[str]) -> Explanation:
    what, remedy = split_message(" ".join(str(error).split()))
    code = ExitCode.USAGE if isinstance(error, InvalidRequest) else ExitCode.FAILED
    return Explanation(what, remedy or _usual_remedy(error, words), code)


def _usual_remedy(error: RollbackError, words: list[str]) -> str:
    if isinstance(error, InvalidRequest):
        return f"`{_command_of(words)} --help` lists what the verb accepts"
    if isinstance(error, Conflict):
        return "run the command again: it reads the ledger anew"
    if isinstance(error, CallRefused):
        return "correct what the service names, then run the command again"
    if isinstance(error, ExternalServiceError):
        return _LOOK_FIRST
    return "run `rollback status ENV` to see the state of the service"


def _of_the_sdk(error: BaseException) -> Explanation | None:
    """Explain an error that AWS's SDK or AWS itself caused; None: another cause."""
    causes = tuple(_chain(error))
    for cause in causes:
        if isinstance(cause, sdk.NoRegionError):
            return Explanation(
                "no AWS region is set", "set AWS_REGION, or a region in the profile that AWS_PROFILE names"
            )
        if isinstance(cause, sdk.ProfileNotFound):
            return Explanation(str(cause), "set AWS_PROFILE to a profile that `aws configure list-profiles` lists")
        if isinstance(cause, _NO_CREDENTIALS):
            return Explanation(
                "there are no complete AWS credentials", "set AWS_PROFILE, or log in with `aws sso login`"
            )
        if isinstance(cause, sdk.InvalidRegionError | sdk.UnknownRegionError):
            return Explanation(
                f"the AWS region is not valid: {cause}", "set AWS_REGION to a region such as eu-central-1"
            )
        if isinstance(cause, _NO_CONNECTION):
            return Explanation(
                f"{_call_of(error)}there is no connection to AWS: {cause}",
                f"check the network, VPN, proxy and AWS_REGION; {_LOOK_FIRST}",
            )
    if isinstance(error, Throttled):
        what, _, remedy = " ".join(str(error).split()).rpartition("; ")
        return Explanation(f"throttled: {what}", f"wait a minute, then run the command again ({remedy})")
    if isinstance(error, CallRefused):
        return _of_a_refusal(error)
    return None


def _of_a_refusal(error: CallRefused) -> Explanation:
    """Explain a refused call: AWS's words name the caller, the action and the resource."""
    what, _, remedy = " ".join(str(error).split()).rpartition("; ")
    if error.kind is RefusalKind.CREDENTIALS:
        return Explanation(f"the credentials are not valid (or no longer): {what or error}", _LOG_IN)
    if error.kind is RefusalKind.ACCESS:
        return Explanation(f"no permission for {error.action} on {error.resource}: {what or error}", remedy or _LOG_IN)
    return Explanation(what or str(error), remedy if what else "correct what the service names")


def _of_a_defect(error: BaseException, words: list[str]) -> Explanation:
    return Explanation(
        f"internal error of `{_command_of(words)}`: {type(error).__name__}: {error}",
        "run it again with --debug and report the traceback; `rollback status ENV` shows the state of the service",
    )


def _call_of(error: BaseException) -> str:
    """Return `DescribeStacks on NAME: ` for an error that names its call."""
    call = re.match(r"(?P<call>\w+ on \S+) got no answer", str(error))
    return f"{call['call']}: " if call is not None else ""


def _chain(error: BaseException) -> Iterator[BaseException]:
    seen: BaseException | None = error
    while seen is not None:
        yield seen
        seen = seen.__cause__


def _first_defect(error: ValidationError) -> str:
    defect = error.errors(include_url=False, include_input=False, include_context=False)[0]
    return f"{error.title}.{'.'.join(map(str, defect['loc']))}: {defect['msg']}"


def _command_of(words: list[str]) -> str:
    verb = next((word for word in words if not word.startswith("-")), "")
    return f"rollback {verb}".rstrip()
