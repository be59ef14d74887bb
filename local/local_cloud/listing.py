"""All items of an operation that AWS answers in pages."""

from typing import Any


def list_all(client: Any, operation: str, member: str, **parameters: Any) -> list[Any]:
    """Return the items of the list `member` from all pages of `operation`, such as `list_tasks`."""
    pages = client.get_paginator(operation).paginate(**parameters)
    return [item for page in pages for item in page.get(member, ())]
