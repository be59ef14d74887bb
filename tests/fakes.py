"""Fakes that keep real state, one per port; the contract tests hold each to the promises of its real adapter."""

import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any, Literal, Protocol, TypeVar, cast
from urllib.parse import urlsplit

from fake_aws import accepted, as_parsed, check_request, refuse
from pydantic import SecretStr

from rollback.adapters.aws.ecr import parse
from rollback.adapters.aws.ecs.parse import assign_revisions, require_supported_service
from rollback.adapters.aws.sns import acceptable_message, acceptable_subject
from rollback.canonical_json import sha256_of
from rollback.check import Verdict
from rollback.domain.database.branch_observation import Observation
from rollback.domain.database.reconnection import CausedDeployment
from rollback.domain.database.release_schema import ReleaseSchema
from rollback.domain.database.restore_points import RecordedPoint
from rollback.domain.lease import Lease
from rollback.domain.ledger.index import AnswerEntry, ChangeEntry, ObligationsEntry, PendingEntry, build_entries
from rollback.domain.ledger.page_count import PageCount
from rollback.domain.operator import OperatorAction, Pause
from rollback.domain.releases.release import Release, ReleaseState
from rollback.domain.rollback import Rollback
from rollback.domain.settings.environment import ServiceSettings
from rollback.domain.standing_plan import Bake, StandingPlan
from rollback.domain.stored import ReadResult, SkippedItem
from rollback.errors import (
    CallRefused,
    Conflict,
    InvalidRequest,
    LeaseLost,
    UnreadableItem,
    UnsupportedService,
)
from rollback.names import RELEASE_TAG
from rollback.resources.aws.cloudformation_stack import StackView
from rollback.resources.aws.ecs_service import (
    IN_FLIGHT,
    SCALING_FLAGS,
    Deployment,
    ProbeResult,
    ScalableTarget,
    ServiceDeployment,
    ServiceRevision,
    ServiceView,
    TargetHealth,
)
from rollback.resources.aws.service_shape import ServiceShape, check_fits_service
from rollback.resources.aws.target_group_health import is_possibly_unused

T = TypeVar("T")


def _deep_copy(value: T) -> T:
    """Copy a JSON value; `copy.deepcopy` was a tenth of the crash harness."""
    copied: Any = value
    if isinstance(value, dict):
        copied = {key: _deep_copy(inner) for key, inner in value.items()}
    elif isinstance(value, list):
        copied = [_deep_copy(inner) for inner in value]
    return cast(T, copied)


class FakeClock:
    """Stands still until it is moved."""

    def __init__(self, now: datetime) -> None:
        self._now = now

    def now(self) -> datetime:
        return self._now

    def pass_time(self, **duration: float) -> None:
        self._now += timedelta(**duration)


_BEFORE_TESTS = datetime(2026, 3, 1, 2, 59, 30, tzinfo=UTC)  # half a minute before the tests' clock starts


TARGET_GROUP = "arn:aws:elasticloadbalancing:eu-west-1:123456789012:targetgroup/express-api/0123456789abcdef"
_ALARMS_A_CALL = 100


class FakeAlarms:
    """Alarms by name; `fire` writes their history too, and `serve` counts requests.

    `target_groups`: those that ELB knows; `last_data`: metric alarms whose data ended, and when.
    """

    def __init__(self, *in_alarm: str) -> None:
        self.target_groups = {TARGET_GROUP}
        self.in_alarm = set(in_alarm)
        self.others: dict[str, str] = {}
        self.muted: dict[str, tuple[str, ...]] = {}
        self.last_data: dict[str, datetime] = {}
        self._fired: list[tuple[str, datetime]] = []
        self._before: dict[str, str] = {}
        self._requests: list[tuple[str, datetime, float]] = []

    def fire(self, name: str, at: datetime, before: str = "OK") -> None:
        self.in_alarm.add(name)
        self._before[name] = before
        self._fired.append((name, at))

    def recover(self, name: str) -> None:
        self.in_alarm.discard(name)
        self.others[name] = "OK"

    def serve(self, target_group: str, count: float, at: datetime) -> None:
        """Requests reach a group: ELB knows it, then."""
        self.target_groups.add(target_group)
        self._requests.append((target_group, at, count))

    def is_in_alarm(self, name: str) -> bool:
        return name in self.in_alarm

    def states(self, names: tuple[str, ...]) -> dict[str, str]:
        self._check(names)
        known = {**self.others, **dict.fromkeys(self.in_alarm, "ALARM")}
        return {name: known[name] for name in names if name in known}

    def in_alarm_since(self, names: tuple[str, ...]) -> dict[str, datetime]:
        self._check(names)
        last = dict(sorted(self._fired, key=lambda fired: fired[1]))
        return {name: last.get(name, _BEFORE_TESTS) for name in names if name in self.in_alarm}

    def state_before(self, name: str, since: datetime) -> str | None:
        check_request("cloudwatch", "DescribeAlarmHistory", name, AlarmName=name, StartDate=since)
        return self._before[name] if any(one == name and at >= since for one, at in self._fired) else None

    def without_data(self, names: tuple[str, ...], since: datetime) -> tuple[str, ...]:
        self._check(names)
        return tuple(name for name in names if name in self.last_data and self.last_data[name] <= since)

    def mute_rules(self, name: str) -> tuple[str, ...]:
        check_request("cloudwatch", "ListAlarmMuteRules", name, AlarmName=name, Statuses=["ACTIVE"])
        return self.muted.get(name, ())

    def fired_since(self, names: tuple[str, ...], since: datetime) -> tuple[str, ...]:
        for name in names:
            check_request("cloudwatch", "DescribeAlarmHistory", name, AlarmName=name, StartDate=since)
        fired = {name for name, at in self._fired if at > since}
        return tuple(name for name in names if name in fired)

    def requests_since(self, target_groups: tuple[str, ...], since: datetime) -> float:
        self._refuse_unknown(target_groups)
        begin = since.replace(second=0, microsecond=0)
        return float(sum(count for group, at, count in self._requests if group in target_groups and at >= begin))

    @staticmethod
    def _check(names: tuple[str, ...]) -> None:
        for start in range(0, len(names), _ALARMS_A_CALL):
            some = list(names[start : start + _ALARMS_A_CALL])
            check_request("cloudwatch", "DescribeAlarms", ", ".join(some), AlarmNames=some)

    def _refuse_unknown(self, target_groups: tuple[str, ...]) -> None:
        for group in target_groups:
            if group not in self.target_groups:
                refuse("DescribeTargetGroups", group, "TargetGroupNotFound", "target group not found")


