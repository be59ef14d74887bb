"""What is kept of a service between incidents: the rollback that would be done now, and the bake that goes on."""

from pydantic import AwareDatetime, BaseModel, ConfigDict

from rollback.check import Check, Verdict
from rollback.domain.database.schema_verdict import SchemaVerdict
from rollback.domain.releases.release import Release
from rollback.domain.target_readiness import is_ready, join_failures


class StandingTarget(BaseModel):
    """A promoted release, and a registered definition of it by digest.

    `schema_verdict`: whether it can work with the live schema, in brief; None: it writes to no database that we know.
    `checks`: whether ECS could run it when it was looked at; an older version of the code made none.
    """

    model_config = ConfigDict(frozen=True, extra="allow")  # a newer version's fields are kept

    release: Release
    definition_arn: str
    schema_verdict: SchemaVerdict | None = None
    checks: tuple[Check, ...] = ()

    @property
    def is_ready(self) -> bool | None:
        """Whether ECS could run it; None: not known."""
        return is_ready(self.checks)

    @property
    def why_not_ready(self) -> str:
        """What speaks against it, in one line; empty: nothing does."""
        return join_failures(self.checks)


class StandingPlan(BaseModel):
    """All that an emergency needs of the ledger, in one read.

    `targets`: the newest promoted releases, newest first; more than one, since the newest may be what runs, or not
    ready. `readiness` are the checks of the service, and of the last known good: its newest target that does not run.
    `database_seen_at`: when the database was looked at that the verdicts are about; None: never.
    """

    model_config = ConfigDict(frozen=True, extra="allow")  # a newer version's fields are kept

    service: str
    targets: tuple[StandingTarget, ...] = ()
    readiness: tuple[Check, ...] = ()
    computed_at: AwareDatetime
    database_seen_at: AwareDatetime | None = None

    @property
    def is_ready(self) -> bool:
        """Whether one could go back to the last known good: a target, and no check that failed."""
        return bool(self.targets) and not any(check.verdict is Verdict.FAIL for check in self.readiness)

    def newest_other(self, running_fingerprint: str) -> StandingTarget | None:
        """The last known good, seen from what runs (rule 7), whether or not it is ready."""
        return next((t for t in self.targets if t.release.fingerprint != running_fingerprint), None)

    def ways_back(self, running_fingerprint: str) -> tuple[StandingTarget, ...]:
        """Targets that may be gone back to: those that are ready, newest first; then those of which it is not known."""
        others = [t for t in self.targets if t.release.fingerprint != running_fingerprint]
        ready = [t for t in others if t.is_ready]
        return (*ready, *(t for t in others if t.is_ready is None))

    def target_for(self, running_fingerprint: str) -> StandingTarget | None:
        """Where one would go back to from what runs: the first of the ways back; without any, the last known good.

        What spoke against that one may be mended by now; and nothing else is left.
        """
        return next(iter(self.ways_back(running_fingerprint)), self.newest_other(running_fingerprint))

    def definition_of(self, fingerprint: str) -> str | None:
        """ARN of the definition that is registered for a release."""
        return next((t.definition_arn for t in self.targets if t.release.fingerprint == fingerprint), None)

    def target_of(self, fingerprint: str) -> StandingTarget | None:
        """The target that is this release."""
        return next((t for t in self.targets if t.release.fingerprint == fingerprint), None)

    def without(self, fingerprint: str) -> "StandingPlan":
        """No longer a target."""
        kept = tuple(t for t in self.targets if t.release.fingerprint != fingerprint)
        return self.model_copy(update={"targets": kept})


class Bake(BaseModel):
    """Since when a deployment has been running settled and without an alarm."""

    model_config = ConfigDict(frozen=True, extra="allow")  # a newer version's fields are kept

    service: str
    deployment_id: str
    since: AwareDatetime
