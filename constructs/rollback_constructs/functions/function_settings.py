"""Settings of the functions themselves, and the environment's settings in the form that the functions read."""

import json
from collections.abc import Mapping
from typing import Annotated, Any, Literal

from aws_cdk import Token
from pydantic import BaseModel, ConfigDict, Field, model_validator

from rollback.domain.settings.environment import Settings
from rollback.domain.settings.packed import pack
from rollback_constructs.limits import LimitExceeded

SETTINGS_LIMIT_BYTES = 3500
PLAIN_SETTINGS_LIMIT_BYTES = 2000  # longer settings are packed: Lambda counts each quote of plain ones twice
VARIABLES_LIMIT_BYTES = 4096  # Lambda's quota for all variables of a function; it can't be raised
_LONGEST_ARN_PREFIX = len("arn:aws-us-gov:states:ap-southeast-2:123456789012:stateMachine:")
_LONGEST_SUFFIX = len("-rollbacks-critical")
_KEY_ID_LENGTH = 36
_ID = "[0-9a-f]{8}([0-9a-f]{9})?"  # EC2's short and long ids


class VpcPlacement(BaseModel):
    """Subnets for the functions that probe the service, if its load balancer is private.

    The subnets need a route to AWS's APIs: a NAT gateway, or an interface endpoint for each service that the functions
    call. With a database they need a route to the internet too, since Neon's API is public.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    vpc_id: str = Field(pattern=f"^vpc-{_ID}$", description="id of the VPC")
    availability_zones: tuple[str, ...] = Field(
        min_length=1, description="availability zones of the subnets, in the same order"
    )
    private_subnet_ids: tuple[Annotated[str, Field(pattern=f"^subnet-{_ID}$")], ...] = Field(
        min_length=1, description="subnets of the functions, with a route to AWS's APIs"
    )
    security_group_ids: tuple[Annotated[str, Field(pattern=f"^sg-{_ID}$")], ...] = Field(
        min_length=1, description="security groups of the functions"
    )


class ReservedConcurrency(BaseModel):
    """Reserved concurrency of each function; None: the function shares the account's unreserved concurrency.

    Lambda keeps at least 100 unreserved (or all 10 of a new account), so a default would fail the deployment in small
    accounts (Lambda developer guide, "Configuring reserved concurrency"). An emergency needs `service`, then `report`.
    A number is a limit too: with fewer than the environment's services, services wait for one another.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    decide: int | None = Field(
        default=None, ge=1, description="executions of the function `decide`, which admits and plans"
    )
    service: int | None = Field(
        default=None, ge=1, description="executions of the function `service`, which an emergency needs first"
    )
    report: int | None = Field(default=None, ge=3, description="three: the janitor, a rollback, and its messages")
    promote: int | None = Field(default=None, ge=2, description="two: the schedule and a deployment at the same time")
    database: int | None = Field(default=None, ge=2, description="two: the schedule and a rollback at the same time")

    approve: int | None = Field(
        default=None, ge=1, description="executions of the function `approve`, which takes decisions"
    )

    def of(self, function: str) -> int | None:
        """Return the reserved concurrency of a function, by its name."""
        reserved: int | None = getattr(self, function)
        return reserved


class FunctionSettings(BaseModel):
    """Memory, logs and network of the functions."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    memory_mib: int = Field(default=512, ge=256, le=10240, description="memory of each function but `service`")
    service_memory_mib: int = Field(
        default=1769,
        ge=256,
        le=10240,
        description="memory of the function `service`, which an emergency waits for; 1,769 MiB bring one whole vCPU",
    )
    log_retention_days: Literal[1, 3, 5, 7, 14, 30, 60, 90, 180, 365] = Field(
        default=90, description="days that the functions' logs are kept"
    )
    log_level: str = Field(
        default="INFO",
        pattern="^(DEBUG|INFO|WARNING|ERROR)$",
        description="lowest level of the lines that the functions write",
    )
    probes_in_vpc: VpcPlacement | None = Field(
        default=None, description="place of the functions that probe a service behind a private load balancer"
    )
    reserved_concurrency: ReservedConcurrency = ReservedConcurrency()

    def memory_of(self, function: str) -> int:
        """Return the memory of a function in MiB, by its name (decision 50)."""
        return self.service_memory_mib if function == "service" else self.memory_mib

    @model_validator(mode="before")
    @classmethod
    def _no_old_name(cls, fields: Any) -> Any:
        if isinstance(fields, Mapping) and "report_in_vpc" in fields:
            raise ValueError(
                "report_in_vpc has the new name probes_in_vpc, since promote probes the service too; rename the setting"
            )
        return fields


class SettingsTooLarge(LimitExceeded):
    """The settings are too long for the functions' environment variables."""


def compact(settings: Settings) -> str:
    """Return the settings as the functions read them: JSON without defaults, packed where it is long.

    A URL that CloudFormation fills in can't be packed: the service that this product creates has one, and no
    environment has more than one of them.

    Raises:
        SettingsTooLarge: more than 3,500 bytes; Lambda allows 4 KB for all variables of a function.
    """
    text = settings.model_dump_json(exclude_defaults=True)
    has_token = Token.is_unresolved(text)
    if len(text.encode()) > PLAIN_SETTINGS_LIMIT_BYTES and not has_token:
        text = pack(text)
    if (size := len(text.encode())) > SETTINGS_LIMIT_BYTES:
        by_base_url = "set base_url of the service that the stack creates, so that they can be packed, " * has_token
        raise SettingsTooLarge(
            f"the settings of {settings.environment} take {size} bytes, at most {SETTINGS_LIMIT_BYTES} fit into the "
            f"functions' environment variables: {by_base_url}name fewer services or endpoints, or split the environment"
        )
    return text


def check_variables(function: str, variables: Mapping[str, str], prefix: str) -> None:
    """Check that a function's variables fit into Lambda's limit, whatever the length of names that are not known yet.

    Lambda measures the variables as one JSON object, so each quote of the settings counts twice (text of its refusal:
    https://github.com/github-aws-runners/terraform-aws-github-runner/issues/3594).

    Args:
        function: name of the function.
        variables: its variables. A name or ARN that CloudFormation fills in counts as long as it can be.
        prefix: prefix of the environment's names.

    Raises:
        SettingsTooLarge: more than 4,096 bytes.
    """
    unknown = "x" * (_LONGEST_ARN_PREFIX + max(len(prefix) + _LONGEST_SUFFIX, _KEY_ID_LENGTH))
    measured = {name: unknown if Token.is_unresolved(value) else value for name, value in variables.items()}
    size = len(json.dumps(measured, separators=(",", ":"), ensure_ascii=False).encode())
    if size > VARIABLES_LIMIT_BYTES:
        raise SettingsTooLarge(
            f"the environment variables of {function} take up to {size} bytes, AWS allows {VARIABLES_LIMIT_BYTES}: "
            f"shorten the settings by {size - VARIABLES_LIMIT_BYTES} bytes (name fewer services or endpoints), or "
            "split the environment"
        )