class FakeLedger:
    """The ledger in dictionaries, with the same conditions as the table.

    The index is derived from the documents at each call: what the real table keeps has to say the same.
    """

    def __init__(self) -> None:
        self._documents: dict[tuple[str, str], Rollback] = {}
        self._events: dict[str, str] = {}
        self._executions: dict[str, tuple[str, str]] = {}
        self._leases: dict[str, Lease] = {}
        self._counters: dict[str, int] = {}
        self._releases: dict[tuple[str, str], Release] = {}
        self._definitions: dict[str, dict[str, Any]] = {}
        self._plans: dict[str, StandingPlan] = {}
        self._bakes: dict[str, Bake] = {}
        self._schemas: dict[str, ReleaseSchema] = {}
        self._points: list[RecordedPoint] = []
        self._observations: dict[str, Observation] = {}
        self._pauses: dict[str, Pause] = {}
        self._caused_deployments: dict[str, CausedDeployment] = {}
        self._actions: list[OperatorAction] = []
        self._set_aside: dict[str, SkippedItem] = {}
        self._settled: set[tuple[str, str]] = set()
        self._pages: dict[tuple[str, str], PageCount] = {}

    def create(self, rollback: Rollback) -> Rollback:
        at = (rollback.service_name, rollback.id)
        if at in self._documents:
            return self._documents[at]
        if rollback.event is not None:
            if rollback.event.id in self._events:
                raise Conflict(f"event {rollback.event.id} was taken by another rollback already")
            self._events[rollback.event.id] = rollback.id
        self._documents[at] = rollback
        self._executions[rollback.execution or rollback.id] = at
        return rollback

    def read(self, service: str, rollback_id: str) -> Rollback:
        return self._documents[service, rollback_id]

    def find_by_execution(self, execution: str) -> tuple[str, str] | None:
        return self._executions.get(execution)

    def save(self, rollback: Rollback, *, under_lease_until: datetime | None = None) -> Rollback:
        if under_lease_until is not None:
            lease = self._leases.get(rollback.service_name)
            ours = lease is not None and (lease.holder, lease.counter) == (rollback.id, rollback.lease_counter)
            if lease is None or not ours or lease.expires_at <= under_lease_until:
                raise LeaseLost(f"{rollback.id} no longer holds the lease on {rollback.service_name}")
        at = (rollback.service_name, rollback.id)
        if at not in self._documents or self._documents[at].version != rollback.version:
            raise Conflict(f"{rollback.id} is no longer at version {rollback.version}: read it again")
        self._documents[at] = rollback.evolve(version=rollback.version + 1)
        return self._documents[at]

    def reopen(self, rollback: Rollback) -> Rollback:
        saved = self.save(rollback)
        self._executions[rollback.execution or rollback.id] = (saved.service_name, saved.id)
        return saved

    def records(self, service: str, before: str | None = None) -> Iterator[Rollback | UnreadableItem]:
        yield from (r for r in self.history(service) if before is None or r.id < before)

    def history(self, service: str) -> Iterator[Rollback]:
        mine = [r for (of, _), r in self._documents.items() if of == service]
        yield from sorted(mine, key=lambda r: r.id, reverse=True)

    def _entries(self, kind: type[T]) -> Iterator[T]:
        for (service, rollback_id), rollback in self._documents.items():
            if (service, rollback_id) not in self._settled or kind not in (PendingEntry, ObligationsEntry):
                yield from (entry for entry in build_entries(rollback).values() if isinstance(entry, kind))

    def pending(self, service: str | None = None) -> ReadResult[PendingEntry]:
        found = [one for one in self._entries(PendingEntry) if service in (None, one.service)]
        return ReadResult(tuple(sorted(found, key=lambda one: (one.service, one.rollback_id))))

    def owed(self, service: str) -> ReadResult[ObligationsEntry]:
        found = [one for one in self._entries(ObligationsEntry) if one.service == service]
        return ReadResult(tuple(sorted(found, key=lambda one: one.rollback_id, reverse=True)))

    def changes(self, service: str, since: datetime) -> ReadResult[ChangeEntry]:
        ours = {r.id for (of, _), r in self._documents.items() if of == service}
        found = [one for one in self._entries(ChangeEntry) if one.rollback_id in ours and one.admitted_at >= since]
        return ReadResult(tuple(sorted(found, key=lambda one: one.admitted_at, reverse=True)))

    def answers(self, service: str, alarm: str, since: datetime) -> ReadResult[AnswerEntry]:
        ours = {r.id for (of, _), r in self._documents.items() if of == service}
        found = [
            one
            for one in self._entries(AnswerEntry)
            if one.rollback_id in ours and one.alarm == alarm and one.created_at >= since
        ]
        return ReadResult(tuple(sorted(found, key=lambda one: one.created_at, reverse=True)))

    def clear_unreadable(self, service: str, rollback_id: str) -> None:
        self._settled.add((service, rollback_id))

    def record_unreadable(self, unreadable: UnreadableItem, at: datetime) -> None:
        assert at.tzinfo is not None
        self._set_aside.setdefault(unreadable.key, SkippedItem(key=unreadable.key, why=unreadable.why))

    def unreadable(self) -> tuple[SkippedItem, ...]:
        return tuple(sorted(self._set_aside.values(), key=lambda one: one.key, reverse=True))

    def mark_reported(self, unreadable: SkippedItem) -> None:
        self._set_aside[unreadable.key] = SkippedItem(key=unreadable.key, why=unreadable.why, is_reported=True)

    def build_index(self, services: tuple[str, ...], now: datetime) -> bool:
        assert services
        assert now.tzinfo is not None
        return True

    def page_count(self, service: str, aggregation_key: str) -> PageCount | None:
        return self._pages.get((service, aggregation_key))

    def put_page_count(self, count: PageCount, read: PageCount | None) -> None:
        if self._pages.get((count.service, count.aggregation_key)) != read:
            raise Conflict(f"the count of pages of {count.service} was changed meanwhile: read it again")
        self._pages[count.service, count.aggregation_key] = count

    def page_counts(self) -> tuple[PageCount, ...]:
        return tuple(count for count in self._pages.values() if count.unreported)

    def acquire(self, service: str, rollback_id: str, now: datetime, until: datetime) -> Lease | None:
        held = self._leases.get(service)
        if held is not None and held.expires_at > now:
            return held if held.holder == rollback_id else None
        counter = self._counters[service] = self._counters.get(service, 0) + 1
        lease = Lease(service=service, holder=rollback_id, counter=counter, expires_at=until)
        self._leases[service] = lease
        return lease

    def renew(self, lease: Lease, now: datetime, until: datetime) -> Lease:
        held = self._leases.get(lease.service)
        same = held is not None and (held.holder, held.counter) == (lease.holder, lease.counter)
        if held is None or not same or held.expires_at <= now:
            raise LeaseLost(f"{lease.holder} no longer holds the lease on {lease.service}")
        renewed = lease.model_copy(update={"expires_at": until})
        self._leases[lease.service] = renewed
        return renewed

    def take_over(self, held: Lease, rollback_id: str, until: datetime) -> Lease | None:
        now_held = self._leases.get(held.service)
        if now_held is not None and (now_held.holder, now_held.counter) == (rollback_id, held.counter + 1):
            return now_held
        if now_held is None or (now_held.holder, now_held.counter) != (held.holder, held.counter):
            return None
        counter = self._counters[held.service] = held.counter + 1
        lease = Lease(service=held.service, holder=rollback_id, counter=counter, expires_at=until)
        self._leases[held.service] = lease
        return lease

    def release_lease(self, service: str, rollback_id: str) -> None:
        held = self._leases.get(service)
        if held is not None and held.holder == rollback_id:
            del self._leases[service]

    def lease(self, service: str) -> Lease | None:
        return self._leases.get(service)

    def record(self, release: Release, definition: dict[str, Any]) -> None:
        if sha256_of(definition) != release.definition_sha256:
            raise ValueError(f"the definition of {release.version} is not the one that the release names")
        self._definitions.setdefault(release.definition_sha256, definition)
        self._releases.setdefault((release.service, release.fingerprint), release)

    def definition(self, sha256: str) -> dict[str, Any]:
        return self._definitions[sha256]

    def release(self, service: str, fingerprint: str) -> Release | None:
        return self._releases.get((service, fingerprint))

    def find(self, service: str, name: str) -> tuple[Release, ...]:
        def has(release: Release) -> bool:
            digests = [f"sha256:{image.rpartition('@sha256:')[2]}" for image in release.images.values()]
            hashes = any(of.startswith(name.lower()) for of in (release.fingerprint, *digests))
            bare = any(of.startswith(f"sha256:{name.lower()}") for of in digests)
            begins = hashes or bare or (release.commit or "").startswith(name)
            return release.version == name or (len(name) >= 7 and begins)

        return tuple(release for release in self.releases(service) if has(release))

    def promoted(self, service: str) -> Iterator[Release]:
        return (release for release in self.releases(service) if release.state is ReleaseState.PROMOTED)

    def releases(self, service: str, *, since: datetime | None = None) -> Iterator[Release]:
        mine = [r for (of, _), r in self._releases.items() if of == service]
        young = [r for r in mine if since is None or r.first_deployed_at >= since]
        return iter(sorted(young, key=lambda r: (r.first_deployed_at, r.fingerprint), reverse=True))

    def bake(self, service: str) -> Bake | None:
        return self._bakes.get(service)

    def put_bake(self, bake: Bake) -> None:
        self._bakes[bake.service] = bake

    def standing_plan(self, service: str) -> StandingPlan | None:
        return self._plans.get(service)

    def put_standing_plan(self, plan: StandingPlan) -> None:
        held = self._plans.get(plan.service)
        if held is None or held.computed_at <= plan.computed_at:
            self._plans[plan.service] = plan

    def replace_standing_plan(self, read: StandingPlan, amended: StandingPlan) -> None:
        if self._plans.get(read.service) != read:
            raise Conflict(f"the standing plan of {read.service} was put anew meanwhile: read it again")
        self._plans[read.service] = amended

    def pause(self, service: str) -> Pause | None:
        return self._pauses.get(service)

    def put_pause(self, pause: Pause) -> None:
        self._pauses.setdefault(pause.service, pause)

    def end_pause(self, service: str) -> None:
        self._pauses.pop(service, None)

    def caused_deployment(self, service: str) -> CausedDeployment | None:
        return self._caused_deployments.get(service)

    def put_caused_deployment(self, caused: CausedDeployment) -> None:
        before = self._caused_deployments.get(caused.service)
        if before is None or before.asked_at <= caused.asked_at:
            self._caused_deployments[caused.service] = caused

    def record_action(self, action: OperatorAction) -> None:
        self._actions.append(action)

    def actions(self, service: str) -> Iterator[OperatorAction]:
        mine = [action for action in self._actions if action.service == service]
        yield from sorted(mine, key=lambda action: action.at, reverse=True)

    def put_schema(self, schema: ReleaseSchema) -> None:
        self._schemas.setdefault(schema.sha256, schema)

    def schema(self, sha256: str) -> ReleaseSchema:
        return self._schemas[sha256]

    def set_release_schema(self, release: Release, schema_sha256: str) -> Release:
        key = (release.service, release.fingerprint)
        if self._releases[key] != release:
            raise Conflict(f"release {release.version} was changed meanwhile: read it again")
        self._releases[key] = release.model_copy(update={"schema_sha256": schema_sha256})
        return self._releases[key]

    def put_restore_point(self, point: RecordedPoint) -> None:
        def key(one: RecordedPoint) -> tuple[object, ...]:
            return one.branch, one.recorded_at, one.service, one.version

        if all(key(point) != key(known) for known in self._points):
            self._points.append(point)

    def restore_points(self, branch: str, *, since: datetime | None = None) -> Iterator[RecordedPoint]:
        of_it = [point for point in self._points if point.branch == branch]
        young = [point for point in of_it if since is None or point.recorded_at >= since]
        return iter(sorted(young, key=lambda point: point.recorded_at, reverse=True))

    def observation(self, branch: str) -> Observation | None:
        return self._observations.get(branch)

    def put_observation(self, observation: Observation) -> None:
        before = self._observations.get(observation.branch)
        if before is None or before.observed_at <= observation.observed_at:
            self._observations[observation.branch] = observation

    def set_release_state(self, release: Release, state: ReleaseState, at: datetime, reason: str) -> Release:
        key = (release.service, release.fingerprint)
        if self._releases[key].state is not release.state:
            raise Conflict(f"release {release.version} is no longer {release.state}: read it again")
        changes = {"state": state, "state_since": at, "state_reason": reason}
        self._releases[key] = self._releases[key].model_copy(update=changes)
        return self._releases[key]


