"""Settings of the environments: read from CDK context (`cdk.json`), validated, and turned into what the stacks need.

A wrong value fails synth with its path, the value and what is allowed.
"""

import json
from collections.abc import Mapping
from typing import Any, Self

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from rollback.domain.settings.database import DatabaseSettings
from rollback.domain.settings.environment import Settings
from rollback.domain.settings.policy import Policy
from rollback_constructs.alarms import AlarmSettings
from rollback_constructs.bundling import BundleSettings
from rollback_constructs.function_settings import FunctionSettings
from rollback_constructs.keys import KeySettings
from rollback_constructs.ledger import LedgerSettings
from rollback_constructs.triggers import TriggerSettings
from rollback_constructs.watch import WatchSettings
from stacks.connection_needs import connection_needs, reconnect_minutes
from stacks.database_needs import database_minutes, database_needs
from stacks.service_settings import Service
from stacks.unique import find_conflicts

Context = Mapping[str, Any]
_MAX_CONFLICTS_SHOWN = 5  # conflicts: one mistake of many services makes one for each pair of them

_APPLICATION, _ENVIRONMENTS = "application", "environments"
_OVERRIDES, _ONLY = "rollback:overrides", "rollback:environments"
_PLATFORM, _PYTHON = "rollback:bundle_platform", "rollback:bundle_python"


class InvalidSettings(ValueError):
    """Context that can't be used; names each path, the value there and what is allowed."""


