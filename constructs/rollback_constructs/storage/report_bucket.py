"""The bucket of stored reports: private, encrypted, versioned, and emptied by age."""

from aws_cdk import Duration, RemovalPolicy
from aws_cdk import aws_kms as kms
from aws_cdk import aws_s3 as s3
from constructs import Construct
from pydantic import BaseModel, ConfigDict, Field

_FORMER_VERSION_DAYS = 30
_UPLOAD_DAYS = 7


class ReportSettings(BaseModel):
    """Storage of the written accounts of rollbacks."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    store: bool = Field(default=True, description="whether the stack has a bucket of reports")
    report_days: int = Field(default=400, ge=1, le=3650, description="how long a stored report is kept")


class ReportBucket(Construct):
    """The bucket. It has no name of its own and outlives the stack, because the CDK never empties it."""

    def __init__(self, scope: Construct, id_: str, *, settings: ReportSettings, key: kms.IKey | None = None) -> None:
        super().__init__(scope, id_)
        self.bucket = s3.Bucket(
            self,
            "Bucket",
            block_public_access=s3.BlockPublicAccess.BLOCK_ALL,
            object_ownership=s3.ObjectOwnership.BUCKET_OWNER_ENFORCED,
            enforce_ssl=True,
            versioned=True,
            encryption=s3.BucketEncryption.S3_MANAGED if key is None else s3.BucketEncryption.KMS,
            encryption_key=key,
            bucket_key_enabled=True if key is not None else None,
            removal_policy=RemovalPolicy.RETAIN,
            lifecycle_rules=[
                s3.LifecycleRule(
                    id="ExpireReports",
                    expiration=Duration.days(settings.report_days),
                    noncurrent_version_expiration=Duration.days(_FORMER_VERSION_DAYS),
                    abort_incomplete_multipart_upload_after=Duration.days(_UPLOAD_DAYS),
                )
            ],
        )
