"""Every page of an answer: for operations that botocore has no paginator for, and lists that AWS takes in parts."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, TypeVar

T = TypeVar("T")


def pages_of(
    call: Callable[..., Mapping[str, Any]], asks_with: str = "nextToken", gives: str | None = None, **given: Any
) -> Iterator[Any]:
    """The answers of one call, asked again with the token of the last until an answer has none.

    A page may be empty and still have a token; a token that comes again (CloudWatch Logs) is the end.

    Args:
        call: an operation of a client.
        asks_with: the member that the operation takes.
        gives: the member that it answers with, if it has another name.
    """
    last: str | None = None
    while True:
        page = call(**given, **({asks_with: last} if last else {}))
        yield page
        following = page.get(gives or asks_with)
        if not following or following == last:
            return
        last = following


def batches(items: Sequence[T], most: int) -> Iterator[list[T]]:
    """The items in lists of at most so many: what an operation takes in one call."""
    for start in range(0, len(items), most):
        yield list(items[start : start + most])