class EcsServices(Protocol):
    """One `FakeServices`, or several behind a `FakeWriters`."""

    def each(self) -> "tuple[FakeServices, ...]": ...


class FakeTargets:
    """Target health told from the tasks of the services; `answers` by target group replaces it.

    `outside_zones`: groups of a load balancer that does not serve the targets' Availability Zone.
    `others`: target groups of other services on the same load balancer.
    """

    def __init__(self, services: EcsServices) -> None:
        self._services = services
        self.answers: dict[str, tuple[TargetHealth, ...]] = {}
        self.outside_zones: set[str] = set()
        self.health_check_path = "/health"
        self.others: tuple[str, ...] = ()

    def health(self, target_group_arn: str) -> tuple[TargetHealth, ...]:
        if target_group_arn in self.answers:
            return self.answers[target_group_arn]
        states = self._service_of_target_group(target_group_arn, "DescribeTargetHealth").target_states()
        reasons = {"unhealthy": "Target.ResponseCodeMismatch"}
        return tuple(
            TargetHealth(target=f"10.0.0.{number}:8080", state=state, reason=reasons.get(state, ""))
            for number, state in enumerate(states, start=1)
        )

    def has_load_balancer(self, target_group_arn: str) -> bool:
        """Health that a load balancer reports for the targets it checks; unused targets are not checked."""
        if target_group_arn in self.outside_zones:
            return True
        if target_group_arn not in self.answers:
            self._service_of_target_group(target_group_arn, "DescribeTargetGroups")
        return not is_possibly_unused(self.health(target_group_arn))

    def health_checks(self, target_group_arns: tuple[str, ...]) -> dict[str, dict[str, Any]]:
        checks = {"HealthCheckPath": self.health_check_path, "HealthCheckPort": "traffic-port"}
        there = {arn for one in self._services.each() for arn in one.target_groups} | set(self.answers)
        return {
            arn: {**checks, "HealthCheckProtocol": "HTTP", "Matcher": {"HttpCode": "200"}}
            for arn in target_group_arns
            if arn in there
        }

    def sibling_target_groups(self, target_group_arns: tuple[str, ...]) -> tuple[str, ...]:
        for arn in target_group_arns:
            self._service_of_target_group(arn, "DescribeTargetGroups")
        return tuple(arn for arn in self.others if arn not in target_group_arns) if target_group_arns else ()

    def _service_of_target_group(self, target_group_arn: str, operation: str) -> "FakeServices":
        found = next((one for one in self._services.each() if target_group_arn in one.target_groups), None)
        if found is None:
            refuse(operation, target_group_arn, "TargetGroupNotFound", "target group not found")
        return found


