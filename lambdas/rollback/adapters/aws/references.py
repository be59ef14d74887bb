"""IAM, CloudWatch Logs and S3: existence of the roles, log groups and files that task definitions refer to.

No content is read. The listing of a bucket finds a file, since HeadObject needs the permission to read the object
(Service Authorization Reference, Amazon S3), and the object may hold secrets.
"""

from collections.abc import Callable
from typing import TYPE_CHECKING

from botocore.exceptions import ClientError

from rollback.adapters.aws.errors import absence, aws_call

if TYPE_CHECKING:
    from mypy_boto3_iam import IAMClient
    from mypy_boto3_logs import CloudWatchLogsClient
    from mypy_boto3_s3 import S3Client


class DefinitionReferences:
    """Adapter. `logs_in` makes a client for a region; an empty region is the service's own."""

    def __init__(self, iam: "IAMClient", logs_in: "Callable[[str], CloudWatchLogsClient]", s3: "S3Client") -> None:
        self._iam = iam
        self._logs_in = logs_in
        self._s3 = s3

    def role_exists(self, role: str) -> bool | None:
        """Call GetRole by name and compare the ARN: a role of that name under another path is another role."""
        with aws_call("GetRole", role):
            try:
                role_description = self._iam.get_role(RoleName=role.rpartition("/")[2])["Role"]
            except ClientError as error:
                return absence(error, "NoSuchEntity")
        return not role.startswith("arn:") or role_description["Arn"] == role

    def log_group_exists(self, name: str, region: str) -> bool | None:
        """Call DescribeLogGroups, which searches by prefix, and compare the whole name."""
        with aws_call("DescribeLogGroups", name):
            try:
                pages = self._logs_in(region).get_paginator("describe_log_groups").paginate(logGroupNamePrefix=name)
                return any(group.get("logGroupName") == name for page in pages for group in page["logGroups"])
            except ClientError as error:
                return absence(error)

    def file_exists(self, arn: str) -> bool | None:
        """Call ListObjectsV2 with the key as prefix.

        S3 lists keys in the order of their UTF-8 bytes (API reference, ListObjectsV2), so the key itself comes first.
        """
        bucket, _, key = arn.rpartition(":::")[2].partition("/")
        with aws_call("ListObjectsV2", arn):
            try:
                pages = self._s3.get_paginator("list_objects_v2").paginate(Bucket=bucket, Prefix=key)
                first = next((page["Contents"] for page in pages if page.get("Contents")), [])
            except ClientError as error:
                return absence(error, "NoSuchBucket")
        return any(entry.get("Key") == key for entry in first)
