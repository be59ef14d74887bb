"""The ledger: one DynamoDB table per environment, the truth about releases, leases and rollbacks."""

from aws_cdk import RemovalPolicy
from aws_cdk import aws_dynamodb as dynamodb
from aws_cdk import aws_kms as kms
from constructs import Construct
from pydantic import BaseModel, ConfigDict, Field

EXPIRES_ATTRIBUTE = "expires"


class LedgerSettings(BaseModel):
    """Protection of the ledger against loss."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    retain: bool = Field(
        default=True, description="keep table and logs after the stack; protect the stack from deletion"
    )
    recovery_days: int = Field(default=35, ge=1, le=35, description="days of point-in-time recovery")


class Ledger(Construct):
    """The table (`table`) with the keys `pk` and `sk`; DynamoDB deletes items after `expires` (epoch seconds)."""

    def __init__(
        self, scope: Construct, id_: str, *, prefix: str, settings: LedgerSettings, key: kms.IKey | None = None
    ) -> None:
        super().__init__(scope, id_)
        self.table = dynamodb.Table(
            self,
            "Table",
            table_name=f"{prefix}-rollback-ledger",
            partition_key=dynamodb.Attribute(name="pk", type=dynamodb.AttributeType.STRING),
            sort_key=dynamodb.Attribute(name="sk", type=dynamodb.AttributeType.STRING),
            billing_mode=dynamodb.BillingMode.PAY_PER_REQUEST,
            time_to_live_attribute=EXPIRES_ATTRIBUTE,
            encryption=dynamodb.TableEncryption.AWS_MANAGED
            if key is None
            else dynamodb.TableEncryption.CUSTOMER_MANAGED,
            encryption_key=key,
            deletion_protection=settings.retain,
            removal_policy=RemovalPolicy.RETAIN if settings.retain else RemovalPolicy.DESTROY,
            point_in_time_recovery_specification=dynamodb.PointInTimeRecoverySpecification(
                point_in_time_recovery_enabled=True, recovery_period_in_days=settings.recovery_days
            ),
        )