class FakeScaling:
    """Application Auto Scaling over one `FakeServices`: any registration brings the desired count into the bounds."""

    def __init__(self, services: "FakeServices", target: ScalableTarget | None = None) -> None:
        self._services = services
        self.target = target
        self.predictive: tuple[str, ...] = ()
        self.puts: list[ScalableTarget] = []

    def describe(self, service: ServiceSettings) -> ScalableTarget | None:
        if self.target is None or not self._services.is_named_by(service):
            return None
        return self.target.model_copy(update={"suspended": _all_flags(self.target)})

    def predictive_policies(self, service: ServiceSettings) -> tuple[str, ...]:
        return self.predictive if self._services.is_named_by(service) else ()

    def put(self, service: ServiceSettings, target: ScalableTarget) -> None:
        resource = f"service/{service.cluster}/{service.ecs_service}"
        suspended = _all_flags(target)
        check_request(
            "application-autoscaling",
            "RegisterScalableTarget",
            resource,
            ServiceNamespace="ecs",
            ScalableDimension="ecs:service:DesiredCount",
            ResourceId=resource,
            MinCapacity=target.min_capacity,
            MaxCapacity=target.max_capacity,
            SuspendedState=suspended,
        )
        asked = ("RegisterScalableTarget", resource, "ValidationException")
        if not self._services.is_named_by(service) or not self._services.is_active:
            refuse(*asked, f"ECS service doesn't exist: {resource}")
        if target.min_capacity < 0:
            refuse(*asked, "Minimum capacity must be at least 0")
        if target.max_capacity < target.min_capacity:
            refuse(*asked, "Maximum capacity cannot be less than minimum capacity")
        self.puts.append(target)
        self.target = target.model_copy(update={"suspended": suspended})
        self._services.desired_count = min(max(self._services.desired_count, target.min_capacity), target.max_capacity)


def _all_flags(target: ScalableTarget) -> dict[str, bool]:
    """Application Auto Scaling tells all three flags of SuspendedState; one that nobody set is off."""
    return {**dict.fromkeys(SCALING_FLAGS, False), **target.suspended}


class FakeStacks:
    """One stack by name; None: there is none."""

    def __init__(self, stack: StackView | None = None) -> None:
        self.stack = stack

    def describe(self, stack: str) -> StackView | None:
        return self.stack if self.stack is not None and self.stack.name == stack else None


class FakeSecrets:
    """Secrets and parameters, all of which exist except `missing`; those in `hidden` are not visible.

    Attributes:
        values: the deployment's own secrets, each of which a test must make.
        writes: versions of these secrets, by secret and token.
    """

    def __init__(self) -> None:
        self.missing: set[str] = set()
        self.hidden: set[str] = set()
        self.values: dict[str, SecretStr] = {}
        self.writes: dict[tuple[str, str], SecretStr] = {}

    def read(self, arn: str) -> SecretStr:
        self._refuse_unknown(arn, "GetSecretValue")
        return self.values[arn]

    def write(self, arn: str, value: SecretStr, token: str) -> None:
        """A token that was used already changes nothing: another value may have become the current one meanwhile."""
        text = value.get_secret_value()
        check_request(
            "secretsmanager", "PutSecretValue", arn, SecretId=arn, SecretString=text, ClientRequestToken=token
        )
        self._refuse_unknown(arn, "PutSecretValue")
        if (arn, token) not in self.writes:
            self.writes[arn, token] = self.values[arn] = value
        elif self.writes[arn, token] != value:
            refuse("PutSecretValue", arn, "ResourceExistsException", "another value has this token")

    def exists(self, value_from: str) -> bool | None:
        referenced = _secret_or_parameter(value_from)
        if referenced in map(_secret_or_parameter, self.hidden):
            return None
        return referenced not in map(_secret_or_parameter, self.missing)

    def _refuse_unknown(self, arn: str, operation: str) -> None:
        if arn not in self.values or arn in self.missing:
            refuse(operation, arn, "ResourceNotFoundException", "Secrets Manager can't find the specified secret.")


def _secret_or_parameter(value_from: str) -> str:
    """Without the JSON key, stage and version of ECS's own; a parameter by its name, whether by ARN or not."""
    if ":secretsmanager:" in value_from:
        return ":".join(value_from.split(":")[:7])
    if not value_from.startswith("arn:"):
        return value_from
    path = value_from.split(":", 5)[5].removeprefix("parameter/").removeprefix("/")
    return f"/{path}" if "/" in path else path  # without a hierarchy names have no leading slash


_TAG = re.compile(r"[a-zA-Z0-9_][a-zA-Z0-9._-]{0,127}")  # OCI distribution specification, "Pulling manifests"


class FakeReferences:
    """Roles, log groups and files, of which only those in `roles`, `log_groups` and `files` exist.

    A log group is a region and a name; an empty region is the service's own. Those in `hidden` are not visible.
    """

    def __init__(self) -> None:
        self.roles: set[str] = set()
        self.log_groups: set[tuple[str, str]] = set()
        self.files: set[str] = set()
        self.hidden: set[str] = set()

    def role_exists(self, role: str) -> bool | None:
        named = {known.rpartition("/")[2] for known in self.roles}
        return None if role in self.hidden else role in self.roles or role in named

    def log_group_exists(self, name: str, region: str) -> bool | None:
        return None if name in self.hidden else (region, name) in self.log_groups

    def file_exists(self, arn: str) -> bool | None:
        return None if arn in self.hidden else arn in self.files


