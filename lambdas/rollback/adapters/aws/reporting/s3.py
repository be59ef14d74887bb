"""S3: the stored reports of an environment, each in a folder of its rollback."""

from typing import TYPE_CHECKING

from botocore.exceptions import ClientError

from rollback.adapters.aws.errors import aws_call
from rollback.errors import InvalidRequest

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client

# A link ends with its credentials, if those are temporary and end earlier (S3 user guide, "Download and upload objects
# with presigned URLs": https://docs.aws.amazon.com/AmazonS3/latest/userguide/using-presigned-url.html).
LINK_SECONDS = 3600
# Without s3:ListBucket, S3 answers 403 for an object that does not exist (S3 API reference, GetObject).
_MISSING = ("NoSuchKey", "AccessDenied", "403", "404")


class S3ReportStore:
    """Adapter. `bucket` is None where the stack made no bucket. The client has to sign with version 4."""

    def __init__(self, client: "S3Client", bucket: str | None) -> None:
        self._client = client
        self._bucket_name = bucket

    def is_available(self) -> bool:
        """Return whether there is a bucket."""
        return self._bucket_name is not None

    def put(self, key: str, content_type: str, text: str) -> None:
        """Call PutObject. The bucket encrypts the object by its default."""
        with aws_call("PutObject", key):
            self._client.put_object(
                Bucket=self._bucket(),
                Key=key,
                Body=text.encode(errors="replace"),
                ContentType=f"{content_type}; charset=utf-8",
                ContentDisposition="inline",
                CacheControl="private, no-store",
            )

    def read(self, key: str) -> str | None:
        """Call GetObject."""
        with aws_call("GetObject", key):
            try:
                answer = self._client.get_object(Bucket=self._bucket(), Key=key)
            except ClientError as error:
                if error.response.get("Error", {}).get("Code") in _MISSING:
                    return None
                raise
            return answer["Body"].read().decode(errors="replace")

    def link(self, key: str) -> str:
        """Sign a GetObject request; nothing is sent."""
        with aws_call("GetObject", key):
            return self._client.generate_presigned_url(
                "get_object", Params={"Bucket": self._bucket(), "Key": key}, ExpiresIn=LINK_SECONDS
            )

    def _bucket(self) -> str:
        if self._bucket_name is None:
            raise InvalidRequest("this environment stores no reports; set reports.store and deploy its stack")
        return self._bucket_name
