"""Errors of GitHub that call for an action of their own."""

from rollback.errors import CallRefused, Throttled


class Gone(CallRefused):
    """The issue was deleted, or the repository has no issues: its owner disabled them."""


class RateLimited(Throttled):
    """GitHub did nothing, since the credential's rate limit is used up.

    Attributes:
        retry_after_seconds: wait that GitHub asked for, or a minute where it named none
            (https://docs.github.com/en/rest/using-the-rest-api/rate-limits-for-the-rest-api).
    """

    def __init__(self, text: str = "", retry_after_seconds: float = 60.0) -> None:
        super().__init__(text)
        self.retry_after_seconds = retry_after_seconds