class FakeImages:
    """Repositories with moving tags. An image by digest exists unless it is in `missing`."""

    def __init__(self) -> None:
        self.tags: dict[str, str] = {}
        self.missing: set[str] = set()
        self.labels: dict[str, dict[str, str]] = {}
        self.immutable = False

    def push(self, image: str, digest: str) -> str:
        """Put a tag, `repository:tag`, on a digest; the image by digest."""
        self.tags[image] = f"{_repository(image)}@{digest}"
        return self.tags[image]

    def exists(self, image: str) -> bool | None:
        if parse(image) is None:
            return None
        by_digest = self._by_digest(image)
        return by_digest is not None and by_digest not in self.missing

    def digest_of(self, image: str) -> str | None:
        return self._by_digest(image) if self.exists(image) else None

    def label(self, image: str, name: str) -> str | None:
        by_digest = self.digest_of(image)
        return self.labels.get(by_digest, {}).get(name) if by_digest is not None else None

    def add_tag(self, image: str, tag: str) -> None:
        parsed = parse(image)
        if parsed is None or parsed.digest is None:
            raise InvalidRequest(f"{image} can't be tagged: only an image in ECR that is named by digest can")
        if not self.exists(image):
            raise CallRefused(f"{image} can't be tagged {tag}: ECR does not have it")
        if not _TAG.fullmatch(tag):
            refuse("PutImage", f"{image} as {tag}", "InvalidParameterException", "Invalid parameter at 'imageTag'")
        tagged, by_digest = f"{_repository(image)}:{tag}", self._by_digest(image)
        if self.immutable and self.tags.get(tagged, by_digest) != by_digest:
            raise CallRefused(f"{image} can't be tagged {tag}: the tag is immutable and belongs to {self.tags[tagged]}")
        self.tags[tagged] = str(by_digest)

    def _by_digest(self, image: str) -> str | None:
        """A tag beside a digest tells nothing more; without either it is `latest`."""
        parsed = parse(image)
        if parsed is None or parsed.digest is not None:
            return f"{_repository(image)}@{parsed.digest}" if parsed is not None else None
        return self.tags.get(f"{_repository(image)}:{parsed.tag or 'latest'}")


def _repository(image: str) -> str:
    head, slash, tail = image.partition("@")[0].rpartition("/")
    return f"{head}{slash}{tail.partition(':')[0]}"


class FakeHttp:
    """Answers by URL; on the sites that are there 200 in 10 ms where none is set, and nothing elsewhere."""

    def __init__(self, *sites: str) -> None:
        self.sites = set(sites) or {"http://api.test"}
        self.answers: dict[str, ProbeResult] = {}
        self.asked: list[str] = []

    def get(self, url: str, timeout_seconds: float, *, with_body: bool = False) -> ProbeResult:
        self.asked.append(url)
        answer = self.answers.get(url) or self._of_site(url)
        answer = answer if with_body else answer.model_copy(update={"body": ""})
        if answer.seconds > timeout_seconds:
            return ProbeResult(status=None, seconds=timeout_seconds, error=f"no answer within {timeout_seconds:g} s")
        return answer

    def _of_site(self, url: str) -> ProbeResult:
        try:
            parts = urlsplit(url)
        except ValueError as error:
            return ProbeResult(status=None, seconds=0.0, error=f"InvalidURL: {error}")
        if parts.scheme not in {"http", "https"}:
            return ProbeResult(status=None, seconds=0.0, error="UnsupportedProtocol: neither http:// nor https://")
        if f"{parts.scheme}://{parts.netloc}" not in self.sites or "//" in parts.path:
            return ProbeResult(status=None, seconds=0.01, error="ConnectError: Name or service not known")
        return ProbeResult(status=200, seconds=0.01)


@dataclass(frozen=True)
class SentNotification:
    """One notification."""

    subject: str
    message: str
    attributes: dict[str, str]


_SNS_BYTES = 262_144  # message and attributes together (SNS API reference, Publish)
_ATTRIBUTE_NAME = re.compile(r"(?!AWS\.|Amazon\.)[A-Za-z0-9_-]+(\.[A-Za-z0-9_-]+)*")  # SNS guide, "message attributes"


class FakeNotifications:
    """Keeps what reached the topic: the adapter makes subject and message what SNS takes."""

    def __init__(self) -> None:
        self.sent: list[SentNotification] = []

    def publish(self, subject: str, message: str, attributes: Mapping[str, str]) -> None:
        sent = SentNotification(
            acceptable_subject(subject),
            acceptable_message(message),
            {name: value for name, value in attributes.items() if value},
        )
        given = {name: {"DataType": "String", "StringValue": value} for name, value in sent.attributes.items()}
        check_request(
            "sns", "Publish", "the topic", Subject=sent.subject, Message=sent.message, MessageAttributes=given
        )
        if not sent.message:
            refuse("Publish", "the topic", "InvalidParameter", "Invalid parameter: Empty message")
        bytes_sent = sum(len(f"{name}String{value}".encode()) for name, value in sent.attributes.items())
        if bytes_sent + len(sent.message.encode()) > _SNS_BYTES:
            refuse("Publish", "the topic", "InvalidParameter", "Invalid parameter: Message too long")
        for name in sent.attributes:
            if not _ATTRIBUTE_NAME.fullmatch(name):
                refuse("Publish", "the topic", "InvalidParameterValue", f"Invalid attribute name: {name}")
        self.sent.append(sent)


class FakeMetrics:
    """Keeps the rollbacks that were counted."""

    def __init__(self) -> None:
        self.counted: list[Rollback] = []
        self.sweeps = 0
        self.seen: dict[str, tuple[bool, int]] = {}

    def record_conclusion(self, rollback: Rollback) -> None:
        self.counted.append(rollback)

    def record_sweep(self) -> None:
        self.sweeps += 1

    def record_readiness(self, service: str, *, is_rollback_available: bool, stale_leases: int) -> None:
        self.seen[service] = (is_rollback_available, stale_leases)


EXECUTIONS = "arn:aws:states:eu-west-1:123456789012:execution:macro-ai-production-rollback"
# Step Functions API reference, StartExecution, `name`.
_NOT_IN_A_NAME = re.compile(r"[\s<>{}\[\]?*\"#%\\^|~`$&,;:/\x00-\x1f\x7f-\x9f\ud800-\udfff\ufffe-\uffff]")


def execution_arn(name: str) -> str:
    """ARN of an execution of the state machine; what is one already, or of another kind (`direct:`), stays."""
    return name if ":" in name else f"{EXECUTIONS}:{name}"


