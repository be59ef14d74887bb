"""The document of `rollback status`: what runs, whether a rollback could start now, and what an operator has to do."""

from pydantic import AwareDatetime, Field

from rollback_cli.output.document import CheckResult, Document, Line, NotRead, Part, ReleaseRef


class Tasks(Part):
    """Tasks of the service, as ECS counts them."""

    running: int
    desired: int
    rollout: Line = Field(description="rollout state of the PRIMARY deployment")


class Target(Part):
    """The last known good release: the target of a rollback without another name."""

    name: Line = Field(description="name that means this release only, ready to paste")
    release: ReleaseRef


class Readiness(Part):
    """The standing plan: whether a rollback was ready when the janitor computed the plan."""

    state: Line = Field(description="ready, other_target_ready, not_ready or never_computed")
    computed_at: AwareDatetime | None = Field(description="null: never")
    age_minutes: float | None = Field(description="age of the standing plan; null: there is none")
    checks: tuple[CheckResult, ...] = ()


class PointBefore(Part):
    """The newest restore point of the service."""

    version: Line = Field(description="release that was about to be deployed")
    by: Line = Field(description="checkpoint (a pipeline) or deployment")
    lsn: Line
    at: AwareDatetime = Field(description="time by the clock of the database")


class SchemaState(Part):
    """Verdict on the target of the standing plan and the live schema."""

    compatibility: Line = Field(description="compatible, breaking or unknown")
    version: Line
    reason: Line


class DatabaseState(Part):
    """Record of the janitor about the service's database branch."""

    observed_at: AwareDatetime | None = Field(description="null: never")
    restore_point: PointBefore | None = Field(default=None, description="null: none is recorded")
    schema_state: SchemaState | None = Field(default=None, description="null: not compared")


class AlarmState(Part):
    """An alarm that triggers rollbacks."""

    name: Line
    state: Line = Field(description="OK, ALARM or INSUFFICIENT_DATA")


class WaitingRollback(Part):
    """A rollback that waits for an approval."""

    id: Line
    text: Line
    commands: tuple[Line, ...]


class LastDrill(Part):
    """The last successful drill."""

    rollback_id: Line
    scenario: Line
    ended_at: AwareDatetime
    age_days: float
    recovery_seconds: float
    is_too_old: bool = Field(description="older than drills.max_age_days, where drills have a schedule")


class PausedSince(Part):
    """A pause of automatic rollbacks."""

    since: AwareDatetime
    by: Line
    reason: Line


class PromisedRestore(Part):
    """Settings of this service that an open rollback of another service will put back."""

    rollback_id: Line
    kinds: tuple[Line, ...]


class LateDelivery(Part):
    """A message about a rollback that is due."""

    rollback_id: Line
    channel: Line
    due_since: AwareDatetime | None
    attempts: int
    last_error: Line


class RecordedAction(Part):
    """An operation of an operator."""

    at: AwareDatetime
    verb: Line
    subject: Line
    by: Line
    reason: Line


class UnreadableRecord(Part):
    """A record of the ledger that could not be read."""

    key: Line
    reason: Line


class ServiceStatus(Part):
    """The status of a service. A member whose part is among `not_read` says nothing."""

    service: Line
    environment: Line
    mode: Line = Field(description="act, or observe: plans and reports, never acts")
    running: ReleaseRef | None = Field(default=None, description="null: the ledger does not have the release")
    tasks: Tasks | None = None
    target: Target | None = Field(default=None, description="null: there is none yet")
    drift: Line = Field(default="", description="difference from the CloudFormation stack; empty: none was found")
    readiness: Readiness | None = None
    is_database_used: bool | None = Field(default=None, description="whether the service writes to a known branch")
    database: DatabaseState | None = None
    alarms: tuple[AlarmState, ...] = ()
    open_rollback: Line | None = Field(default=None, description="id of the rollback that holds the lease")
    waiting: tuple[WaitingRollback, ...] = ()
    has_drill_schedule: bool | None = None
    last_drill: LastDrill | None = Field(default=None, description="null: no drill has succeeded yet")
    paused: PausedSince | None = Field(default=None, description="null: automatic rollbacks are on")
    to_restore: tuple[Line, ...] = Field(default=(), description="settings that an operator has to put back")
    will_be_restored: tuple[PromisedRestore, ...] = ()
    unreadable: tuple[UnreadableRecord, ...] = ()
    late_deliveries: tuple[LateDelivery, ...] = Field(default=(), description="the first three")
    late_delivery_count: int = Field(default=0, description="counted up to 500 of the environment")
    operator_actions: tuple[RecordedAction, ...] = Field(default=(), description="the last three")
    not_read: tuple[NotRead, ...] = ()


class Status(Document):
    """Output of `rollback status`."""

    environment: Line
    services: tuple[ServiceStatus, ...]
