"""The right to roll back one service, or to change one database branch."""

from datetime import datetime

from pydantic import AwareDatetime, BaseModel, ConfigDict


class Lease(BaseModel):
    """A lease with its holder. `counter` grows with each new holder, so a former holder can't pass for the present one.

    Attributes:
        service: name of the service, or key of the branch.
        holder: id of the rollback.
        counter: the fencing counter.
        expires_at: the end of the lease.
    """

    model_config = ConfigDict(frozen=True, extra="ignore")  # a newer version may have written it

    service: str
    holder: str
    counter: int
    expires_at: AwareDatetime

    def is_held_by(self, rollback_id: str, now: datetime) -> bool:
        """Whether this rollback holds the lease, and the lease has not expired."""
        return self.holder == rollback_id and self.expires_at > now
