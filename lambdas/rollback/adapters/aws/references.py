"""IAM, CloudWatch Logs and S3: are the roles, log groups and files that a task definition refers to still there?

Nothing of their content is read. A file is looked for by the listing of its bucket, since HeadObject needs the
permission to read the object (Service Authorization Reference, Amazon S3), which may hold secrets.
"""

from collections.abc import Callable
from typing import TYPE_CHECKING

from botocore.exceptions import ClientError

from rollback.adapters.aws.errors import aws_call, code_of, is_denied

if TYPE_CHECKING:
    from mypy_boto3_iam import IAMClient
    from mypy_boto3_logs import CloudWatchLogsClient
    from mypy_boto3_s3 import S3Client


class DefinitionReferences:
    """Adapter. `logs_in` makes a client for a region; an empty one is the service's own."""

    def __init__(self, iam: "IAMClient", logs_in: "Callable[[str], CloudWatchLogsClient]", s3: "S3Client") -> None:
        self._iam = iam
        self._logs_in = logs_in
        self._s3 = s3

    def role_exists(self, role: str) -> bool | None:
        """Whether there is such a role, by ARN or name; one of that name under another path is another role."""
        with aws_call("GetRole", role):
            try:
                found = self._iam.get_role(RoleName=role.rpartition("/")[2])["Role"]
            except ClientError as error:
                if code_of(error) == "NoSuchEntity":
                    return False
                if is_denied(error):
                    return None
                raise
        return not role.startswith("arn:") or found["Arn"] == role

    def log_group_exists(self, name: str, region: str) -> bool | None:
        """Whether there is a log group of exactly this name; CloudWatch Logs finds by prefix, page by page."""
        with aws_call("DescribeLogGroups", name):
            try:
                pages = self._logs_in(region).get_paginator("describe_log_groups").paginate(logGroupNamePrefix=name)
                return any(group.get("logGroupName") == name for page in pages for group in page["logGroups"])
            except ClientError as error:
                if is_denied(error):
                    return None
                raise

    def file_exists(self, arn: str) -> bool | None:
        """Whether the object `arn:<partition>:s3:::<bucket>/<key>` is there.

        Keys are listed in the order of their UTF-8 bytes (S3 API reference, ListObjectsV2), so that of all that begin
        with a key that key itself comes first.
        """
        bucket, _, key = arn.rpartition(":::")[2].partition("/")
        with aws_call("ListObjectsV2", arn):
            try:
                pages = self._s3.get_paginator("list_objects_v2").paginate(Bucket=bucket, Prefix=key)
                first = next((page["Contents"] for page in pages if page.get("Contents")), [])
            except ClientError as error:
                if code_of(error) == "NoSuchBucket":
                    return False
                if is_denied(error):
                    return None
                raise
        return any(one.get("Key") == key for one in first)
