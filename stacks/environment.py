"""Settings of the environments: read from CDK context (`cdk.json`) and validated.

A wrong value fails synth with its path, the value and what is allowed.
"""

import json
from collections.abc import Iterator, Mapping
from typing import Annotated, Any, Self

from pydantic import (
    BaseModel,
    ConfigDict,
    Field,
    TypeAdapter,
    ValidationError,
    ValidationInfo,
    field_validator,
    model_validator,
)

from rollback.domain.approval.policy import ApprovalPolicy, ApprovalReason
from rollback.domain.settings.chat import ChatSettings
from rollback.domain.settings.database import DatabaseSettings
from rollback.domain.settings.drills import DrillSettings
from rollback.domain.settings.environment import Settings
from rollback.domain.settings.github import GitHubSettings
from rollback.domain.settings.policy import Policy
from rollback_constructs.alarms import AlarmSettings
from rollback_constructs.database_alarms import DatabaseAlarmSettings
from rollback_constructs.functions.bundling import BundleSettings
from rollback_constructs.functions.function_settings import FunctionSettings
from rollback_constructs.keys import KeySettings
from rollback_constructs.ledger import LedgerSettings
from rollback_constructs.pipelines.github_actions import GitHubActionsSettings
from rollback_constructs.report_bucket import ReportSettings
from rollback_constructs.self_monitoring import WatchSettings
from rollback_constructs.triggers import TriggerSettings
from stacks.aws_names import explain_unknown_region, normalise_names, partition_of
from stacks.conflicts import find_conflicts
from stacks.connection_constraints import connection_constraints, reconnect_minutes
from stacks.database_constraints import database_constraints, database_minutes
from stacks.drill_constraints import drill_constraints
from stacks.github_constraints import find_provider_conflict, github_constraints
from stacks.log_patterns import find_mistake
from stacks.number_constraints import alarm_constraints, policy_constraints
from stacks.service_settings import Service
from stacks.setting_errors import (
    ContradictorySettings,
    describe_problems,
    find_converted_values,
    nearest,
    quote_value,
    reject_contradictions,
)

Context = Mapping[str, Any]
_MAX_LATENCY_SECONDS = 10  # two slow answers fit into the time of a round; stored settings may have more
_MAX_CONFLICTS_SHOWN = 5  # one mistake in many services is a conflict of each pair of them

_ENVIRONMENT_NAME = "^[a-z][a-z0-9]*(-[a-z0-9]+)*$"  # part of the names of stacks, alarms, roles and functions
_APPLICATION, _ENVIRONMENTS = "application", "environments"
_OVERRIDES, _ONLY = "rollback:overrides", "rollback:environments"
_PLATFORM, _PYTHON = "rollback:bundle_platform", "rollback:bundle_python"
_CLOCK_SCALE = "rollback:clock_scale"  # how much faster alarms are evaluated; only the embedded cloud has one
_Scale = Annotated[float, Field(gt=0, allow_inf_nan=False)]  # an infinite one would turn the comparison off
_IMAGE_TAG = "image_tag"
CONTEXT_KEYS = (_APPLICATION, _ENVIRONMENTS, _IMAGE_TAG, _OVERRIDES, _ONLY, _PLATFORM, _PYTHON, _CLOCK_SCALE)


class InvalidSettings(ValueError):
    """The context is not valid; the message has each wrong path, its value and what is allowed."""


