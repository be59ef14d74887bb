"""What is kept of a service between incidents: the rollback that would be done now, and the bake that goes on."""

from pydantic import AwareDatetime, BaseModel, ConfigDict

from rollback.model.check import Check, Verdict
from rollback.model.release import Release
from rollback.model.schema_compatibility import SchemaVerdict


class StandingTarget(BaseModel):
    """A promoted release, and a registered definition of it by digest.

    `schema_verdict`: whether it can work with the live schema, in brief; None: it writes to no database that we know.
    """

    model_config = ConfigDict(frozen=True, extra="allow")  # a newer version's fields are kept

    release: Release
    definition_arn: str
    schema_verdict: SchemaVerdict | None = None


class StandingPlan(BaseModel):
    """All that an emergency needs of the ledger, in one read.

    `targets`: the newest promoted releases, newest first; more than one, since the newest may be what runs. `readiness`
    are the checks of whether one could go back now. `database_seen_at`: when the database was looked at that the
    verdicts are about; None: never.
    """

    model_config = ConfigDict(frozen=True, extra="allow")  # a newer version's fields are kept

    service: str
    targets: tuple[StandingTarget, ...] = ()
    readiness: tuple[Check, ...] = ()
    computed_at: AwareDatetime
    database_seen_at: AwareDatetime | None = None

    @property
    def is_ready(self) -> bool:
        """Whether there is a way back: a target, and no check that failed."""
        return bool(self.targets) and not any(check.verdict is Verdict.FAIL for check in self.readiness)

    def target_for(self, running_fingerprint: str) -> StandingTarget | None:
        """Where one would go back to from what runs (rule 7)."""
        return next((t for t in self.targets if t.release.fingerprint != running_fingerprint), None)

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
