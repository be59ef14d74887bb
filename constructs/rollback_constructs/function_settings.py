"""What the functions cost, keep and know: settings of their own, and the environment's as they read them."""

from collections.abc import Mapping
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, model_validator

from rollback.domain.settings.environment import Settings
from rollback_constructs.limits import LimitExceeded

SETTINGS_LIMIT_BYTES = 3500
_ID = "[0-9a-f]{8}([0-9a-f]{9})?"  # the old and the new length of EC2's


class VpcPlacement(BaseModel):
    """Where the functions run that probe the service, when its load balancer is private.

    Its subnets need a way to AWS's APIs (a NAT gateway, or an interface endpoint for each service that the functions
    call), and to the public internet where there is a database: Neon's API is there.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    vpc_id: str = Field(pattern=f"^vpc-{_ID}$")
    availability_zones: tuple[str, ...] = Field(min_length=1)
    private_subnet_ids: tuple[Annotated[str, Field(pattern=f"^subnet-{_ID}$")], ...] = Field(min_length=1)
    security_group_ids: tuple[Annotated[str, Field(pattern=f"^sg-{_ID}$")], ...] = Field(min_length=1)


class ReservedConcurrency(BaseModel):
    """Invocations at once that a function has for itself, out of the account's own; None: it shares with all others.

    Lambda refuses to leave fewer than 100 to the others (or all of a new account's 10), so that a default would keep
    the stack out of such accounts (Lambda developer guide, "Configuring reserved concurrency"). An emergency needs
    `service` and then `report`. A number is a limit too: fewer than the services of the environment make them wait.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    decide: int | None = Field(default=None, ge=1)
    service: int | None = Field(default=None, ge=1)
    report: int | None = Field(default=None, ge=2, description="the janitor beside a rollback")
    promote: int | None = Field(default=None, ge=2, description="the schedule beside a deployment")
    database: int | None = Field(default=None, ge=2, description="the schedule beside a rollback")

    def of(self, function: str) -> int | None:
        """For one function by its name."""
        found: int | None = getattr(self, function)
        return found


class FunctionSettings(BaseModel):
    """What the functions cost and keep."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    memory_mib: int = Field(default=512, ge=256, le=10240)
    log_retention_days: Literal[1, 3, 5, 7, 14, 30, 60, 90, 180, 365] = 90
    log_level: str = Field(default="INFO", pattern="^(DEBUG|INFO|WARNING|ERROR)$")
    probes_in_vpc: VpcPlacement | None = None
    reserved_concurrency: ReservedConcurrency = ReservedConcurrency()

    @model_validator(mode="before")
    @classmethod
    def _no_old_name(cls, given: Any) -> Any:
        if isinstance(given, Mapping) and "report_in_vpc" in given:
            raise ValueError("report_in_vpc is named probes_in_vpc now: promote probes the service too")
        return given


class SettingsTooLarge(LimitExceeded):
    """The settings do not fit into the functions' environment."""


def compact(settings: Settings) -> str:
    """The settings as the functions read them: JSON without defaults.

    Raises:
        SettingsTooLarge: more than 3,500 bytes; Lambda allows 4 KB for all variables of a function.
    """
    text = settings.model_dump_json(exclude_defaults=True)
    if (size := len(text.encode())) > SETTINGS_LIMIT_BYTES:
        raise SettingsTooLarge(
            f"the settings of {settings.environment} take {size} bytes, at most {SETTINGS_LIMIT_BYTES} reach the "
            "functions: name fewer services or endpoints, or split the environment"
        )
    return text
