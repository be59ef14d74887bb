"""What the functions cost, keep and know: settings of their own, and the environment's as they read them."""

from typing import Literal

from pydantic import BaseModel, ConfigDict, Field

from rollback.model.settings import Settings

SETTINGS_LIMIT_BYTES = 3500


class PlaceInVpc(BaseModel):
    """Where the report function runs when the load balancer is private. Its subnets need a way to AWS's APIs."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    vpc_id: str
    availability_zones: tuple[str, ...] = Field(min_length=1)
    private_subnet_ids: tuple[str, ...] = Field(min_length=1)
    security_group_ids: tuple[str, ...] = Field(min_length=1)


class FunctionSettings(BaseModel):
    """What the functions cost and keep."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    memory_mib: int = Field(default=512, ge=256, le=10240)
    log_retention_days: Literal[1, 3, 5, 7, 14, 30, 60, 90, 180, 365] = 90
    log_level: str = Field(default="INFO", pattern="^(DEBUG|INFO|WARNING|ERROR)$")
    report_in_vpc: PlaceInVpc | None = None


class SettingsTooLarge(ValueError):
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
