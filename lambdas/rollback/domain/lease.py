"""The right to roll back one service: expires, and counts its holders."""

from datetime import datetime

from pydantic import AwareDatetime, BaseModel, ConfigDict


class Lease(BaseModel):
    """`counter` grows with every take-over, so that a former holder can be told from the present one."""

    model_config = ConfigDict(frozen=True, extra="ignore")  # a newer version may have written it

    service: str
    holder: str
    counter: int
    expires_at: AwareDatetime

    def is_held_by(self, rollback_id: str, now: datetime) -> bool:
        """Whether this rollback may act now."""
        return self.holder == rollback_id and self.expires_at > now