class FakeWorkflow:
    """`started`: executions by name and input, each name once, for the test to take.

    `running`: ARNs of those that run; what is no ARN (direct mode) is no execution. `stopped`: ARNs of those that ran
    until they were stopped; `causes`: why.
    """

    def __init__(self) -> None:
        self.started: list[tuple[str, dict[str, Any]]] = []
        self.running: set[str] = set()
        self.stopped: list[str] = []
        self.causes: dict[str, str] = {}
        self._names: set[str] = set()

    def start(self, name: str, given: Mapping[str, Any]) -> None:
        """The same name again is success, with another input or after its end too: the adapter takes it for started."""
        text = json.dumps(given)
        check_request("stepfunctions", "StartExecution", name, stateMachineArn="arn", name=name, input=text)
        if _NOT_IN_A_NAME.search(name):
            refuse("StartExecution", name, "InvalidName", f"Invalid Name: '{name}'")
        if name not in self._names:
            self._names.add(name)
            self.started.append((name, json.loads(text)))

    def is_running(self, execution: str) -> bool:
        return execution.startswith("arn:") and execution in self.running

    def stop(self, execution: str, cause: str) -> None:
        if not execution.startswith("arn:"):
            return
        check_request("stepfunctions", "StopExecution", execution, executionArn=execution)
        if execution in self.running:
            self.running.discard(execution)
            self.stopped.append(execution)
            self.causes[execution] = cause


Behaviour = Literal["healthy", "unhealthy", "crashing", "stale"]
ACCOUNT_ARN = "arn:aws:ecs:eu-west-1:123456789012"
CLUSTER, ECS_SERVICE = "macro-ai-production-cluster", "macro-ai-production-service"
_FAMILY = re.compile(r"[a-zA-Z0-9_-]{1,255}")  # ECS API reference, RegisterTaskDefinition
_TAG_VALUE = re.compile(r"[\w\s.:/=+\-@]{0,256}")  # ECS API reference, Tag


@dataclass
class _Revision:
    arn: str
    definition_arn: str
    images: dict[str, str]
    created_at: datetime


@dataclass
class _Tasks:
    """One entry of `deployments`, and its tasks."""

    id: str
    revision: _Revision
    created_at: datetime
    rollout_state: str = "IN_PROGRESS"
    running: int = 0
    failed: int = 0
    is_rollback: bool = False
    pulled: dict[str, str] = field(default_factory=dict)  # container → image by digest, of its running tasks


@dataclass
class _ServiceDeployment:
    arn: str
    target: _Revision
    source: _Revision | None
    created_at: datetime
    status: str = "IN_PROGRESS"
    rollback_revision: _Revision | None = None
    finished_at: datetime | None = None

    def enter(self, status: str, at: datetime) -> None:
        """Another status; what is over has ended now."""
        self.status = status
        self.finished_at = at if status not in IN_FLIGHT else None


