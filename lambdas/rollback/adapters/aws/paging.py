"""Pages of operations without a botocore paginator, and batches of lists that AWS limits per call."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, TypeVar

T = TypeVar("T")


def pages_of(
    call: Callable[..., Mapping[str, Any]],
    request_member: str = "nextToken",
    response_member: str | None = None,
    **parameters: Any,
) -> Iterator[Any]:
    """Iterate over the answers of one operation, each requested with the token of the answer before.

    A page may be empty and still have a token. A repeated token (CloudWatch Logs) is the end.

    Args:
        call: operation of a client.
        request_member: request member of the token.
        response_member: response member of the next token, if it has another name.
        **given: the operation's other parameters.
    """
    token: str | None = None
    while True:
        page = call(**parameters, **({request_member: token} if token else {}))
        yield page
        next_token = page.get(response_member or request_member)
        if not next_token or next_token == token:
            return
        token = next_token


def batches(items: Sequence[T], most: int) -> Iterator[list[T]]:
    """Split items into lists of at most `most`, the limit of one call."""
    for start in range(0, len(items), most):
        yield list(items[start : start + most])
