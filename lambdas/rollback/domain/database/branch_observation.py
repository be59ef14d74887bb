"""The last observation of a database branch, kept in the ledger so that a plan needs neither Neon nor SQL."""

from pydantic import AwareDatetime, BaseModel, ConfigDict, Field

from rollback.check import Check
from rollback.resources.database.wal_position import LsnText


class Observation(BaseModel):
    """Facts about one branch, read when a deployment starts and completes, and every `observe_minutes`.

    Attributes:
        branch: its partition in the ledger.
        schema_sha256: key of the stored `ReleaseSchema` that has the live structure and journal.
        readiness: checks whether a restore would be possible: API key, history window, room for a backup. `service` in
            a check's evidence names the service whose rollback the check is about.
        observed_at: time at which the observation began.
        timeline: Neon's identity of the branch's history, which a restore replaces; None: not known.
        lsn: end of the write-ahead log on that timeline; None: not known, or an older version of the code wrote it.
    """

    model_config = ConfigDict(frozen=True, extra="ignore")  # a newer version may have written it

    branch: str
    schema_sha256: str
    readiness: tuple[Check, ...] = ()
    observed_at: AwareDatetime
    timeline: str | None = None
    lsn: LsnText | None = Field(default=None, exclude_if=lambda value: value is None)

    def checks_for(self, service: str) -> tuple[Check, ...]:
        """Checks of one service's rollback: each service goes back to data of its own releases."""
        return tuple(check for check in self.readiness if check.evidence.get("service") == service)