class _Strict(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class Application(_Strict):
    """What all environments share."""

    name: str = Field(default="macro-ai", pattern="^[a-z][a-z0-9-]*$", description="begins every AWS name")
    stack_name: str = Field(default="MacroAi", pattern="^[A-Z][A-Za-z0-9]*$", description="begins every stack's name")


class Environment(_Strict):
    """Everything about one environment."""

    account: str | None = Field(default=None, pattern=r"^\d{12}$", description="of the credentials, if not given")
    region: str | None = Field(default=None, pattern=r"^[a-z]{2}(-[a-z]+)+-\d$")
    availability_zones: tuple[str, ...] = Field(default=(), description="needed with account and region: no look-ups")
    services: tuple[Service, ...] = Field(min_length=1)
    policy: Policy = Policy()
    database: DatabaseSettings | None = None
    workflow_timeout_minutes: float = Field(default=240, gt=0)
    alarms: AlarmSettings = AlarmSettings()
    triggers: TriggerSettings = TriggerSettings()
    watch: WatchSettings = WatchSettings()
    functions: FunctionSettings = FunctionSettings()
    ledger: LedgerSettings = LedgerSettings()
    keys: KeySettings = KeySettings()

    @model_validator(mode="after")
    def _validate_together(self) -> Self:
        policy, seconds = self.policy, self.policy.act_timeout_seconds
        rungs = policy.service_timeout_minutes + policy.emergency_timeout_minutes + policy.restart_timeout_minutes
        waits = policy.service_timeout_minutes  # for CloudFormation, before there is a plan
        conclusions = 2 if self.database is not None else 1  # the second tells the lost writes
        walks = waits + rungs + 3 * policy.verify_timeout_minutes + conclusions * policy.conclude_timeout_minutes
        walks += database_minutes(self.database) + reconnect_minutes(self.database, self.services)
        needs = {
            f"policy.act_timeout_seconds is {seconds:g}; allowed is at most 900, and less than lease_minutes": seconds
            <= min(900, policy.lease_minutes * 60 - 1e-9),
            f"workflow_timeout_minutes is {self.workflow_timeout_minutes:g}; allowed is more than the steps' limits "
            f"together, {walks:g}": self.workflow_timeout_minutes > walks,
            f"policy.verify_timeout_minutes is {policy.verify_timeout_minutes:g}; allowed is more than "
            f"alarm_settle_minutes, {policy.alarm_settle_minutes:g}: alarms are judged in between": (
                policy.verify_timeout_minutes > policy.alarm_settle_minutes
            ),
            **database_needs(self.database, policy, {service.name for service in self.services}),
            **connection_needs(self.database, self.services),
            "alarms.datapoints_to_alarm is more than evaluation_periods": self.alarms.datapoints_to_alarm
            <= self.alarms.evaluation_periods,
            f"triggers.janitor_minutes times the rounds that watch waits for, {self.watch.longest_rounds}, is more "
            "than a day; CloudWatch looks back no further": self.triggers.janitor_minutes * self.watch.longest_rounds
            <= 24 * 60,
            "availability_zones is empty; with account and region at least two are needed for the network of a service "
            "with a workload": not (self.account and self.region and self.created_services)
            or len(self.availability_zones) >= 2,
            "services has two of one name": len({s.name for s in self.services}) == len(self.services),
            "services has two with a workload; allowed is one, the others by existing": len(self.created_services) <= 1,
        }
        for what, holds in needs.items():
            if not holds:
                raise ValueError(what)
        return self

    @property
    def created_services(self) -> tuple[Service, ...]:
        """Services that a ServiceStack makes."""
        return tuple(service for service in self.services if service.workload is not None)

    def runtime_settings(self, application: Application, name: str, urls: Mapping[str, str], stack: str) -> Settings:
        """What the functions know; `urls` by service, for those whose settings have none; `stack` makes services."""
        services = tuple(service.runtime_settings(urls.get(service.name), stack) for service in self.services)
        return Settings(
            application=application.name,
            environment=name,
            services=services,
            policy=self.policy,
            database=self.database,
        )


def stack_names(application: Application, environment: str) -> tuple[str, str]:
    """Names of the service stack and of the rollback stack."""
    stem = application.stack_name + environment.title().replace("-", "")
    return f"{stem}Stack", f"{stem}RollbackStack"


class Configuration(_Strict):
    """The whole context, read."""

    application: Application
    environments: dict[str, Environment]
    bundle: BundleSettings

    @model_validator(mode="after")
    def _reject_shared_resources(self) -> Self:
        found = list(find_conflicts(self.environments, lambda name: stack_names(self.application, name)))
        if found:
            more = [f"and {len(found) - _MAX_CONFLICTS_SHOWN} more"] if len(found) > _MAX_CONFLICTS_SHOWN else []
            raise ValueError("\n  ".join([*found[:_MAX_CONFLICTS_SHOWN], *more]))
        return self

    @classmethod
    def read(cls, context: Context) -> Self:
        """Read CDK context; values given on the command line (`-c`) may be JSON text.

        `rollback:environments` limits which are read, `rollback:overrides` is merged deep over each of them, service
        by service where it names a list; `image_tag` sets the workload's.

        Raises:
            InvalidSettings: naming every path that is wrong.
        """
        environments = _json(context, _ENVIRONMENTS)
        if not isinstance(environments, Mapping) or not environments:
            raise InvalidSettings(f"context {_ENVIRONMENTS!r} is {environments!r}; allowed is an object by environment")
        overrides = _json(context, _OVERRIDES) or {}
        chosen = {
            name: merge(environments[name], overrides) for name in _select_environments(context, list(environments))
        }
        if tag := context.get("image_tag"):
            chosen = {name: _with_image_tag(given, str(tag)) for name, given in chosen.items()}
        bundle = {"platform": context.get(_PLATFORM), "python": context.get(_PYTHON)}
        given = {
            "application": _json(context, _APPLICATION) or {},
            "environments": chosen,
            "bundle": {name: value for name, value in bundle.items() if value},
        }
        try:
            return cls.model_validate(given)
        except ValidationError as error:
            raise InvalidSettings(_format_validation_error(error)) from error


def merge(base: Any, over: Any) -> Any:
    """`over` laid deep over `base`. A list of objects is laid over element by element, any other value replaces."""
    if isinstance(base, Mapping) and isinstance(over, Mapping):
        return {**base, **{key: merge(base.get(key), value) for key, value in over.items()}}
    if isinstance(base, list) and isinstance(over, list) and all(isinstance(item, Mapping) for item in [*base, *over]):
        return [
            *(merge(old, new) for old, new in zip(base, over, strict=False)),
            *base[len(over) :],
            *over[len(base) :],
        ]
    return over


def _with_image_tag(environment: Any, tag: str) -> Any:
    if not isinstance(environment, Mapping):
        return environment
    tagged = [
        merge(service, {"workload": {"image_tag": tag}})
        if isinstance(service, Mapping) and service.get("workload")
        else service
        for service in environment.get("services", [])
    ]
    return {**environment, "services": tagged}


def _select_environments(context: Context, known: list[str]) -> list[str]:
    only = context.get(_ONLY)
    names = [name.strip() for name in str(only).split(",") if name.strip()] if only else known
    if unknown := [name for name in names if name not in known]:
        raise InvalidSettings(
            f"context {_ONLY!r} is {only!r}: {', '.join(unknown)} unknown; allowed: {', '.join(known)}"
        )
    return names


def _json(context: Context, key: str) -> Any:
    value = context.get(key)
    if not isinstance(value, str):
        return value
    try:
        return json.loads(value)
    except ValueError as error:
        raise InvalidSettings(f"context {key!r} is no JSON ({error}): {value!r}") from error


def _format_validation_error(error: ValidationError) -> str:
    lines = ["the settings can't be used:"]
    problems = error.errors()
    places = [problem["loc"] for problem in problems]
    for problem in problems:
        at = problem["loc"]
        if any(place != at and place[: len(at)] == at for place in places):
            continue  # only because something inside it is wrong
        path = ".".join(str(part) for part in at)
        value = problem["input"]
        shown = "" if isinstance(value, Mapping | BaseModel) else f" is {value!r}:"
        lines.append(f"  {path}{shown} {problem['msg'].removeprefix('Value error, ')}")
    return "\n".join(lines)
