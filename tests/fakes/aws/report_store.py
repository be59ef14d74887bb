"""Stored reports in a dictionary."""

from fakes.aws.request_models import check_request


class FakeReportStore:
    """A bucket of reports; `is_made` is False where the stack made none, and then nothing may be stored."""

    def __init__(self, *, is_made: bool = False) -> None:
        self.is_made = is_made
        self.objects: dict[str, tuple[str, str]] = {}

    def is_available(self) -> bool:
        return self.is_made

    def put(self, key: str, content_type: str, text: str) -> None:
        check_request("s3", "PutObject", key, Bucket="reports", Key=key, ContentType=content_type)
        self.objects[key] = (content_type, text)

    def read(self, key: str) -> str | None:
        check_request("s3", "GetObject", key, Bucket="reports", Key=key)
        return self.objects[key][1] if key in self.objects else None

    def link(self, key: str) -> str:
        check_request("s3", "GetObject", key, Bucket="reports", Key=key)
        return f"https://reports.s3.test/{key}?X-Amz-Expires=3600"
