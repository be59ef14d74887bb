"""List the changes that a plan would make, from the facts that were read for it (`planning.read_changes`)."""

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from rollback.domain.changes.planned_changes import (
    Area,
    ChangeKind,
    PlannedChange,
    PlannedChanges,
    RowLossEstimate,
)
from rollback.domain.database.branch_observation import Observation
from rollback.domain.database.plan import DatabasePlan
from rollback.domain.plan import Plan
from rollback.domain.releases.release import Release
from rollback.domain.request import RollbackType
from rollback.domain.settings.database import Strategy
from rollback.reports.document.definition_diff import definition_differences
from rollback.resources.aws.ecs_service import SCALING_FLAGS, ScalableTarget
from rollback.service.next_action import desired_count_for

_WITHOUT_FENCE = frozenset({Strategy.DELETE})  # no service writes to the deleted branch any more
_NO_SQL = "not estimated: a plan reads no rows, since that needs a connection to Postgres"


@dataclass(frozen=True)
class ServiceFacts:
    """Facts about one service.

    Attributes:
        name: name of the service.
        desired_count: its desired count now; None: not read.
        scalable: its scalable target; None: the service is not scaled automatically, or `problem` says why not read.
        problem: why a fact could not be read; empty: all were read.
    """

    name: str
    desired_count: int | None
    scalable: ScalableTarget | None = None
    problem: str = ""


@dataclass(frozen=True)
class ChangeFacts:
    """Facts from which the changes follow.

    Attributes:
        service: the service that is rolled back.
        configuration: its deployment configuration now.
        configuration_during: its deployment configuration while the rollback deploys.
        writers: services that a change of the database stops.
        running_definition: task definition of the running release, images by digest; None: not found.
        target_definition: task definition of the target, images by digest; None: not found.
        definitions_remark: why a definition was not found.
        observation: last observation of the database branch; None: there is none.
        now: the present time.
    """

    service: ServiceFacts
    now: datetime
    configuration: Mapping[str, Any] = field(default_factory=dict)
    configuration_during: Mapping[str, Any] = field(default_factory=dict)
    writers: tuple[ServiceFacts, ...] = ()
    running_definition: Mapping[str, Any] | None = None
    target_definition: Mapping[str, Any] | None = None
    definitions_remark: str = ""
    observation: Observation | None = None


def list_changes(plan: Plan, kind: RollbackType, facts: ChangeFacts) -> PlannedChanges:
    """List all changes of a plan with what stays as it is, and what was not read.

    Args:
        plan: the plan; its target may be None.
        kind: type of the rollback.
        facts: facts that were read for the list.
    """
    is_fenced = plan.database is not None and plan.database.strategy not in _WITHOUT_FENCE
    has_deployment = _deploys(plan, kind)
    stopped = facts.writers if is_fenced else ()
    items: list[PlannedChange] = []
    unchanged: list[str] = []
    problems = [f"{facts.service.name}: {facts.service.problem}"] if facts.service.problem else []
    problems += [f"{w.name}: {w.problem}" for w in stopped if w.problem and w.name != facts.service.name]
    if has_deployment and plan.target is not None:
        definition_items = list(_definition_changes(plan.running, plan.target, facts))
        items += definition_items
        items += _desired_count_changes(plan.target, facts.service)
        items += _configuration_changes(facts)
        if facts.running_definition is None or facts.target_definition is None:
            problems.append(f"members of the task definition: {facts.definitions_remark}")
    else:
        unchanged.append(f"the task definition of {facts.service.name}: {_why_no_deployment(plan)}")
    items += [change for writer in stopped for change in _fence_changes(writer)]
    items += _database_changes(plan.database)
    unchanged += _unchanged_parts(items, facts, has_deployment=has_deployment, is_fenced=is_fenced)
    if plan.database is None:
        unchanged.append("the database: the plan has no part for it")
    return PlannedChanges(
        items=tuple(sorted(items, key=lambda item: list(Area).index(item.area))),
        unchanged=tuple(unchanged),
        not_looked_at=tuple(problems),
        row_loss=_estimate_row_loss(plan.database, facts),
    ).bounded()


def _deploys(plan: Plan, kind: RollbackType) -> bool:
    is_same_release = plan.target is not None and plan.target.fingerprint == plan.running.fingerprint
    return kind is not RollbackType.DATABASE and plan.target is not None and not is_same_release


def _why_no_deployment(plan: Plan) -> str:
    if plan.target is None:
        return "the plan has no target"
    return f"{plan.running.version} keeps running"


def _definition_changes(running: Release, target: Release, facts: ChangeFacts) -> Iterator[PlannedChange]:
    yield PlannedChange(
        area=Area.TASK_DEFINITION,
        where=facts.service.name,
        what="task definition",
        kind=ChangeKind.CHANGED,
        before=f"{_short(running.definition_arn)} ({running.version})",
        after=f"{target.version} as recorded from {_short(target.definition_arn)}, images by digest",
    )
    if facts.running_definition is None or facts.target_definition is None:
        yield from _image_changes(running, target)
        return
    for difference in definition_differences(facts.running_definition, facts.target_definition):
        # A secret's reference may name an account or a database: variables and secrets are shown by name only.
        is_named_only = difference.what.startswith(("secret ", "variable "))
        yield PlannedChange(
            area=Area.TASK_DEFINITION,
            where=difference.where,
            what=difference.what,
            kind=ChangeKind(difference.change),
            before="" if is_named_only else difference.before,
            after="" if is_named_only else difference.after,
        )