class FakeServices:
    """ECS with one service, which takes one step for each `tick`; any other name is refused as ECS refuses it.

    The first tick of a deployment starts its tasks. The next tick drains the old tasks and completes the deployment.
    Deregistered definitions are INACTIVE and refused.

    Attributes:
        behaviours: definition ARN → behaviour of its tasks. `unhealthy` tasks run and never pass health checks.
            `crashing` tasks don't run. `stale` tasks are unhealthy until all tasks were stopped once. Three ticks of
            any of these trip the circuit breaker.
        calls: the requested changes.
        beside: another service of the account, with the same task definitions.
    """

    def __init__(
        self,
        clock: FakeClock | None = None,
        images: "FakeImages | None" = None,
        *,
        cluster: str = CLUSTER,
        ecs_service: str = ECS_SERVICE,
        beside: "FakeServices | None" = None,
    ) -> None:
        self._clock = clock or FakeClock(datetime(2026, 3, 1, 3, tzinfo=UTC))
        self._images = images or FakeImages()
        self.cluster, self.ecs_service = cluster, ecs_service
        self.arn = f"{ACCOUNT_ARN}:service/{cluster}/{ecs_service}"
        self.status = "MISSING"
        self.desired_count = 0
        self.deployment_configuration: dict[str, Any] = {
            "strategy": "ROLLING",
            "maximumPercent": 200,
            "minimumHealthyPercent": 100,
            "deploymentCircuitBreaker": {"enable": True, "rollback": True},
        }
        self.target_groups: tuple[str, ...] = (TARGET_GROUP,)
        self.behaviours: dict[str, Behaviour] = {}
        self.default_behaviour: Behaviour = "healthy"
        self.draining = 0
        self.container_insights = True
        self.shape = ServiceShape()
        self.resolves_images = True  # False: as for versionConsistency disabled, the tasks alone tell
        self.required_tag: str | None = None  # a policy that denies registrations without it
        self.events: list[str] = []
        self.calls: list[tuple[str, dict[str, Any]]] = []
        self._definitions: dict[str, dict[str, Any]] = beside._definitions if beside is not None else {}
        self._deployments: list[_Tasks] = []
        self._service_deployments: list[_ServiceDeployment] = []
        self._completed: _Revision | None = None
        self._was_at_zero = False
        self._created_count = 0

    # Arrangement by a test

    @property
    def is_active(self) -> bool:
        return self.status == "ACTIVE"

    def each(self) -> "tuple[FakeServices, ...]":
        return (self,)

    def is_named_by(self, service: ServiceSettings) -> bool:
        """Whether the settings name this service."""
        return (service.cluster, service.ecs_service) == (self.cluster, self.ecs_service)

    def has_deployment(self, arn: str) -> bool:
        """Whether a service deployment of this ARN is, or was, its own."""
        return any(deployment.arn == arn for deployment in self._service_deployments)

    def run(self, definition_arn: str, *, desired_count: int = 2, created_at: datetime | None = None) -> None:
        """The service runs this definition: deployed at `created_at`, completed."""
        self.status, self.desired_count = "ACTIVE", desired_count
        self._begin(self._revision(definition_arn, created_at or self._clock.now()), created_at or self._clock.now())
        self._deployments[0].running = desired_count
        self._complete()

    def deploy(self, definition_arn: str, began_at: datetime | None = None) -> None:
        """A team's deployment begins; it goes on with `tick`."""
        at = began_at or self._clock.now()
        self._begin(self._revision(definition_arn, at), at)

    def deregister(self, definition_arn: str) -> None:
        """As CloudFormation does with the revision that it replaced."""
        self._definitions[definition_arn]["status"] = "INACTIVE"

    def target_states(self) -> list[str]:
        """Health of the targets of all tasks."""
        states: list[str] = []
        for tasks in self._deployments:
            state = "healthy" if self._behaviour(tasks) == "healthy" else "unhealthy"
            states += [state] * tasks.running
        return sorted(states)

    def tick(self) -> None:
        """ECS takes one step."""
        if not self._deployments:
            return
        primary, behaviour = self._deployments[0], self._behaviour(self._deployments[0])
        was_running, self.draining = primary.running, 0
        if self.desired_count == 0:  # the running tasks drain until the next tick
            self._was_at_zero = True
            self.draining = sum(tasks.running for tasks in self._deployments)
            for tasks in self._deployments:
                tasks.running = 0
        if primary.rollout_state != "FAILED":
            primary.running = 0 if behaviour == "crashing" else self.desired_count
        current = self._service_deployments[0]
        if current.status == "ROLLBACK_REQUESTED":
            current.status = "ROLLBACK_IN_PROGRESS"
        if primary.rollout_state != "IN_PROGRESS":
            return
        if behaviour != "healthy":
            primary.failed += 1
            self.events.insert(0, f"(service) (deployment {primary.id}) a task is {behaviour}")
            self._trip_breaker(primary)
        elif was_running >= self.desired_count:
            self._complete()

    # The port

    def describe(self, service: ServiceSettings) -> ServiceView:
        name = f"{service.cluster}/{service.ecs_service}"
        if service.cluster != self.cluster:
            raise UnsupportedService(f"there is no cluster {service.cluster}; check the settings")
        found = {"status": self.status, "deploymentConfiguration": self.deployment_configuration}
        is_active = self.is_named_by(service) and self.status != "MISSING"
        require_supported_service({"services": [found] if is_active else [], "failures": [{"reason": "MISSING"}]}, name)
        newest = self._service_deployments[0]
        revisions = [r for r in (newest.target, newest.source, newest.rollback_revision) if r is not None]
        revisions += [tasks.revision for tasks in self._deployments]
        by_arn = {revision.arn: revision for revision in revisions}
        source = newest.rollback_revision or newest.source
        current: dict[str, int] = {}
        for tasks in self._deployments:
            current[tasks.revision.arn] = current.get(tasks.revision.arn, 0) + tasks.running
        latest = ServiceDeployment(
            arn=newest.arn,
            status=newest.status,
            target_definition_arn=newest.target.definition_arn,
            target_revision_arn=newest.target.arn,
            source_definition_arn=source.definition_arn if source is not None else None,
            source_revision_arn=source.arn if source is not None else None,
            rollback_revision_arn=newest.rollback_revision.arn if newest.rollback_revision is not None else None,
            created_at=newest.created_at,
            finished_at=newest.finished_at,
        )
        deployments = [
            Deployment(
                id=tasks.id,
                is_primary=tasks is self._deployments[0],
                definition_arn=tasks.revision.definition_arn,
                rollout_state=tasks.rollout_state,
                running_count=tasks.running,
                created_at=tasks.created_at,
            )
            for tasks in self._deployments
        ]
        definitions = {arn: revision.definition_arn for arn, revision in by_arn.items()}
        return ServiceView(
            arn=self.arn,
            desired_count=self.desired_count,
            running_count=sum(tasks.running for tasks in self._deployments),
            pending_count=max(0, self.desired_count - self._deployments[0].running),
            deployments=assign_revisions(deployments, latest, current, definitions),
            newest=latest,
            deployment_configuration=as_parsed(
                "ecs", "DeploymentConfiguration", _deep_copy(self.deployment_configuration)
            ),
            target_groups=self.target_groups,
            shape=self.shape,
            revisions={
                arn: ServiceRevision(definition_arn=revision.definition_arn, images=dict(revision.images))
                for arn, revision in by_arn.items()
            },
            current_revisions=current,
            last_events=tuple(self.events[:10]),
        )

    def definition(self, arn_or_family: str) -> Mapping[str, Any] | None:
        if arn_or_family in self._definitions:
            return _deep_copy(self._definitions[arn_or_family])
        family = [d for d in self._definitions.values() if d["family"] == arn_or_family and d["status"] == "ACTIVE"]
        return _deep_copy(max(family, key=lambda d: int(d["revision"]), default=None))

    def register(
        self, definition: Mapping[str, Any], family: str, release: str, tags: Mapping[str, str] | None = None
    ) -> str:
        given = {**(tags or {}), RELEASE_TAG: release}
        return self._register(definition, family, [{"key": key, "value": value} for key, value in given.items()])

    def register_release(
        self, definition: Mapping[str, Any], family: str, tags: Mapping[str, str] | None = None
    ) -> str:
        """A team registers a definition: no tag of ours."""
        return self._register(definition, family, [{"key": k, "value": v} for k, v in (tags or {}).items()])

    def _register(self, definition: Mapping[str, Any], family: str, tags: list[dict[str, str]]) -> str:
        self.calls.append(("register", {"family": family}))
        names = accepted("ecs", "RegisterTaskDefinition") - {"family", "tags"}
        complete = _deep_copy(dict(definition))
        given = {name: value for name, value in complete.items() if name in names}
        check_request("ecs", "RegisterTaskDefinition", family, family=family, tags=tags, **given)
        if self.required_tag is not None and all(tag["key"] != self.required_tag for tag in tags):
            why = f"an explicit deny: no tag {self.required_tag}"
            refuse("RegisterTaskDefinition", family, "AccessDeniedException", why)
        for code, why in _registration_refusals(given["containerDefinitions"], family, tags):
            refuse("RegisterTaskDefinition", family, code, why)
        revision = 1 + sum(1 for d in self._definitions.values() if d["family"] == family)
        arn = f"{ACCOUNT_ARN}:task-definition/{family}:{revision}"
        added = {"taskDefinitionArn": arn, "family": family, "revision": revision, "status": "ACTIVE", "tags": tags}
        self._definitions[arn] = {**complete, **added, "registeredAt": self._clock.now()}
        return arn

    def update(
        self,
        service: ServiceSettings,
        *,
        definition_arn: str | None = None,
        desired_count: int | None = None,
        deployment_configuration: Mapping[str, Any] | None = None,
        force_new_deployment: bool = False,
    ) -> None:
        given = {
            "definition_arn": definition_arn,
            "desired_count": desired_count,
            "deployment_configuration": deployment_configuration,
            "force_new_deployment": force_new_deployment or None,
        }
        self.calls.append(("update", {name: value for name, value in given.items() if value is not None}))
        self._require_named_service("UpdateService", service)
        self._validate_update(service, definition_arn, desired_count, deployment_configuration)
        if desired_count is not None:
            self.desired_count = desired_count
        self.deployment_configuration = _merged(self.deployment_configuration, deployment_configuration or {})
        primary = self._deployments[0].revision.definition_arn
        if force_new_deployment or definition_arn not in (None, primary):
            self._begin(self._revision(definition_arn or primary, self._clock.now()), self._clock.now())

    def _require_named_service(self, operation: str, service: ServiceSettings) -> None:
        name = f"{service.cluster}/{service.ecs_service}"
        if service.cluster != self.cluster:
            refuse(operation, name, "ClusterNotFoundException", "Cluster not found.")
        if not self.is_named_by(service) or self.status == "MISSING":
            refuse(operation, name, "ServiceNotFoundException", "Service not found.")

    def _validate_update(
        self,
        service: ServiceSettings,
        definition_arn: str | None,
        desired_count: int | None,
        configuration: Mapping[str, Any] | None,
    ) -> None:
        on = f"{service.cluster}/{service.ecs_service}"
        changes: dict[str, Any] = {"taskDefinition": definition_arn, "desiredCount": desired_count}
        changes["deploymentConfiguration"] = dict(configuration) if configuration is not None else None
        given = {name: value for name, value in changes.items() if value is not None}
        check_request("ecs", "UpdateService", on, service=service.ecs_service, **given)
        if self.status != "ACTIVE":
            refuse("UpdateService", on, "ServiceNotActiveException", "Service was not ACTIVE.")
        if desired_count is not None and desired_count < 0:
            refuse("UpdateService", on, "InvalidParameterException", "desiredCount must not be negative.")
        if definition_arn is not None and definition_arn not in self._definitions:
            refuse("UpdateService", on, "ClientException", "TaskDefinition not found.")
        if definition_arn is not None and self._definitions[definition_arn]["status"] != "ACTIVE":
            refuse("UpdateService", on, "ClientException", "TaskDefinition is inactive")
        fits = check_fits_service(self._definitions[definition_arn], self.shape) if definition_arn is not None else None
        if fits is not None and fits.verdict is Verdict.FAIL:
            refuse("UpdateService", on, "InvalidParameterException", fits.reason)

    def task_images(self, service: ServiceSettings, definition_arn: str, deployment_id: str | None) -> dict[str, str]:
        self._require_named_service("ListTasks", service)
        running = [
            tasks.pulled
            for tasks in self._deployments
            if tasks.running and tasks.revision.definition_arn == definition_arn
            if deployment_id is None or tasks.id == deployment_id
        ]
        names = {name for images in running for name in images}
        told = {name: {images.get(name) for images in running} for name in names}
        return {name: str(only) for name, found in told.items() for only in found if len(found) == 1}

    def unstopped_tasks(self, service: ServiceSettings) -> int:
        self._require_named_service("ListTasks", service)
        return sum(tasks.running for tasks in self._deployments) + self.draining

    def has_container_insights(self, cluster: str) -> bool:
        return self.container_insights and cluster == self.cluster

    def stop_deployment(self, service_deployment_arn: str) -> None:
        self.calls.append(("stop_deployment", {"service_deployment_arn": service_deployment_arn}))
        found = next((d for d in self._service_deployments if d.arn == service_deployment_arn), None)
        asked, gone = ("StopServiceDeployment", service_deployment_arn), "ServiceDeploymentNotFoundException"
        if found is None:
            refuse(*asked, gone, "Service deployment not found.", frozenset({gone}))
        if found.status not in IN_FLIGHT:
            refuse(*asked, "ConflictException", f"it is in {found.status} state")
        if found.rollback_revision is None:
            self._deployments[0].rollout_state = "FAILED"
            self._roll_back("ROLLBACK_REQUESTED")

    # Behaviour of ECS

    def _behaviour(self, tasks: _Tasks) -> Behaviour:
        behaviour = self.behaviours.get(tasks.revision.definition_arn, self.default_behaviour)
        if behaviour == "stale":
            return "healthy" if self._was_at_zero else "unhealthy"
        return behaviour

    def _number(self) -> str:
        self._created_count += 1
        return f"{self._created_count:019d}"

    def _revision(self, definition_arn: str, at: datetime) -> _Revision:
        images = self._pulled(definition_arn) if self.resolves_images else {}
        return _Revision(self._arn("service-revision"), definition_arn, images, at)

    def _pulled(self, definition_arn: str) -> dict[str, str]:
        """Container → image by digest, as its tag means now."""
        images: dict[str, str] = {}
        for container in self._definitions[definition_arn]["containerDefinitions"]:
            digest = self._images.digest_of(container["image"])
            if digest is not None:
                images[container["name"]] = digest
        return images

    def _arn(self, kind: str) -> str:
        return f"{ACCOUNT_ARN}:{kind}/{self.cluster}/{self.ecs_service}/{self._number()}"

    def _begin(self, revision: _Revision, at: datetime) -> None:
        for earlier in self._service_deployments:
            if earlier.status in IN_FLIGHT:
                earlier.enter("STOPPED", at)
        sources = {tasks.revision.arn: tasks.revision for tasks in self._deployments}
        source = next(iter(sources.values())) if len(sources) == 1 else None
        arn = self._arn("service-deployment")
        self._service_deployments.insert(0, _ServiceDeployment(arn, revision, source, at))
        pulled = {**self._pulled(revision.definition_arn), **revision.images}
        self._deployments.insert(0, _Tasks(f"ecs-svc/{self._number()}", revision, at, pulled=pulled))
        self._deployments = [t for t in self._deployments if t is self._deployments[0] or t.running]

    def _roll_back(self, status: str) -> None:
        current = self._service_deployments[0]
        if self._completed is None:
            current.enter("ROLLBACK_FAILED", self._clock.now())
            return
        current.rollback_revision = self._completed
        current.enter(status, self._clock.now())
        alive = next((t for t in self._deployments if t.revision is self._completed), None)
        back = _Tasks(f"ecs-svc/{self._number()}", self._completed, self._clock.now(), is_rollback=True)
        if alive is not None:  # its tasks still run: what makes this the fastest path
            back.running, alive.running, back.pulled = alive.running, 0, alive.pulled
        self._deployments = [back, *(t for t in self._deployments if t.running)]

    def _trip_breaker(self, primary: _Tasks) -> None:
        breaker = self.deployment_configuration.get("deploymentCircuitBreaker", {})
        if primary.failed < 3 or not breaker.get("enable"):
            return
        primary.rollout_state = "FAILED"
        if primary.is_rollback:
            self._service_deployments[0].enter("ROLLBACK_FAILED", self._clock.now())
        elif breaker.get("rollback"):
            self._roll_back("ROLLBACK_IN_PROGRESS")
        else:
            self._service_deployments[0].enter("STOPPED", self._clock.now())

    def _complete(self) -> None:
        primary, current = self._deployments[0], self._service_deployments[0]
        self._deployments = [primary]
        primary.rollout_state = "COMPLETED"
        self._completed = primary.revision
        current.enter("ROLLBACK_SUCCESSFUL" if primary.is_rollback else "SUCCESSFUL", self._clock.now())
        self.events.insert(0, f"(service) (deployment {primary.id}) deployment completed.")


def _merged(kept: dict[str, Any], given: Mapping[str, Any]) -> dict[str, Any]:
    """Members that a request leaves out stay, at any depth (see `EcsServices.update`)."""
    merged = _deep_copy(kept)
    for name, value in given.items():
        inner = isinstance(value, Mapping) and isinstance(merged.get(name), dict)
        merged[name] = _merged(merged[name], value) if inner else _deep_copy(value)
    return merged


def _registration_refusals(
    containers: list[dict[str, Any]], family: str, tags: list[dict[str, str]]
) -> Iterator[tuple[str, str]]:
    """Why ECS refuses a definition: code and message."""
    if not _FAMILY.fullmatch(family):
        yield "ClientException", "Family contains invalid characters."
    if not containers:
        yield "ClientException", "Container list cannot be empty."
    if not all(container.get("name") and container.get("image") for container in containers):
        yield "ClientException", "Container.name and Container.image should not be null or empty."
    if not any(container.get("essential", True) for container in containers):
        yield "ClientException", "at least one container must be essential."
    if not all(_TAG_VALUE.fullmatch(tag["value"]) for tag in tags):
        yield "InvalidParameterException", "a tag value contains invalid characters."
