"""Everything that a paginated operation lists."""

from typing import Any


def list_all(client: Any, operation: str, member: str, **given: Any) -> list[Any]:
    """The lists named `member` of all pages of `operation` (`list_tasks`), as one."""
    pages = client.get_paginator(operation).paginate(**given)
    return [item for page in pages for item in page.get(member, ())]