def _image_changes(running: Release, target: Release) -> Iterator[PlannedChange]:
    """The images that the ledger recorded with both releases, if a definition was not found."""
    for name in sorted({*running.images, *target.images}):
        before, after = running.images.get(name, ""), target.images.get(name, "")
        if before != after:
            kind = ChangeKind.ADDED if not before else ChangeKind.CHANGED if after else ChangeKind.REMOVED
            yield PlannedChange(
                area=Area.TASK_DEFINITION,
                where=f"container {name}",
                what="image",
                kind=kind,
                before=before,
                after=after,
            )


def _desired_count_changes(target: Release, service: ServiceFacts) -> Iterator[PlannedChange]:
    if service.desired_count is None:
        return
    maximum = service.scalable.max_capacity if service.scalable is not None else None
    desired_count = desired_count_for(target, service.desired_count, maximum)
    if desired_count != service.desired_count:
        yield PlannedChange(
            area=Area.DESIRED_COUNT,
            where=service.name,
            what="desired count",
            kind=ChangeKind.CHANGED,
            before=str(service.desired_count),
            after=str(desired_count),
        )


def _configuration_changes(facts: ChangeFacts) -> Iterator[PlannedChange]:
    for name in sorted({*facts.configuration, *facts.configuration_during}):
        before, after = facts.configuration.get(name), facts.configuration_during.get(name)
        if before != after:
            yield PlannedChange(
                area=Area.DEPLOYMENT_CONFIGURATION,
                where=facts.service.name,
                what=name,
                kind=ChangeKind.ADDED if before is None else ChangeKind.CHANGED,
                before="" if before is None else json.dumps(before, sort_keys=True, default=str),
                after=json.dumps(after, sort_keys=True, default=str),
                is_temporary=before is not None,
            )


def _fence_changes(writer: ServiceFacts) -> Iterator[PlannedChange]:
    """Rule 2 and rule 8: scaling is suspended before the desired count of each writer becomes 0."""
    if writer.scalable is not None and writer.scalable.is_active:
        active = [flag for flag in SCALING_FLAGS if not writer.scalable.suspended.get(flag, False)]
        for flag in active:
            yield PlannedChange(
                area=Area.SCALING,
                where=writer.name,
                what=flag,
                kind=ChangeKind.CHANGED,
                before="false",
                after="true",
                is_temporary=True,
            )
    if writer.desired_count:
        yield PlannedChange(
            area=Area.DESIRED_COUNT,
            where=writer.name,
            what="desired count while the database changes",
            kind=ChangeKind.CHANGED,
            before=str(writer.desired_count),
            after="0",
            is_temporary=True,
        )


def _database_changes(database: DatabasePlan | None) -> Iterator[PlannedChange]:
    if database is None:
        return
    if database.strategy is Strategy.DELETE:
        yield PlannedChange(
            area=Area.DATABASE, where=database.branch, what="branch", kind=ChangeKind.REMOVED, before=database.branch
        )
        return
    yield PlannedChange(
        area=Area.DATABASE,
        where=database.branch,
        what=f"data, by {str(database.strategy).replace('_', ' ')}",
        kind=ChangeKind.CHANGED,
        before="the data now",
        after=_position(database),
    )
    for service in database.reconnecting_services:
        yield PlannedChange(
            area=Area.DATABASE,
            where=service,
            what="connections",
            kind=ChangeKind.CHANGED,
            before="open before the change",
            after="renewed and proved",
        )


def _position(database: DatabasePlan) -> str:
    if database.point is not None:
        position = f", position {database.point.lsn}" if database.point.lsn is not None else ""
        return f"restore point {database.point.at:%Y-%m-%d %H:%M:%S} UTC{position}"
    return database.in_words


def _unchanged_parts(
    items: list[PlannedChange], facts: ChangeFacts, *, has_deployment: bool, is_fenced: bool
) -> Iterator[str]:
    """Name the parts that were read and stay; a part that was not read is never among them."""
    name, areas = facts.service.name, {item.area for item in items}
    if Area.DESIRED_COUNT not in areas and has_deployment and not facts.service.problem:
        yield f"the desired count of {name}: {facts.service.desired_count}"
    if Area.DEPLOYMENT_CONFIGURATION not in areas and has_deployment:
        yield f"the deployment configuration of {name}"
    if not is_fenced:
        yield f"the scaling of {name}: a plain rollback of a service leaves it alone"


def _estimate_row_loss(database: DatabasePlan | None, facts: ChangeFacts) -> RowLossEstimate | None:
    """Estimate the lost rows by time, and by the length of the write-ahead log that the ledger has seen."""
    if database is None:
        return None
    if database.strategy is Strategy.DELETE:
        return RowLossEstimate(remark="not estimated: the branch is deleted with all its rows")
    if database.strategy is Strategy.DOWN_MIGRATIONS:
        return RowLossEstimate(remark="not estimated: the down-migrations decide which columns and rows they remove")
    point, observation = database.point, facts.observation
    if point is None:
        return RowLossEstimate(remark=f"{_NO_SQL}; rows that only the branch has now are lost")
    minutes = max(0.0, round((facts.now - point.at).total_seconds() / 60, 1))
    is_comparable = (
        observation is not None
        and observation.lsn is not None
        and point.lsn is not None
        and point.timeline is not None
        and observation.timeline == point.timeline
        and observation.lsn >= point.lsn
    )
    if observation is None or observation.lsn is None or point.lsn is None or not is_comparable:
        remark = f"{_NO_SQL}. The write-ahead log since the point is not known either"
        return RowLossEstimate(since=point.at, minutes=minutes, remark=remark)
    return RowLossEstimate(
        since=point.at,
        minutes=minutes,
        wal_bytes=observation.lsn.number - point.lsn.number,
        wal_measured_at=observation.observed_at,
        remark=f"{_NO_SQL}. The write-ahead log has other records than rows too",
    )


def _short(definition_arn: str) -> str:
    return definition_arn.rsplit("/", 1)[-1]