class _Strict(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class Application(_Strict):
    """Settings that all environments share."""

    name: str = Field(default="macro-ai", pattern="^[a-z][a-z0-9-]*$", description="first part of every AWS name")
    stack_name: str = Field(
        default="MacroAi", pattern="^[A-Z][A-Za-z0-9]*$", description="first part of every stack's name"
    )


class Environment(_Strict):
    """Settings of one environment."""

    account: str | None = Field(
        default=None, pattern=r"^\d{12}$", description="default: the account of the credentials"
    )
    region: str | None = Field(default=None, description="region of the stacks; default: that of the credentials")
    availability_zones: tuple[str, ...] = Field(
        default=(), description="required with account and region: synth makes no look-ups"
    )
    services: tuple[Service, ...] = Field(
        min_length=1, description="services of the environment, each with `existing` or `workload`"
    )
    policy: Policy = Policy()
    approval: ApprovalPolicy = ApprovalPolicy()
    database: DatabaseSettings | None = None
    drills: DrillSettings = DrillSettings()
    github: GitHubSettings | None = None
    github_actions: GitHubActionsSettings | None = None
    chat: ChatSettings = ChatSettings()
    workflow_timeout_minutes: float = Field(
        default=360,
        gt=0,
        le=365 * 24 * 60,
        description="limit of one execution of Step Functions, a year at most; longer than all steps' limits together",
    )
    alarms: AlarmSettings = AlarmSettings()
    triggers: TriggerSettings = TriggerSettings()
    watch: WatchSettings = WatchSettings()
    database_alarms: DatabaseAlarmSettings = DatabaseAlarmSettings()
    functions: FunctionSettings = FunctionSettings()
    ledger: LedgerSettings = LedgerSettings()
    keys: KeySettings = KeySettings()
    reports: ReportSettings = ReportSettings()

    @field_validator("region")
    @classmethod
    def _is_known_region(cls, region: str | None) -> str | None:
        if region is not None and partition_of(region) is None:
            raise ValueError(explain_unknown_region(region))
        return region

    @model_validator(mode="after")
    def _validate_together(self, info: ValidationInfo) -> Self:
        clock_scale = (info.context or {}).get(_CLOCK_SCALE, 1)
        constraints = {
            **self._place_constraints(),
            **policy_constraints(self.policy, self.triggers),
            **alarm_constraints(self.alarms, self.policy, clock_scale),
            **self._timeout_constraints(),
            **self._verification_constraints(),
            **database_constraints(self.database, self.policy, {service.name for service in self.services}),
            **github_constraints(self.github),
            **connection_constraints(self.database, self.services),
            **self._monitoring_constraints(),
            **drill_constraints(self.drills, self.policy, self.database),
            **self._service_constraints(),
        }
        reject_contradictions(constraints)
        return self

    def _place_constraints(self) -> dict[str, bool]:
        """Check account, region and zones."""
        foreign_zones = [zone for zone in self.availability_zones if not zone.startswith(self.region or "")]
        return {
            f"region is {self.region!r} without account; set both, or none to use those of the credentials": (
                self.region is None or self.account is not None
            ),
            f"account is {self.account!r} without region; set both, or none to use those of the credentials": (
                self.account is None or self.region is not None
            ),
            f"availability_zones has {', '.join(foreign_zones)}; allowed are zones of the region, {self.region}": (
                not foreign_zones
            ),
        }

    def _longest_rollback_minutes(self) -> float:
        """Add up the limits of all steps of a rollback that escalates through every level."""
        policy = self.policy
        levels = policy.service_timeout_minutes + policy.emergency_timeout_minutes + policy.restart_timeout_minutes
        cloudformation_wait = policy.service_timeout_minutes  # before the plan
        conclusions = 2 if self.database is not None else 1  # the second sends the data loss report
        minutes = cloudformation_wait + levels + 3 * policy.verify_timeout_minutes
        minutes += conclusions * policy.conclude_timeout_minutes
        if self._may_wait_for_approval:
            minutes += self.approval.approval_timeout_minutes + cloudformation_wait  # the plan is made again
        return minutes + database_minutes(self.database) + reconnect_minutes(self.database, self.services)

    @property
    def _may_wait_for_approval(self) -> bool:
        """Whether some rollback of this environment may need an approval; without a database none is of its data."""
        of_data = {ApprovalReason.DATABASE, ApprovalReason.FULL}
        return bool(set(self.approval.required_for) - (set() if self.database is not None else of_data))

    def _timeout_constraints(self) -> dict[str, bool]:
        policy, seconds, longest = self.policy, self.policy.act_timeout_seconds, self._longest_rollback_minutes()
        return {
            f"policy.act_timeout_seconds is {seconds:g}; allowed is at most 900, and less than lease_minutes": seconds
            <= min(900, policy.lease_minutes * 60 - 1e-9),
            f"workflow_timeout_minutes is {self.workflow_timeout_minutes:g}; allowed is more than the steps' limits "
            f"together, {longest:g}": self.workflow_timeout_minutes > longest,
            f"policy.verify_timeout_minutes is {policy.verify_timeout_minutes:g}; allowed is more than "
            f"alarm_settle_minutes, {policy.alarm_settle_minutes:g}: Verify checks the alarms in between": (
                policy.verify_timeout_minutes > policy.alarm_settle_minutes
            ),
        }

    def _verification_constraints(self) -> dict[str, bool]:
        limit = self.policy.verify_timeout_minutes * 60
        return {
            f"services.{service.name}.smoke_timeout_seconds is {service.smoke_timeout_seconds:g}; allowed is less than "
            f"policy.verify_timeout_minutes, {limit:g} seconds": service.smoke_timeout_seconds < limit
            for service in self.services
            if service.smoke_command
        } | {
            f"services.{service.name}.endpoints {endpoint.path}: max_latency_seconds is "
            f"{endpoint.max_latency_seconds:g}; allowed is at most {_MAX_LATENCY_SECONDS}": (
                endpoint.max_latency_seconds <= _MAX_LATENCY_SECONDS
            )
            for service in self.services
            for endpoint in service.endpoints
        }

    def _monitoring_constraints(self) -> dict[str, bool]:
        sweeps = self.watch.most_sweeps
        return {
            f"triggers.janitor_minutes is {self.triggers.janitor_minutes}, and an alarm of watch evaluates {sweeps} "
            f"sweeps, longer than CloudWatch's limit of a day; allowed is at most {24 * 60 // sweeps}": (
                self.triggers.janitor_minutes * sweeps <= 24 * 60
            ),
        }

    def _service_constraints(self) -> dict[str, bool]:
        names = [service.name for service in self.services]
        duplicates = sorted({name for name in names if names.count(name) > 1})
        created = [service.name for service in self.created_services]
        mistake = find_mistake(self.alarms.error_log_pattern)
        return {
            f"availability_zones is empty; with account and region, name at least two for the network of service "
            f"{', '.join(created)}": not (self.account and self.region and self.created_services)
            or len(self.availability_zones) >= 2,
            f"services has {', '.join(duplicates)} more than once; give each service a name of its own": not duplicates,
            f"alarms.error_log_pattern is {quote_value(self.alarms.error_log_pattern)}; allowed is a filter pattern of "
            f"CloudWatch Logs: {mistake}": mistake is None,
            f"services has a workload for {', '.join(created)}; allowed is one, describe the others by existing": (
                len(created) <= 1
            ),
        }

    @property
    def created_services(self) -> tuple[Service, ...]:
        """Services that a ServiceStack creates."""
        return tuple(service for service in self.services if service.workload is not None)

    def runtime_settings(self, application: Application, name: str, urls: Mapping[str, str], stack: str) -> Settings:
        """Return the settings that the Lambda functions read.

        Args:
            application: settings that all environments share.
            name: name of this environment.
            urls: service → URL, for services whose settings have none.
            stack: name of the stack that creates services.
        """
        services = tuple(service.runtime_settings(urls.get(service.name), stack) for service in self.services)
        return Settings(
            application=application.name,
            environment=name,
            services=services,
            policy=self.policy,
            approval=self.approval,
            database=self.database,
            drills=self.drills,
            github=self.github,
            chat=self.chat,
        )


def stack_names(application: Application, environment: str) -> tuple[str, str]:
    """Return the names of the service stack and of the rollback stack."""
    stem = application.stack_name + environment.title().replace("-", "")
    return f"{stem}Stack", f"{stem}RollbackStack"


class Configuration(_Strict):
    """The whole context, validated."""

    application: Application
    environments: dict[Annotated[str, Field(pattern=_ENVIRONMENT_NAME)], Environment]
    bundle: BundleSettings

    @model_validator(mode="after")
    def _reject_shared_resources(self) -> Self:
        conflicts = list(find_conflicts(self.environments, lambda name: stack_names(self.application, name)))
        if conflicts:
            hidden_count = len(conflicts) - _MAX_CONFLICTS_SHOWN
            more = [f"and {hidden_count} more"] if hidden_count > 0 else []
            raise ContradictorySettings([*conflicts[:_MAX_CONFLICTS_SHOWN], *more])
        return self

    @model_validator(mode="after")
    def _reject_second_oidc_provider(self) -> Self:
        if conflict := find_provider_conflict({name: one.github_actions for name, one in self.environments.items()}):
            raise ValueError(conflict)
        return self

    @model_validator(mode="after")
    def _reject_drills_in_production(self) -> Self:
        for name, environment in self.environments.items():
            forbidden = environment.drills.why_forbidden_in(name) if environment.drills.schedule is not None else None
            if forbidden is not None:
                raise ValueError(f"environments.{name}.drills.schedule is {environment.drills.schedule!r}: {forbidden}")
        return self

    @classmethod
    def read(cls, context: Context) -> Self:
        """Read CDK context; values from the command line (`-c`) may be JSON text.

        `rollback:environments` names the environments that are read. `rollback:overrides` is merged into each of them,
        service by service where it has a list. `image_tag` sets the workload's tag.
        `rollback:clock_scale` says how much faster than the functions' clock the embedded cloud evaluates alarms.

        Raises:
            InvalidSettings: the message has every wrong path.
        """
        if misspelt := list(_find_misspelt_keys(context)):
            raise InvalidSettings("\n  ".join(["the context in cdk.json is not valid:", *misspelt]))
        environments = _json(context, _ENVIRONMENTS)
        if not isinstance(environments, Mapping) or not environments:
            raise InvalidSettings(
                f"context {_ENVIRONMENTS!r} is {environments!r}; allowed is an object by name of environment"
            )
        overrides = _json(context, _OVERRIDES) or {}
        selected_environments = {
            name: merge(environments[name], overrides) if overrides else environments[name]
            for name in _select_environments(context, list(environments))
        }
        if tag := context.get(_IMAGE_TAG):
            selected_environments = {
                name: _with_image_tag(environment, str(tag)) for name, environment in selected_environments.items()
            }
        bundle = {"platform": context.get(_PLATFORM), "python": context.get(_PYTHON)}
        clock_scale = _clock_scale(context)
        problems: list[str] = []
        for name, environment in selected_environments.items():
            selected_environments[name], wrong_names = normalise_names(name, environment)
            problems += wrong_names
        settings = {
            "application": _json(context, _APPLICATION) or {},
            "environments": selected_environments,
            "bundle": {name: value for name, value in bundle.items() if value},
        }
        problems += find_converted_values(settings, cls)
        try:
            configuration = cls.model_validate(settings, context={_CLOCK_SCALE: clock_scale})
        except ValidationError as error:
            told = {problem.partition(" ")[0] for problem in problems}
            problems += [line for line in describe_problems(error, cls) if line.partition(" ")[0] not in told]
        if not problems:
            return configuration
        raise InvalidSettings("\n  ".join(["the settings in cdk.json or in the context are not valid:", *problems]))


def merge(base: Any, overrides: Any) -> Any:
    """Merge `overrides` into `base`: objects by member, lists of objects by element; other values are replaced."""
    if isinstance(base, Mapping) and isinstance(overrides, Mapping):
        return {**base, **{key: merge(base.get(key), value) for key, value in overrides.items()}}
    if (
        isinstance(base, list)
        and isinstance(overrides, list)
        and all(isinstance(item, Mapping) for item in [*base, *overrides])
    ):
        return [
            *(merge(old, new) for old, new in zip(base, overrides, strict=False)),
            *base[len(overrides) :],
            *overrides[len(base) :],
        ]
    return overrides


def _find_misspelt_keys(context: Context) -> Iterator[str]:
    """Yield a line for each key that is almost one of ours: the CDK and other tools have keys of their own."""
    for key in context:
        suggestion = nearest(key, CONTEXT_KEYS, similarity=0.8)
        if key not in CONTEXT_KEYS and suggestion is not None:
            yield f"context {key!r} is not a setting; did you mean {suggestion!r}? allowed: {', '.join(CONTEXT_KEYS)}"


def _with_image_tag(environment: Any, tag: str) -> Any:
    if not isinstance(environment, Mapping):
        return environment
    services = [
        merge(service, {"workload": {"image_tag": tag}})
        if isinstance(service, Mapping) and service.get("workload")
        else service
        for service in environment.get("services", [])
    ]
    return {**environment, "services": services}


def _select_environments(context: Context, environment_names: list[str]) -> list[str]:
    selection = context.get(_ONLY)
    names = [name.strip() for name in str(selection).split(",") if name.strip()] if selection else environment_names
    if unknown := [name for name in names if name not in environment_names]:
        raise InvalidSettings(
            f"context {_ONLY!r} is {selection!r}: {', '.join(unknown)} unknown; allowed: {', '.join(environment_names)}"
        )
    return names


def _clock_scale(context: Context) -> float:
    value = context.get(_CLOCK_SCALE, 1)
    try:
        return TypeAdapter(_Scale).validate_python(value)
    except ValidationError as error:
        raise InvalidSettings(f"context {_CLOCK_SCALE!r} is {value!r}; allowed is a number above 0") from error


def _json(context: Context, key: str) -> Any:
    value = context.get(key)
    if not isinstance(value, str):
        return value
    try:
        return json.loads(value)
    except ValueError as error:
        raise InvalidSettings(f"context {key!r} is {value!r}; allowed is JSON ({error})") from error
