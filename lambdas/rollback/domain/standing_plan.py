"""The standing plan of a service, computed ahead of need; and the bake of its newest deployment."""

from pydantic import AwareDatetime, BaseModel, ConfigDict

from rollback.check import Check, Verdict
from rollback.domain.database.schema_verdict import SchemaVerdict
from rollback.domain.releases.release import Release
from rollback.domain.target_readiness import is_ready, join_failures


class StandingTarget(BaseModel):
    """A promoted release, and a registered task definition of it with images by digest.

    Attributes:
        release: the release.
        definition_arn: ARN of the registered definition.
        schema_verdict: whether the release works with the live schema; None: the service writes to no known database.
        checks: whether ECS could run the release when the plan was computed; an older version of the code made none.
    """

    model_config = ConfigDict(frozen=True, extra="allow")  # a newer version's fields are kept

    release: Release
    definition_arn: str
    schema_verdict: SchemaVerdict | None = None
    checks: tuple[Check, ...] = ()

    @property
    def is_ready(self) -> bool | None:
        """Whether ECS could run the release; None: not known."""
        return is_ready(self.checks)

    @property
    def why_not_ready(self) -> str:
        """Reasons of the failed checks, in one line; empty: no check failed."""
        return join_failures(self.checks)


class StandingPlan(BaseModel):
    """The ledger's part of an emergency, in one item.

    Attributes:
        service: name of the service.
        targets: promoted releases, newest first; several, since the newest may be running or not be ready.
        readiness: checks of the service, and of the last known good: the newest target that does not run.
        computed_at: when the plan was computed.
        database_seen_at: when the database was observed for the verdicts; None: never.
    """

    model_config = ConfigDict(frozen=True, extra="allow")  # a newer version's fields are kept

    service: str
    targets: tuple[StandingTarget, ...] = ()
    readiness: tuple[Check, ...] = ()
    computed_at: AwareDatetime
    database_seen_at: AwareDatetime | None = None

    @property
    def is_ready(self) -> bool:
        """Whether a rollback is available: the plan has a target, and no readiness check failed."""
        return bool(self.targets) and not any(check.verdict is Verdict.FAIL for check in self.readiness)

    def newest_other(self, running_fingerprint: str) -> StandingTarget | None:
        """The last known good beside the running release (rule 7), whether or not it is ready."""
        return next((t for t in self.targets if t.release.fingerprint != running_fingerprint), None)

    def usable_targets(self, running_fingerprint: str) -> tuple[StandingTarget, ...]:
        """Targets beside the running release: the ready ones, newest first; then those whose readiness is not known."""
        others = [t for t in self.targets if t.release.fingerprint != running_fingerprint]
        ready_targets = [t for t in others if t.is_ready]
        return (*ready_targets, *(t for t in others if t.is_ready is None))

    def target_for(self, running_fingerprint: str) -> StandingTarget | None:
        """The target of a rollback from the running release: the first of `usable_targets`, else the last known good.

        In the second case no other target is left, and the cause of the failed check may be fixed by now.
        """
        return next(iter(self.usable_targets(running_fingerprint)), self.newest_other(running_fingerprint))

    def definition_of(self, fingerprint: str) -> str | None:
        """ARN of the definition that is registered for a release; None: the release is no target."""
        return next((t.definition_arn for t in self.targets if t.release.fingerprint == fingerprint), None)

    def target_of(self, fingerprint: str) -> StandingTarget | None:
        """The target of a release; None: the release is no target."""
        return next((t for t in self.targets if t.release.fingerprint == fingerprint), None)

    def without_target(self, fingerprint: str) -> "StandingPlan":
        """Return the plan without a release among its targets."""
        targets = tuple(t for t in self.targets if t.release.fingerprint != fingerprint)
        return self.model_copy(update={"targets": targets})


class Bake(BaseModel):
    """The bake of a deployment, which began once the deployment had settled."""

    model_config = ConfigDict(frozen=True, extra="allow")  # a newer version's fields are kept

    service: str
    deployment_id: str
    since: AwareDatetime
