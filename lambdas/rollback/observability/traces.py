"""X-Ray subsegments around the calls of ports, by AWS Lambda Powertools (decision 40).

Importing the X-Ray SDK takes 140 ms of processor time, so it is imported by the first sampled invocation alone. The
service function, which an emergency waits for, has `POWERTOOLS_TRACE_DISABLED`. No failure of X-Ray reaches a step.
Environment variables: https://docs.aws.amazon.com/lambda/latest/dg/configuration-envvars.html
"""

import os
from collections.abc import Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager, nullcontext, suppress
from functools import cache
from typing import Any

_DISABLED = frozenset({"1", "true", "yes", "on"})


def is_sampled() -> bool:
    """Report whether X-Ray keeps the trace of this invocation, and a daemon takes subsegments."""
    if os.environ.get("POWERTOOLS_TRACE_DISABLED", "").lower() in _DISABLED:
        return False
    return "Sampled=1" in os.environ.get("_X_AMZN_TRACE_ID", "") and "AWS_XRAY_DAEMON_ADDRESS" in os.environ


def trace_call(name: str) -> AbstractContextManager[None]:
    """Open a subsegment around a call, without its arguments and its answer; nothing outside a sampled invocation."""
    return _subsegment(name) if is_sampled() else nullcontext()


@contextmanager
def _subsegment(name: str) -> Iterator[None]:
    with ExitStack() as stack:
        with suppress(Exception):  # a trace never changes what a step does
            stack.enter_context(_QuietSubsegment(_provider().in_subsegment(name=f"## {name}")))
        yield


class _QuietSubsegment(AbstractContextManager[None]):
    """Subsegment that hides its own failures, and no failure of the call inside it.

    The SDK would store an exception's text and stack, which may quote a secret; it gets none.
    """

    def __init__(self, subsegment: Any) -> None:
        self._subsegment = subsegment

    def __enter__(self) -> None:
        self._opened = self._subsegment.__enter__()

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        with suppress(Exception):  # a trace never changes what a step does
            if kind is not None and self._opened is not None:
                self._opened.add_error_flag()
                self._opened.put_annotation("failure", kind.__name__)
            self._subsegment.__exit__(None, None, None)


@cache
def _provider() -> Any:
    """Make the tracer; it patches no library, and a thread without a segment has no trace."""
    from aws_lambda_powertools.tracing import Tracer  # noqa: PLC0415 - imports the X-Ray SDK at its first use
    from aws_xray_sdk.core import xray_recorder  # noqa: PLC0415

    xray_recorder.configure(context_missing="IGNORE_ERROR")
    return Tracer(auto_patch=False).provider
